//! What the validator said, and what follows from it. Pure: lists go in, findings come out.
//!
//! Presence needs one row of any list. Absence needs two complete lists some time apart, nothing to the contrary in between, and
//! the inventory as the second side.

use std::collections::{BTreeMap, BTreeSet};

use gepetto::snapshot::Source;
use jiff::{SignedDuration, Timestamp};
use protocol::dto::{ChuteRow, InstanceRow, InventoryRow, MinerServer, NodeRow, UtilizationRow};
use protocol::ids::{ConfigId, GpuUuid, InstanceId, ServerId};
use validator::Listing;

use super::offers::{Doubts, Offers};

/// What the validator said last, list by list.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Chutes on offer, and how much of them is wanted.
    pub offers: Offers,
    /// Our instances.
    pub instances: BTreeMap<InstanceId, InstanceRow>,
    /// Our GPUs.
    pub nodes: BTreeMap<GpuUuid, NodeRow>,
    /// GPUs that hold an instance.
    pub inventory: BTreeMap<GpuUuid, InventoryRow>,
    /// Versions of the sealed workers' images, where the validator tells them.
    pub vm_versions: BTreeMap<ServerId, String>,
    instances_read: Source,
    nodes_read: Source,
    inventory_read: Source,
    /// GPUs whose rows of the latest inventory could not be read; nothing if not even their GPU could be.
    inventory_unread: Option<BTreeSet<GpuUuid>>,
    /// Complete lists at least so far apart count as two: wake-ups make several in a moment, with one mistake in all of them.
    apart: SignedDuration,
    /// So long nothing but empty lists of chutes must come before they are believed.
    landslide: SignedDuration,
    /// Two complete lists, the later one first, which also names whatever came in between.
    instance_lists: Vec<InstanceList>,
    node_lists: Vec<NodeList>,
    /// The latest lists of GPUs without any row, the latest first, if nothing but such came lately.
    empty_node_lists: Vec<Timestamp>,
    nodes_heard: Option<Timestamp>,
    /// The list that last named each of [`View::nodes`].
    node_seen: BTreeMap<GpuUuid, Timestamp>,
    instance_seen: BTreeMap<InstanceId, Timestamp>,
    /// The first complete list ever, and, for instances that were listed once, the first one that lacked them.
    first_instance_list: Option<Timestamp>,
    lacked_since: BTreeMap<InstanceId, Timestamp>,
}

/// More instances than this are not remembered after they were listed last.
const LACKED_AT_MOST: usize = 10_000;

/// So many lists of GPUs without a row are taken for an empty list.
const EMPTY_LISTS: usize = 4;

#[derive(Clone, Debug)]
struct InstanceList {
    as_of: Timestamp,
    ids: BTreeSet<InstanceId>,
    configs: BTreeSet<ConfigId>,
}

#[derive(Clone, Debug)]
struct NodeList {
    as_of: Timestamp,
    ids: BTreeSet<GpuUuid>,
}

/// A complete list, kept to prove absence by.
trait Kept {
    fn as_of(&self) -> Timestamp;
    /// Takes in what an earlier list named.
    fn absorb(&mut self, earlier: Self);
}

impl Kept for InstanceList {
    fn as_of(&self) -> Timestamp {
        self.as_of
    }
    fn absorb(&mut self, earlier: Self) {
        self.ids.extend(earlier.ids);
        self.configs.extend(earlier.configs);
    }
}

impl Kept for NodeList {
    fn as_of(&self) -> Timestamp {
        self.as_of
    }
    fn absorb(&mut self, earlier: Self) {
        self.ids.extend(earlier.ids);
    }
}

/// Keeps a list: as the later of two, or, if those are not far enough apart yet, in place of the later one.
fn keep<L: Kept>(lists: &mut Vec<L>, mut list: L, apart: SignedDuration) {
    if let [later, earlier] = lists.as_slice()
        && later.as_of().duration_since(earlier.as_of()) < apart
    {
        list.absorb(lists.remove(0));
    }
    lists.insert(0, list);
    lists.truncate(2);
}

/// The two lists, if they are far enough apart.
fn both<L: Kept>(lists: &[L], apart: SignedDuration) -> Option<(&L, &L)> {
    let [later, earlier] = lists else { return None };
    (later.as_of().duration_since(earlier.as_of()) >= apart).then_some((later, earlier))
}

impl View {
    /// Nothing is known yet. Complete lists count as two if they are at least so far `apart`; that all chutes went at once is
    /// believed after a `landslide`.
    #[must_use]
    pub fn new(apart: std::time::Duration, landslide: std::time::Duration) -> Self {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self { apart: signed(apart), landslide: signed(landslide), ..Self::default() }
    }

    /// Takes a list of chutes.
    pub fn chutes(&mut self, listing: Listing<ChuteRow>) {
        let mut offers = std::mem::take(&mut self.offers);
        let doubts = Doubts { apart: self.apart, landslide: self.landslide };
        offers.take(listing, doubts, |since| self.idle_since(since));
        self.offers = offers;
    }

