//! One leader among replicas, by a Lease.
//!
//! Fail-stop: who cannot renew in time stops before anybody else may begin, and does not come back within the same [`run`].
//! Other replicas' clocks do not matter: a lease counts as abandoned when *we* saw it unchanged for its whole duration.

mod decide;
mod lease;

pub use decide::{Decision, Observed, decide};
pub use lease::Record;

use crate::{Error, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Which lease, and who we are.
#[derive(Clone, Debug)]
pub struct LeaderOptions {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are; a random suffix is added, so that a restarted process is somebody else.
    pub identity: String,
    /// How long a lease is respected without renewal.
    pub lease: Duration,
    /// How often it is renewed.
    pub renew: Duration,
}

impl LeaderOptions {
    /// The usual: a lease of 15 s, renewed every 5 s.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(5),
        }
    }

    /// After so long without a renewal the leader stops: well before another may begin.
    fn give_up(&self) -> Duration {
        self.lease.mul_f64(2.0 / 3.0)
    }
}

/// What a leader holds.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Counts acquisitions of this Lease, from 1. Grows with each leader as long as nobody deletes the Lease.
    pub term: i32,
    /// Who we are on the Lease.
    pub identity: String,
    /// Cancelled when the lease is lost, or at shutdown. Whoever works for the leader stops then.
    pub lost: CancellationToken,
}

/// Why [`run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Shutdown was asked for; the lease was given back.
    Shutdown,
    /// The lease was lost. The process should end: what it remembers is no longer the truth.
    Lost,
    /// The work itself ended; the lease was given back.
    Finished,
}

/// Waits until the lease is ours, then runs `work` until it ends, the lease is lost or `shutdown`.
/// After the loss or shutdown `work` is told by [`Leadership::lost`] and dropped if it does not end in time.
pub async fn run<W, F>(client: kube::Client, options: LeaderOptions, shutdown: CancellationToken, work: W) -> Ended
where
    W: FnOnce(Leadership) -> F,
    F: Future<Output = ()>,
{
    let api: Api<Lease> = Api::namespaced(client, &options.namespace);
    let identity = format!("{}_{:08x}", options.identity, rand::random::<u32>());
    let mut claim = Claim { api, options, identity, observed: None, term: 0 };

    let (term, renewed) = tokio::select! {
        won = claim.win() => won,
        () = shutdown.cancelled() => return Ended::Shutdown,
    };
    tracing::info!(lease = claim.options.name, identity = claim.identity, term, "leading");
    let lost = CancellationToken::new();
    let leadership = Leadership { term, identity: claim.identity.clone(), lost: lost.clone() };
    let grace = claim.options.lease - claim.options.give_up();
    let keeper_ends = CancellationToken::new();
    // In a task of its own: work that computes for long must not keep the lease from being renewed.
    let mut keeper = tokio::spawn(keeper(claim, renewed, lost.clone(), keeper_ends.clone()));
    // Lets it begin: a task spawned by this thread would otherwise wait for this thread.
    tokio::task::yield_now().await;
    let mut work = Box::pin(work(leadership));

    let (ended, done) = tokio::select! {
        // Work that was told of the loss may end before the keeper's own end is heard.
        () = &mut work => (if lost.is_cancelled() { Ended::Lost } else { Ended::Finished }, true),
        _ = &mut keeper => (Ended::Lost, false),
        () = shutdown.cancelled() => (Ended::Shutdown, false),
    };
    lost.cancel();
    match ended {
        // Whoever takes over may begin once the lease has run out; until then the work may end in order.
        Ended::Lost => {
            if !done {
                let _ = tokio::time::timeout(grace, &mut work).await;
            }
            return ended;
        }
        Ended::Shutdown => {
            let in_order = async {
                tokio::select! {
                    () = &mut work => false,
                    _ = &mut keeper => true,
                }
            };
            if tokio::time::timeout(SHUTDOWN_GRACE, in_order).await == Ok(true) {
                return ended;
            }
        }
        Ended::Finished => {}
    }
    drop(work);
    keeper_ends.cancel();
    if let Ok(Some(mut claim)) = keeper.await {
        claim.give_back().await;
    }
    ended
}

