//! Looking again and again, without anybody waiting for it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Standing;
use crate::read::{AccountId, Chain};

/// For one look, all failovers included. Endpoints that drop by drop come to an answer are none.
const LOOK: Duration = Duration::from_secs(90);

/// What is known of a hotkey so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// The last that could be read; `None` before the first.
    pub standing: Option<Standing>,
    /// When that was.
    pub read: Option<Instant>,
    /// Why the look after that failed; `None` if it did not.
    pub error: Option<String>,
    /// Looks that succeeded, and looks that failed.
    pub looks: (u64, u64),
}

impl Watched {
    /// How old the last known is.
    pub fn age(&self) -> Option<Duration> {
        self.read.map(|read| read.elapsed())
    }
}

/// Looks every so often at how a hotkey stands on a subnet, until the future is dropped or nobody holds the receiver. The caller gives
/// the future a task of its own; whoever wants to know reads the receiver, which never waits.
pub fn watch(
    chain: Chain,
    netuid: u16,
    hotkey: AccountId,
    every: Duration,
) -> (watch::Receiver<Watched>, impl Future<Output = ()> + Send + use<>) {
    let (sender, receiver) = watch::channel(Watched::default());
    let work = async move {
        loop {
            let look = async { Standing::read(&chain.at_finalized().await?, netuid, hotkey).await };
            let outcome = match timeout(LOOK, look).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no endpoint answered in full within {} s", LOOK.as_secs())),
            };
            sender.send_modify(|known| match outcome {
                Ok(standing) => {
                    let looks = (known.looks.0 + 1, known.looks.1);
                    *known = Watched { standing: Some(standing), read: Some(Instant::now()), error: None, looks };
                }
                Err(error) => {
                    known.error = Some(error);
                    known.looks.1 += 1;
                }
            });
            tokio::select! {
                () = sleep(every) => {}
                () = sender.closed() => return,
            }
        }
    };
    (receiver, work)
}
