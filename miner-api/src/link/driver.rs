//! The life of one validator's link: lists every minute and on hints, events as they come.

use super::{
    conditions::{ListState, wanted},
    render,
    shelf::{Answer, Seen, Shelf},
    topics::hint,
};
use crate::{kubernetes::KubeFleet, metrics::Metrics, ports::fleet::Fleet as _};
use crd::{Chute, ChuteSpec, Validator, chute::Listing as Offer};
use jiff::{SignedDuration, Timestamp};
use protocol::{
    dto::ChuteRow,
    ids::{ChuteId, ChuteVersion, Ss58},
    key::Keypair,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use store::{ListedChute, Store, Topic};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use validator::{EventFeed, FeedOptions, ValidatorClient, ValidatorConfig};

/// How a link behaves.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Time between two lists.
    pub every: Duration,
    /// Hints that come within this time are handled together.
    pub gather: Duration,
    /// Shortest time between two lists that hints ask for.
    pub at_most_every: Duration,
    /// How long a chute stays withdrawn at least before its resource goes.
    pub withdrawn_for: Duration,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            gather: Duration::from_millis(100),
            at_most_every: Duration::from_secs(5),
            withdrawn_for: Duration::from_secs(60),
        }
    }
}

/// A list that lacked a chute for the first time is followed by another so soon: as soon as the two count as two.
const LOOK_AGAIN: Duration = Duration::from_secs(16);
/// Deployments known longer ago than this do not prove that a chute is unused.
const DEPLOYMENTS_FRESH_S: u64 = 60;
/// More chutes than this to read one by one are read as a list.
const FETCH_AT_MOST: usize = 16;

pub(super) struct Driver {
    pub name: String,
    pub hotkey: Ss58,
    pub fleet: Arc<KubeFleet>,
    pub store: Store,
    pub metrics: Metrics,
    pub client: ValidatorClient,
    pub options: LinkOptions,
    shelf: Shelf,
    list: ListState,
    /// What the ledger was told of each chute, so that it is told once.
    recorded: BTreeMap<ChuteId, ChuteSpec>,
}

/// What hints asked for since the last flush.
#[derive(Default)]
struct Pending {
    topics: BTreeSet<Topic>,
    fetch: BTreeSet<(ChuteId, ChuteVersion)>,
    list: bool,
}

impl Driver {
    pub(super) fn new(
        name: String,
        hotkey: Ss58,
        fleet: Arc<KubeFleet>,
        store: Store,
        metrics: Metrics,
        client: ValidatorClient,
        options: LinkOptions,
    ) -> Self {
        Self {
            name,
            hotkey,
            fleet,
            store,
            metrics,
            client,
            shelf: Shelf::new(options.withdrawn_for.try_into().unwrap_or(SignedDuration::MAX)),
            options,
            list: ListState::default(),
            recorded: BTreeMap::new(),
        }
    }

    /// As [`Driver::run`], after the one before failed: nothing that it said of the link holds any longer.
    pub(super) async fn run_after_failure(mut self, how: &str, config: ValidatorConfig, key: Arc<Keypair>, stop: CancellationToken) {
        self.list.failure = Some(("LinkFailed", format!("the link failed and begins anew: {how}")));
        self.report(&validator::FeedStatus::default()).await;
        self.run(config, key, stop).await;
    }

    /// Runs until `stop` is cancelled.
    pub(super) async fn run(mut self, config: ValidatorConfig, key: Arc<Keypair>, stop: CancellationToken) {
        let mut feed = match EventFeed::start(&config, key, FeedOptions::default()) {
            Ok(feed) => feed,
            Err(error) => {
                tracing::error!(validator = self.name, %error, "no event feed; lists go on");
                self.list.failure = Some(("BadConfiguration", error.to_string()));
                return self.without_feed(stop).await;
            }
        };
        let mut status = feed.status();
        let mut tick = tokio::time::interval(self.options.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending = Pending::default();
        let mut flush_at: Option<Instant> = None;
        let mut listed_at: Option<Instant> = None;
        let (mut connections, mut dropped) = (0, 0);
        loop {
            let flush = async {
                match flush_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    if self.read_list().await && self.options.every > LOOK_AGAIN {
                        tick.reset_after(LOOK_AGAIN);
                    }
                    listed_at = Some(Instant::now());
                }
                event = feed.next() => {
                    let Some(event) = event else { return self.without_feed(stop).await };
                    self.metrics.event(&self.name);
                    tracing::debug!(validator = self.name, reason = event.reason(), "event");
                    let hint = hint(&event);
                    pending.topics.insert(hint.topic);
                    pending.fetch.extend(hint.fetch);
                    pending.list |= hint.list;
                    flush_at.get_or_insert_with(|| Instant::now() + self.options.gather);
                }
                changed = status.changed() => {
                    if changed.is_err() { return self.without_feed(stop).await }
                    let now = status.borrow_and_update().clone();
                    // Events may have been missed: look at everything again.
                    if now.connections != connections || now.dropped != dropped {
                        (connections, dropped) = (now.connections, now.dropped);
                        pending.topics.extend([Topic::Instances, Topic::Servers, Topic::Jobs]);
                        pending.list = true;
                        flush_at.get_or_insert_with(|| Instant::now() + self.options.gather);
                    }
                }
                () = flush => {
                    flush_at = None;
                    let due = std::mem::take(&mut pending);
                    self.wake(&due.topics).await;
                    if due.list || due.fetch.len() > FETCH_AT_MOST {
                        let soonest = listed_at.map_or_else(Instant::now, |at| at + self.options.at_most_every);
                        // The tick is the one place that lists: bring it forward.
                        tick.reset_at(soonest.max(Instant::now()));
                    } else {
                        self.fetch(due.fetch).await;
                    }
                }
            }
            let feed_status = status.borrow().clone();
            self.report(&feed_status).await;
        }
    }