    /// Whether the validator, asked later than `since`, listed GPUs of ours, and nothing of ours on any.
    fn idle_since(&self, since: Timestamp) -> bool {
        let sources = [self.instances_source(), self.nodes_read];
        let heard = sources.iter().all(|source| source.complete && source.as_of >= Some(since));
        heard && !self.nodes.is_empty() && self.instances.is_empty() && self.inventory.is_empty()
    }

    /// Takes a list of demand.
    pub fn utilization(&mut self, listing: Listing<UtilizationRow>) {
        self.offers.take_demand(listing);
    }

    /// Takes a list of instances.
    pub fn instances(&mut self, listing: Listing<InstanceRow>) {
        self.instances_read = read(&self.instances_read, &listing);
        let as_of = listing.as_of;
        // A row that could not be read is somebody we cannot name: such a list proves nobody's absence.
        if listing.completeness.is_complete() && listing.bad_rows == 0 {
            let list = InstanceList {
                as_of,
                ids: listing.items.iter().map(|row| row.instance_id.clone()).collect(),
                configs: listing.items.iter().filter_map(|row| row.config_id.clone()).collect(),
            };
            self.first_instance_list.get_or_insert(as_of);
            for id in self.instances.keys().filter(|id| !list.ids.contains(*id)) {
                self.lacked_since.insert(id.clone(), as_of);
            }
            while self.lacked_since.len() > LACKED_AT_MOST {
                let oldest = self.lacked_since.iter().min_by_key(|(_, since)| **since).map(|(id, _)| id.clone());
                self.lacked_since.remove(&oldest.expect("more than none are there"));
            }
            self.instances.retain(|id, _| list.ids.contains(id));
            keep(&mut self.instance_lists, list, self.apart);
        }
        for row in listing.items {
            self.instance_seen.insert(row.instance_id.clone(), as_of);
            self.lacked_since.remove(&row.instance_id);
            self.instances.insert(row.instance_id.clone(), row);
        }
        let oldest = self.instance_lists.last().map_or(Timestamp::MIN, |list| list.as_of);
        let listed = &self.instances;
        self.instance_seen.retain(|id, seen| listed.contains_key(id) || *seen >= oldest);
    }

    /// Takes a list of GPUs.
    ///
    /// Validators have no word for an empty list of GPUs, so one can never be told from silence. Several in a row are taken for
    /// the truth: what follows from it (no launches, an advert that the validator refuses if it knows better) destroys nothing.
    pub fn nodes(&mut self, listing: Listing<NodeRow>) {
        self.nodes_read = read(&self.nodes_read, &listing);
        self.nodes_heard = Some(listing.as_of);
        if listing.items.is_empty() && listing.bad_rows == 0 {
            if self.empty_node_lists.first().is_some_and(|last| listing.as_of.duration_since(*last) < self.apart) {
                return;
            }
            self.empty_node_lists.insert(0, listing.as_of);
            self.empty_node_lists.truncate(EMPTY_LISTS);
            if self.empty_node_lists.len() == EMPTY_LISTS {
                self.nodes.clear();
            }
        } else {
            self.empty_node_lists.clear();
        }
        if listing.completeness.is_complete() && listing.bad_rows == 0 {
            self.nodes.clear();
            let ids = listing.items.iter().map(|row| row.uuid.clone()).collect();
            keep(&mut self.node_lists, NodeList { as_of: listing.as_of, ids }, self.apart);
        }
        for row in listing.items {
            self.node_seen.insert(row.uuid.clone(), listing.as_of);
            self.nodes.insert(row.uuid.clone(), row);
        }
        self.node_seen.retain(|gpu, _| self.nodes.contains_key(gpu));
    }

    /// Takes the inventory.
    pub fn inventory(&mut self, listing: Listing<InventoryRow>) {
        self.inventory_read = read(&self.inventory_read, &listing);
        if listing.completeness.is_complete() {
            self.inventory_unread = listing.bad_ids.iter().map(|id| id.parse().ok()).collect();
        }
        if listing.completeness.is_complete() && listing.bad_rows == 0 {
            self.inventory.clear();
        }
        self.inventory.extend(listing.items.into_iter().map(|row| (row.gpu_id.clone(), row)));
    }

    /// Takes a list of servers. Nothing is concluded from a server's absence.
    pub fn servers(&mut self, listing: Listing<MinerServer>) {
        self.vm_versions.extend(listing.items.into_iter().filter_map(|row| Some((row.server_id, row.version?))));
    }

    /// How far instances and inventory together can be trusted.
    #[must_use]
    pub fn instances_source(&self) -> Source {
        Source {
            as_of: self.instances_read.as_of.min(self.inventory_read.as_of),
            complete: self.instances_read.complete && self.inventory_read.complete,
        }
    }

    /// When the validator was last heard on our GPUs, be it with an empty list.
    #[must_use]
    pub fn nodes_heard(&self) -> Option<Timestamp> {
        self.nodes_heard
    }

