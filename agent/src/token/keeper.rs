//! Keeps a live token as long as the control plane sells any, whatever happens in between.

use super::schedule::{self, Term};
use super::{BuyError, Buyer, Grant, Token};
use crate::control::{self, Control};
use crate::enrolment::Enrolment;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::state::StateDir;
use jiff::Timestamp;
use service::readiness::Gate;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The longest sleep at a stretch: the schedule is by the wall clock, which may jump.
const LONGEST_NAP: Duration = Duration::from_secs(15);
/// After an order the control plane still pins the key and makes the account: a purchase that fails meanwhile is no news, and the first
/// is not even tried before [`AFTER_ORDER`].
const GRACE: Duration = Duration::from_secs(5);
const AFTER_ORDER: Duration = Duration::from_millis(200);
/// Seconds after which a new token has reached every client: of one that took another's place, and of one that took none's.
const SETTLED_S: i64 = 90;
const SETTLED_FIRST_S: i64 = 5;

/// What an agent waits for that has no enrolment, be it new or robbed of its state.
const NOBODY: &str = "nobody has added this server: chutes-miner add-node; one that was added before: add-node --re-enrol";

/// Buys tokens and publishes the access they give.
pub struct Keeper {
    /// Signs the purchases.
    pub identity: Identity,
    /// Keeps grant and token over restarts.
    pub state: StateDir,
    /// Whom we are enrolled with.
    pub enrolment: watch::Receiver<Option<Enrolment>>,
    /// The access to the control cluster, while there is any.
    pub access: watch::Sender<Option<Arc<Control>>>,
    /// Open while we are enrolled.
    pub enrolled: Gate,
    /// Closed when there is no live token.
    pub control: Gate,
    /// Told when the control cluster no longer takes the token, though it has not ended.
    pub refused: Arc<Notify>,
    /// Counts purchases.
    pub metrics: Metrics,
}