    async fn without_feed(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.options.every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    self.read_list().await;
                    self.report(&validator::FeedStatus::default()).await;
                }
            }
        }
    }

    /// Reads the whole list and does what follows from it. Returns whether another list is worth reading soon.
    async fn read_list(&mut self) -> bool {
        let listing = match self.client.chutes().await {
            Ok(listing) => listing,
            Err(error) => {
                self.metrics.blind(&self.name);
                tracing::warn!(validator = self.name, %error, "no chute list");
                self.list.failure = Some((reason(error.kind()), error.to_string()));
                return false;
            }
        };
        let complete = match listing.completeness.doubt() {
            None => {
                self.metrics.listing(&self.name, listing.items.len());
                self.list = ListState { complete_at: Some(listing.as_of), failure: None };
                true
            }
            Some(why) => {
                self.metrics.blind(&self.name);
                tracing::warn!(validator = self.name, why, rows = listing.items.len(), "the chute list is not complete");
                self.list.failure = Some(if listing.came_empty() {
                    ("Empty", "the chute list came without a row: the validator offers nothing, or failed to say what".to_owned())
                } else {
                    ("Incomplete", format!("the chute list was not complete: {why}"))
                });
                false
            }
        };
        let mut listed_anyway = listing.bad_ids.clone();
        let mut specs = Vec::with_capacity(listing.items.len());
        for row in &listing.items {
            match self.render(row) {
                Some(spec) => specs.push(spec),
                None => drop(listed_anyway.insert(row.chute_id.to_string())),
            }
        }
        let known = self.known();
        let in_use = self.in_use();
        let seen = Seen { specs: &specs, listed_anyway: &listed_anyway, complete, empty: listing.came_empty() };
        let plan = self.shelf.plan(&seen, &known, in_use.as_ref(), Timestamp::now());
        let mut changed = false;
        for spec in &plan.write {
            changed |= self.write(spec).await;
        }
        for (id, version) in &plan.ask {
            changed |= self.ask(&known, id, version).await;
        }
        for chute in &plan.delete {
            match self.fleet.delete_chute(chute).await {
                Ok(()) => tracing::info!(validator = self.name, chute = %chute.spec.chute_id, "a withdrawn chute is gone"),
                Err(error) => tracing::warn!(validator = self.name, %error, "a withdrawn chute could not be deleted"),
            }
        }
        if complete {
            for spec in &specs {
                self.record(spec).await;
            }
        }
        if changed {
            self.wake(&[Topic::Chutes].into()).await;
        }
        plan.look_again
    }

    /// Asks about a chute that two lists lacked.
    async fn ask(&mut self, known: &[Arc<Chute>], id: &ChuteId, version: &ChuteVersion) -> bool {
        let Some(chute) = known.iter().find(|chute| chute.spec.chute_id == *id) else { return false };
        let answer = match self.client.chute(id, version).await {
            Ok(None) => Answer::Gone,
            Ok(Some(row)) => self.render(&row).map_or(Answer::Silent, |spec| Answer::Offered(Box::new(spec))),
            Err(error) => {
                tracing::warn!(validator = self.name, chute = %id, %error, "a missing chute could not be asked about; it stays");
                Answer::Silent
            }
        };
        let Some(spec) = self.shelf.answered(chute, answer) else { return false };
        if spec.listing == Offer::Withdrawn {
            tracing::info!(validator = self.name, chute = %id, "withdrawn: two lists lack it and the validator says 404");
            if let Err(error) = self.store.retire_chute(id, version).await {
                tracing::debug!(%error, "the ledger was not told");
            }
            self.recorded.remove(id);
        }
        self.write(&spec).await
    }

    /// Reads single chutes that events named.
    async fn fetch(&mut self, wanted: BTreeSet<(ChuteId, ChuteVersion)>) {
        let known = self.known();
        let mut changed = false;
        for (id, version) in wanted {
            match self.client.chute(&id, &version).await {
                Ok(Some(row)) => {
                    let Some(spec) = self.render(&row) else { continue };
                    if known.iter().find(|chute| chute.spec.chute_id == id).is_none_or(|chute| chute.spec != spec) {
                        changed |= self.write(&spec).await;
                        self.record(&spec).await;
                    }
                }
                // Early or late: the list will tell.
                Ok(None) => tracing::debug!(validator = self.name, chute = %id, "an event named a chute that is not there"),
                Err(error) => tracing::warn!(validator = self.name, chute = %id, %error, "a chute could not be read; the next list has it"),
            }
        }
        if changed {
            self.wake(&[Topic::Chutes].into()).await;
        }
    }

    fn render(&self, row: &ChuteRow) -> Option<ChuteSpec> {
        render::spec(row, &self.hotkey)
            .map_err(|why| tracing::debug!(validator = self.name, chute = %row.chute_id, why, "a listed chute cannot be used"))
            .ok()
    }

    fn known(&self) -> Vec<Arc<Chute>> {
        self.fleet.watches.chutes.all().into_iter().filter(|chute| chute.spec.validator == self.hotkey).collect()
    }

    /// The chutes with any deployment; `None` unless the cache is whole and fresh.
    fn in_use(&self) -> Option<BTreeSet<ChuteId>> {
        let deployments = &self.fleet.watches.deployments;
        let fresh = deployments.freshness.listed()
            && deployments.freshness.age().as_secs() <= DEPLOYMENTS_FRESH_S.max(u64::from(cluster::watch::TIMEOUT_S));
        (fresh && deployments.undecodable().is_empty()).then(|| deployments.all().iter().map(|one| one.spec.chute.id.clone()).collect())
    }

    async fn write(&self, spec: &ChuteSpec) -> bool {
        // The same id from another validator is theirs: two writers would fight over it for ever.
        let other = self
            .fleet
            .watches
            .chutes
            .all()
            .into_iter()
            .find(|chute| chute.spec.chute_id == spec.chute_id && chute.spec.validator != self.hotkey);
        if other.is_some() {
            tracing::warn!(validator = self.name, chute = %spec.chute_id, "another validator lists a chute of the same id; it keeps it");
            return false;
        }
        match self.fleet.write_chute(spec).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(validator = self.name, chute = %spec.chute_id, %error, "a chute could not be written; the next list tries again");
                false
            }
        }
    }

    async fn record(&mut self, spec: &ChuteSpec) {
        let before = self.recorded.get(&spec.chute_id);
        if before == Some(spec) {
            return;
        }
        let Ok(listed) = serde_json::to_value(spec) else { return };
        let row = ListedChute {
            chute_id: spec.chute_id.clone(),
            version: spec.version.clone(),
            validator: spec.validator.clone(),
            name: spec.name.clone(),
            listed,
        };
        let retired = match before.filter(|before| before.version != spec.version) {
            Some(before) => self.store.retire_chute(&before.chute_id, &before.version).await.map(drop),
            None => Ok(()),
        };
        match (retired, self.store.see_chute(&row).await) {
            (Ok(()), Ok(_)) => drop(self.recorded.insert(spec.chute_id.clone(), spec.clone())),
            // Told again with the next list.
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "the ledger was not told of a chute"),
        }
    }

    async fn wake(&self, topics: &BTreeSet<Topic>) {
        for topic in topics {
            if let Err(error) = self.store.announce(*topic).await {
                tracing::debug!(%error, "a wake-up was not left; everybody polls");
                return;
            }
        }
    }

    /// Writes the link's conditions if they changed.
    async fn report(&self, feed: &validator::FeedStatus) {
        let Some(resource) = self.fleet.view().validators.into_iter().find(|one| one.metadata.name.as_deref() == Some(self.name.as_str()))
        else {
            return;
        };
        let before = resource.status.clone().unwrap_or_default();
        let generation = resource.metadata.generation;
        let after = wanted(&before.conditions, feed, &self.list, generation, Timestamp::now());
        if after == before.conditions && before.observed_generation == generation {
            return;
        }
        if let Err(error) = self.fleet.write_link(&self.name, &after, generation).await {
            tracing::warn!(validator = self.name, %error, "the link's status could not be written");
        }
    }
}

/// A condition's reason from the client's label.
fn reason(kind: &'static str) -> &'static str {
    match kind {
        "transport" => "Unreachable",
        "denied" => "Denied",
        "server_error" => "ServerError",
        _ => "BadAnswer",
    }
}

/// The client's view of a Validator resource.
pub(super) fn config(resource: &Validator) -> Result<ValidatorConfig, String> {
    let url = |what: &str, text: &str| text.parse().map_err(|error| format!("spec.{what} is not a URL: {error}"));
    Ok(ValidatorConfig {
        hotkey: resource.spec.hotkey.clone(),
        api: url("api", &resource.spec.api)?,
        socket: url("socket", &resource.spec.socket)?,
    })
}