    /// How far the list of GPUs can be trusted.
    #[must_use]
    pub fn nodes_source(&self) -> Source {
        self.nodes_read
    }

    /// The instance that was made with a launch config.
    #[must_use]
    pub fn by_config(&self, config: &ConfigId) -> Option<&InstanceRow> {
        self.instances.values().find(|row| row.config_id.as_ref() == Some(config))
    }

    /// Whether the validator holds nothing of this deployment, by two complete lists and the inventory, all asked for after
    /// `since`. Returns the moment of the oldest of them.
    #[must_use]
    pub fn clear_since(&self, held: &Held<'_>, since: Timestamp) -> Option<Timestamp> {
        let (later, earlier) = both(&self.instance_lists, self.apart)?;
        let absent = |list: &InstanceList| {
            held.instance.is_none_or(|id| !list.ids.contains(id)) && held.config.is_none_or(|id| !list.configs.contains(id))
        };
        let seen = held.instance.and_then(|id| self.instance_seen.get(id)).copied();
        let inventory = self.inventory_read.as_of.filter(|_| self.inventory_read.complete)?;
        let unread = self.inventory_unread.as_ref()?;
        let oldest = earlier.as_of.min(inventory);
        let proven = absent(later)
            && absent(earlier)
            && oldest > since
            && seen.is_none_or(|seen| seen < earlier.as_of)
            && held.gpus.iter().all(|gpu| !self.inventory.contains_key(gpu) && !unread.contains(gpu));
        proven.then_some(oldest)
    }

    /// Whether the lists of late tell how a deployment's instance stands: they named the one that is `listed`, or, if none is,
    /// prove that there is none. A list whose rows cannot all be read tells neither of those rows.
    #[must_use]
    pub fn tells_of(&self, held: &Held<'_>, listed: Option<&InstanceId>, now: Timestamp, oldest: std::time::Duration) -> bool {
        let oldest = SignedDuration::try_from(oldest).unwrap_or(SignedDuration::MAX);
        let lately = |at: &Timestamp| now.duration_since(*at) <= oldest;
        match listed {
            Some(id) => self.instance_seen.get(id).is_some_and(lately),
            None => {
                let since = now.checked_sub(oldest.saturating_mul(2)).unwrap_or(Timestamp::MIN);
                self.instance_lists.first().is_some_and(|list| lately(&list.as_of)) && self.clear_since(held, since).is_some()
            }
        }
    }

    /// For how long complete lists have lacked an instance; nothing if it is listed.
    #[must_use]
    pub fn lacked_for(&self, instance: &InstanceId) -> Option<SignedDuration> {
        if self.instances.contains_key(instance) {
            return None;
        }
        let last = self.instance_lists.first()?.as_of;
        let first = self.lacked_since.get(instance).copied().or(self.first_instance_list)?;
        Some(last.duration_since(first))
    }

    /// Whether the lists lack the greater part, and more than one, of these instances, which we know of otherwise. That looks
    /// less like instances that ended than like a list that broke off with a clean end.
    #[must_use]
    pub fn lacks_most_of<'a>(&self, known: impl IntoIterator<Item = &'a InstanceId>) -> bool {
        let (mut all, mut lacked) = (0, 0);
        for id in known {
            all += 1;
            lacked += usize::from(!self.instances.contains_key(id));
        }
        lacked >= 2 && lacked * 2 >= all
    }

    /// What the validator says of a GPU, by a list asked for after `since`.
    #[must_use]
    pub fn node_since(&self, gpu: &GpuUuid, since: Timestamp) -> Option<&NodeRow> {
        self.nodes.get(gpu).filter(|_| self.node_seen.get(gpu).is_some_and(|seen| *seen > since))
    }

    /// Whether the validator does not know a GPU, by two complete lists asked for after `since`.
    #[must_use]
    pub fn node_absent_since(&self, gpu: &GpuUuid, since: Timestamp) -> bool {
        if let [.., oldest] = self.empty_node_lists.as_slice()
            && self.empty_node_lists.len() == EMPTY_LISTS
            && *oldest > since
        {
            return true;
        }
        let Some((later, earlier)) = both(&self.node_lists, self.apart) else { return false };
        earlier.as_of > since && !later.ids.contains(gpu) && !earlier.ids.contains(gpu) && !self.nodes.contains_key(gpu)
    }
}

/// What a deployment may hold at the validator.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its instance, once known.
    pub instance: Option<&'a InstanceId>,
    /// Its launch config, once known.
    pub config: Option<&'a ConfigId>,
    /// Its GPUs.
    pub gpus: &'a [GpuUuid],
}

/// An incomplete answer makes what was read before no worse, but the source stays as old as its last complete answer.
fn read<T>(before: &Source, listing: &Listing<T>) -> Source {
    if listing.completeness.is_complete() { Source::complete(listing.as_of) } else { *before }
}

#[cfg(test)]
#[path = "lists_tests.rs"]
mod tests;