impl Keeper {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        // Only what was kept over a restart is used again. An order that comes now means that the server was added anew: an old
        // token is of an account that may be gone.
        let mut kept = self.state.grant().filter(|_| self.state.has_token());
        let mut ordered = false;
        loop {
            let enrolment = self.enrolment.borrow_and_update().clone();
            let ended = match enrolment {
                None => {
                    self.enrolled.close(NOBODY);
                    self.control.close("not enrolled");
                    self.changed(&shutdown).await
                }
                Some(enrolment) => {
                    self.enrolled.open();
                    let kept = kept.take().filter(|kept| is_of(kept, &enrolment));
                    self.serve(enrolment, kept, ordered, &shutdown).await
                }
            };
            ordered = true;
            if ended.is_break() {
                return;
            }
        }
    }

    /// Keeps a token for one enrolment, until that changes. `ordered`: the enrolment came just now, not from the state folder.
    async fn serve(&mut self, enrolment: Enrolment, kept: Option<Grant>, ordered: bool, shutdown: &CancellationToken) -> ControlFlow<()> {
        let begun = Instant::now();
        let buyer = match Buyer::new(enrolment, self.identity.clone()) {
            Ok(buyer) => buyer,
            Err(error) => {
                self.control.close(error.to_string());
                return self.changed(shutdown).await;
            }
        };
        match &kept {
            Some(kept) if term(kept).is_live(now()) => self.publish(kept).await,
            Some(_) => {}
            None => self.start_over(),
        }
        let mut grant = kept;
        let mut settles_s = SETTLED_S;
        let (mut failures, mut failed) = (0u32, Instant::now());
        let mut roll: f64 = rand::random();
        // Whether this row of failures was told.
        let mut told = false;
        if ordered {
            tokio::select! {
                () = tokio::time::sleep(AFTER_ORDER) => {}
                ended = self.changed(shutdown) => return ended,
            }
        }
        loop {
            let wait = schedule::wait(grant.as_ref().map(term), failures, failed.elapsed(), roll, now());
            if !wait.is_zero() {
                let refused = self.refused.clone();
                tokio::select! {
                    () = tokio::time::sleep(wait.min(LONGEST_NAP)) => {}
                    () = refused.notified() => {
                        // A client may still show the token before last for a while.
                        if grant.as_ref().is_some_and(|grant| now().saturating_sub(grant.bought_at.as_second()) > settles_s) {
                            tracing::warn!("the control cluster no longer takes the token; buying another");
                            grant = None;
                        }
                    }
                    ended = self.changed(shutdown) => return ended,
                }
                continue;
            }
            roll = rand::random();
            let bought = tokio::select! {
                bought = buyer.buy(Timestamp::now()) => bought,
                ended = self.changed(shutdown) => return ended,
            };
            self.metrics.token_bought(bought.is_ok());
            let kept = match bought {
                Ok((new, token)) => self.keep(new, token).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(new) => {
                    (failures, told) = (0, false);
                    // A client that met an ended token holds on to it for up to a minute: a fresh one does not.
                    let follows = grant.as_ref().is_some_and(|old| term(old).is_live(now()) && same_place(old, &new));
                    settles_s = if follows { SETTLED_S } else { SETTLED_FIRST_S };
                    if !follows || self.access.borrow().is_none() {
                        self.publish(&new).await;
                    }
                    grant = Some(new);
                }
                Err(error) => {
                    if error.is_replaced() && (grant.is_some() || self.access.borrow().is_some()) {
                        // What this agent holds is dead. Two agents for one server must not both try: the chutes are the other one's now.
                        grant = None;
                        self.start_over();
                    }
                    failures = failures.saturating_add(1);
                    failed = Instant::now();
                    // A failure while the token still lives is a matter for the log; the gate closes when there is none left.
                    if !grant.as_ref().is_some_and(|kept| term(kept).is_live(now())) {
                        self.control.close(error.to_string());
                    }
                    let early = ordered && begun.elapsed() < GRACE;
                    if !early && (!told || failures.is_multiple_of(30)) {
                        told = true;
                        self.tell(&error, failures);
                    } else {
                        tracing::debug!(failures, %error, "no new token yet");
                    }
                }
            }
        }
    }

    /// Without a grant there is no access.
    fn start_over(&self) {
        self.control.close("no token was bought yet");
        self.access.send_replace(None);
        if let Err(error) = self.state.drop_grant() {
            tracing::warn!(%error, "an old token could not be removed");
        }
    }

    /// Puts a grant and its token where clients find them.
    async fn keep(&self, grant: Grant, token: Token) -> Result<Grant, BuyError> {
        let state = self.state.clone();
        let kept = tokio::task::spawn_blocking(move || state.save_grant(&grant, token.expose()).map(|()| grant)).await;
        match kept {
            Ok(Ok(grant)) => Ok(grant),
            Ok(Err(error)) => Err(BuyError::Kept(error.to_string())),
            Err(_) => Err(BuyError::Kept("writing it panicked".to_owned())),
        }
    }

    async fn publish(&self, grant: &Grant) {
        match control::connect(grant, &self.state.token_file()).await {
            Ok(control) => {
                self.access.send_replace(Some(Arc::new(control)));
            }
            Err(error) => self.control.close(error.to_string()),
        }
    }

    fn tell(&self, error: &BuyError, failures: u32) {
        if error.is_replaced() {
            let fingerprint = self.identity.fingerprint();
            tracing::error!(failures, fingerprint, %error, "this agent may not serve this server; chutes keep running");
        } else {
            tracing::warn!(failures, %error, "no new token; chutes keep running");
        }
    }

    /// Waits for another enrolment, or the end.
    async fn changed(&mut self, shutdown: &CancellationToken) -> ControlFlow<()> {
        tokio::select! {
            changed = self.enrolment.changed() => if changed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) },
            () = shutdown.cancelled() => ControlFlow::Break(()),
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn term(grant: &Grant) -> Term {
    Term { bought: grant.bought_at.as_second(), ends: grant.expires_at.as_second() }
}

/// Whether a kept grant is of this enrolment.
fn is_of(grant: &Grant, enrolment: &Enrolment) -> bool {
    grant.server == enrolment.server.as_str() && grant.control_url == enrolment.control_url
}

/// Whether two grants lead to the same place, so that one client serves for both.
fn same_place(one: &Grant, other: &Grant) -> bool {
    (&one.api_server, &one.ca_pem, &one.namespace) == (&other.api_server, &other.ca_pem, &other.namespace)
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