/// Renews until told to end, and returns the claim; or until the lease is lost, and says so.
async fn keeper(mut claim: Claim, mut renewed: Instant, lost: CancellationToken, end: CancellationToken) -> Option<Claim> {
    tokio::select! {
        () = claim.keep(&mut renewed) => {
            tracing::error!(lease = claim.options.name, "the lease is lost; what is being done is ended");
            lost.cancel();
            None
        }
        () = end.cancelled() => Some(claim),
    }
}

/// How long the work may take to end at shutdown; the lease is kept meanwhile.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

struct Claim {
    api: Api<Lease>,
    options: LeaderOptions,
    identity: String,
    observed: Option<Observed>,
    /// The highest term seen: a Lease that somebody deleted does not begin at 1 again while we live.
    term: i32,
}

impl Claim {
    /// Tries until the lease is ours. Returns the term and when the winning request was sent.
    async fn win(&mut self) -> (i32, Instant) {
        loop {
            let sent = Instant::now();
            match self.attempt(sent).await {
                Ok(Some(term)) => return (term, sent),
                Ok(None) => {}
                Err(error) => tracing::warn!(lease = self.options.name, %error, "cannot stand for leadership"),
            }
            tokio::time::sleep(crate::backoff::jittered(self.options.renew.mul_f64(0.4))).await;
        }
    }

    /// Renews until that was impossible for too long.
    async fn keep(&mut self, renewed: &mut Instant) {
        loop {
            let give_up = *renewed + self.options.give_up();
            tokio::time::sleep_until((*renewed + self.options.renew).min(give_up)).await;
            loop {
                let sent = Instant::now();
                if sent >= give_up {
                    return;
                }
                match tokio::time::timeout_at(give_up, self.attempt(sent)).await {
                    Ok(Ok(Some(_))) => {
                        *renewed = sent;
                        break;
                    }
                    // Somebody else holds it.
                    Ok(Ok(None)) if !self.held_by_us() => return,
                    Ok(Ok(None)) => {}
                    Ok(Err(error)) => tracing::warn!(lease = self.options.name, %error, "the lease was not renewed"),
                    Err(_) => return,
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    fn held_by_us(&self) -> bool {
        self.observed.as_ref().is_none_or(|seen| seen.record.holder.as_deref() == Some(&self.identity))
    }

    /// One look at the lease and, if it is ours to write, one write. Returns the term if we hold it now.
    async fn attempt(&mut self, now: Instant) -> Result<Option<i32>> {
        let found = lease::read(&self.api, &self.options.name).await?;
        self.observed = found.clone().map(|record| Observed::update(self.observed.take(), record, now));
        self.term = self.term.max(self.observed.as_ref().map_or(0, |seen| seen.record.transitions));
        let term = match decide(self.observed.as_ref(), now, &self.identity) {
            Decision::Yield => return Ok(None),
            Decision::Renew => self.term,
            Decision::Acquire => self.term.saturating_add(1),
        };
        let wanted = Record {
            holder: Some(self.identity.clone()),
            transitions: term,
            duration: self.options.lease,
            version: found.as_ref().and_then(|record| record.version.clone()),
            renewed: None,
            acquired: found.as_ref().filter(|record| record.holder.as_deref() == Some(&self.identity)).and_then(|record| record.acquired),
        };
        match lease::write(&self.api, &self.options.name, &wanted, found.is_some()).await {
            Ok(record) => {
                self.observed = Some(Observed { record, since: now });
                Ok(Some(term))
            }
            // Somebody was faster. The next look tells who.
            Err(error) if error.is_conflict() || error.is_already_exists() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets another begin at once. Failing that, the lease runs out.
    async fn give_back(&mut self) {
        let result: Result<(), Error> = async {
            let Some(mut record) = lease::read(&self.api, &self.options.name).await? else { return Ok(()) };
            if record.holder.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            record.holder = None;
            lease::write(&self.api, &self.options.name, &record, true).await.map(|_| ())
        }
        .await;
        if let Err(error) = result {
            tracing::info!(lease = self.options.name, %error, "the lease was not given back and will run out");
        }
    }
}

#[cfg(test)]
mod tests;
