//! What each validator says, with its age: polled here, held in memory, judged by pure rules ([`View`]).

mod lists;
mod offers;
mod poll;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use cluster::backoff::Policy;
use cluster::supervise::keep_running;
use futures::{Stream, StreamExt as _};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use validator::{ValidatorClient, ValidatorConfig};

use crate::Timing;

pub use lists::{Held, View};
pub use offers::Offers;

/// The validators we earn from, by hotkey.
#[derive(Clone)]
pub struct Validators {
    inner: Arc<RwLock<BTreeMap<Ss58, Link>>>,
    key: Arc<Keypair>,
    redis_url: String,
    timing: Timing,
    /// Counts looks at any validator, so that others are told.
    looked: Arc<watch::Sender<u64>>,
}

struct Link {
    config: ValidatorConfig,
    client: ValidatorClient,
    view: watch::Receiver<Arc<View>>,
    tasks: [AbortHandle; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Validators {
    /// Nobody yet. All calls are signed with `key`.
    #[must_use]
    pub fn new(key: Arc<Keypair>, redis_url: String, timing: Timing) -> Self {
        Self { inner: Arc::default(), key, redis_url, timing, looked: Arc::new(watch::Sender::new(0)) }
    }

    /// Polls this validator from now on; a changed address replaces the old one.
    ///
    /// # Errors
    /// A URL that cannot be used; the text says what to write.
    pub fn follow(&self, config: ValidatorConfig) -> Result<(), validator::ConfigError> {
        let mut links = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(&config.hotkey).is_some_and(|link| link.config == config) {
            return Ok(());
        }
        let client = ValidatorClient::new(config.clone(), Arc::clone(&self.key))?;
        let (out, view) = watch::channel(Arc::new(View::new(self.timing.poll / 2, self.timing.landslide)));
        let mut changes = view.clone();
        let looked = Arc::clone(&self.looked);
        let (asked, redis_url, timing) = (client.clone(), self.redis_url.clone(), self.timing.clone());
        let label = format!("lists of validator {}", config.hotkey);
        let poll = tokio::spawn(async move {
            let make = |_| poll::run(asked.clone(), redis_url.clone(), timing.clone(), out.clone());
            keep_running(&label, Policy::default(), CancellationToken::new(), make).await;
        })
        .abort_handle();
        let tell = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                looked.send_modify(|count| *count += 1);
            }
        })
        .abort_handle();
        links.insert(config.hotkey.clone(), Link { config, client, view, tasks: [poll, tell] });
        Ok(())
    }

    /// Stops polling a validator.
    pub fn forget(&self, hotkey: &Ss58) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).remove(hotkey);
    }

    /// The client of a validator, if there is such a Validator resource.
    #[must_use]
    pub fn client(&self, hotkey: &Ss58) -> Option<ValidatorClient> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).get(hotkey).map(|link| link.client.clone())
    }

    /// What a validator said last.
    #[must_use]
    pub fn view(&self, hotkey: &Ss58) -> Option<Arc<View>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).get(hotkey).map(|link| Arc::clone(&link.view.borrow()))
    }

    /// Every validator that is followed, with what it said last.
    #[must_use]
    pub fn all(&self) -> Vec<(Ss58, Arc<View>)> {
        let links = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        links.iter().map(|(hotkey, link)| (hotkey.clone(), Arc::clone(&link.view.borrow()))).collect()
    }

    /// Yields after each look at any validator.
    pub fn looks(&self) -> impl Stream<Item = ()> + Send + use<> {
        WatchStream::from_changes(self.looked.subscribe()).map(|_| ())
    }
}
