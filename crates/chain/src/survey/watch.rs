//! Looking again and again, without anybody waiting for it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Standing;
use crate::read::{AccountId, At, Chain, ReadError};

/// For one look, all failovers included. Endpoints that drop by drop come to an answer are none.
const LOOK: Duration = Duration::from_secs(90);

/// Age of the newest final block from which on the endpoint, which may be catching up, is behind: what it tells is no news.
const BEHIND: Duration = Duration::from_secs(600);

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

    /// The block that was read last, unless that was so long ago that any that is new enough will do.
    fn last(&self) -> Option<u64> {
        self.standing.as_ref().filter(|_| self.age().is_some_and(|age| age < BEHIND)).map(|standing| standing.block)
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
            let last = sender.borrow().last();
            let outcome = match timeout(LOOK, look(&chain, netuid, hotkey, last)).await {
                Ok(outcome) => outcome,
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

async fn look(chain: &Chain, netuid: u16, hotkey: AccountId, last: Option<u64>) -> Result<Standing, String> {
    let told = |error: ReadError| error.to_string();
    let at = chain.at_finalized().await.map_err(told)?;
    if let Some(minutes) = behind(&at).await.map_err(told)? {
        chain.distrust("it is behind").await;
        return Err(format!("the endpoint is behind, or the clock here is wrong: its newest final block was made {minutes} min ago"));
    }
    // What was final stays so: another endpoint than last time tells what was, and would bring back a place that is lost.
    let number = at.block().number;
    if let Some(last) = last.filter(|last| *last > number) {
        chain.distrust("it is behind another").await;
        return Err(format!("the endpoint is behind: its newest final block is {number}, and {last} was read before"));
    }
    match Standing::read(&at, netuid, hotkey).await {
        Err(error @ ReadError::Malformed { .. }) => {
            chain.distrust("it contradicts itself").await;
            Err(told(error))
        }
        result => result.map_err(told),
    }
}

/// How many minutes ago the block was made, if that is too long ago. A chain without a clock says 1970.
async fn behind(at: &At) -> Result<Option<u64>, ReadError> {
    let made = at.time().await?;
    let age = u64::try_from(Timestamp::now().as_second() - made.as_second()).unwrap_or(0);
    Ok((made.as_second() > 0 && age > BEHIND.as_secs()).then_some(age / 60))
}
