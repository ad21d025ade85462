//! Who is pruned next, and how close a UID is to it.
//!
//! The rule is that of the runtime (`get_neuron_to_prune`, spec 425): a registration takes a free UID while there is one. When the subnet
//! is full, the owner's protected UIDs are left alone; the rest are immune (registered less than the immunity period ago) or not. If more
//! than `MinNonImmuneUids` are not immune, the one of these with the lowest emission goes, otherwise the immune one with the lowest
//! emission; of equals the one registered earlier, then the lower UID. Runtimes up to about spec 365 went by a pruning score instead,
//! which orders mostly alike, and had no floor of non-immune UIDs (pass 0).

use super::snapshot::Subnet;
use serde::Serialize;

/// What the rule looks at on a UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neuron {
    /// Which.
    pub uid: u16,
    /// What it was paid for the last epoch, in rao of alpha; or its pruning score, on older runtimes.
    pub emission: u64,
    /// The block at which it was registered.
    pub registered_at: u64,
    /// Whether it is one of the owner's protected UIDs.
    pub protected: bool,
}

/// Whose a UID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned<K> {
    /// Which.
    pub uid: u16,
    /// Its hotkey.
    pub hotkey: Option<K>,
    /// The owner of that.
    pub coldkey: Option<K>,
    /// The block at which it was registered; 0 where that is not known.
    pub registered_at: u64,
}

/// UIDs that are never pruned because they are the subnet owner's: as many as `limit` of those registered first, but before them all the
/// hotkey that the subnet names as its owner's (`get_immune_owner_tuples` of the runtime). Without a limit, that hotkey alone.
pub fn owner_uids<K: Copy + PartialEq>(
    uids: &[Owned<K>],
    owner_coldkey: Option<K>,
    owner_hotkey: Option<K>,
    limit: Option<u16>,
) -> Vec<u16> {
    let named = uids.iter().find(|one| owner_hotkey.is_some() && one.hotkey == owner_hotkey).map(|one| one.uid);
    let Some(limit) = limit.map(usize::from) else { return named.into_iter().collect() };
    let mut owned: Vec<_> = uids.iter().filter(|one| owner_coldkey.is_some() && one.coldkey == owner_coldkey).collect();
    owned.sort_by_key(|one| (one.registered_at, one.uid));
    let mut protected: Vec<u16> = owned.into_iter().map(|one| one.uid).take(limit).collect();
    if let Some(named) = named.filter(|uid| !protected.contains(uid)) {
        protected.insert(0, named);
        protected.truncate(limit);
    }
    protected
}

/// What the rule looks at on a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The block at which to ask.
    pub block: u64,
    /// Blocks for which a new UID is immune.
    pub immunity_period: u64,
    /// Non-immune UIDs that stay.
    pub min_non_immune_uids: u16,
    /// UIDs there may be.
    pub max_uids: u16,
}

impl Rules {
    /// Blocks for which a neuron is still immune; 0 if it is not.
    pub fn immune_for(&self, neuron: &Neuron) -> u64 {
        neuron.registered_at.saturating_add(self.immunity_period).saturating_sub(self.block)
    }
}

/// How close a UID is to being pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Distance {
    /// Which.
    pub uid: u16,
    /// Whether it is never pruned.
    pub protected: bool,
    /// Blocks for which it is still immune; 0 if it is not.
    pub immune_for_blocks: u64,
    /// UIDs that are not given out yet: registrations take these first.
    pub free_uids: u32,
    /// Those pruned before it as long as it is compared with the non-immune UIDs only.
    pub weaker_non_immune: u32,
    /// The registration from now that takes its place, if all came at once and emissions stayed: 1 is the next. `None` if none would,
    /// because others go first for ever.
    pub registrations: Option<u32>,
    /// The same, if its immunity had ended.
    pub registrations_unprotected: Option<u32>,
}

/// The UID that the next registration takes; `None` if all are protected. Looks at full subnets only.
pub fn next_pruned(neurons: &[Neuron], rules: &Rules) -> Option<u16> {
    let lowest = |immune: bool| {
        let candidates = neurons.iter().filter(|n| !n.protected && (rules.immune_for(n) > 0) == immune);
        candidates.min_by_key(|n| (n.emission, n.registered_at, n.uid)).map(|n| n.uid)
    };
    let non_immune = neurons.iter().filter(|n| !n.protected && rules.immune_for(n) == 0).count();
    let prunable = if non_immune > usize::from(rules.min_non_immune_uids) { lowest(false) } else { None };
    prunable.or_else(|| lowest(true))
}

/// The UIDs that registrations would take one after another if all came in this block and emissions stayed as they are, each once, in
/// order; free UIDs first, as `None`. It ends where newcomers would only push out newcomers, who earn nothing yet.
pub fn order(neurons: &[Neuron], rules: &Rules) -> Vec<Option<u16>> {
    let free = usize::from(rules.max_uids).saturating_sub(neurons.len());
    let mut order = vec![None; free];
    let mut now = neurons.to_vec();
    // Newcomers on free UIDs are immune like any other.
    let next_uid = now.iter().map(|n| n.uid).max().map_or(0, |uid| u32::from(uid) + 1);
    now.extend((0..free).filter_map(|i| {
        let uid = u16::try_from(next_uid + u32::try_from(i).ok()?).ok()?;
        Some(Neuron { uid, emission: 0, registered_at: rules.block, protected: false })
    }));
    let mut taken = std::collections::BTreeSet::new();
    while let Some(uid) = next_pruned(&now, rules) {
        let original = neurons.iter().any(|n| n.uid == uid);
        if !original || !taken.insert(uid) {
            // A newcomer is the weakest: from here on, newcomers replace each other.
            break;
        }
        order.push(Some(uid));
        if let Some(place) = now.iter_mut().find(|n| n.uid == uid) {
            *place = Neuron { uid, emission: 0, registered_at: rules.block, protected: false };
        }
    }
    order
}

/// How close each UID is to being pruned, in the order of `neurons`.
pub fn distances(neurons: &[Neuron], rules: &Rules) -> Vec<Distance> {
    let order = order(neurons, rules);
    let free = u32::from(rules.max_uids).saturating_sub(u32::try_from(neurons.len()).unwrap_or(u32::MAX));
    let place = |uid: u16| order.iter().position(|taken| *taken == Some(uid)).and_then(|at| u32::try_from(at + 1).ok());
    let mut non_immune: Vec<_> =
        neurons.iter().filter(|n| !n.protected && rules.immune_for(n) == 0).map(|n| (n.emission, n.registered_at, n.uid)).collect();
    non_immune.sort_unstable();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let one = |neuron: &Neuron| {
        let immune_for_blocks = rules.immune_for(neuron);
        let weaker = count(non_immune.partition_point(|key| *key < (neuron.emission, neuron.registered_at, neuron.uid)));
        let registrations = if neuron.protected { None } else { place(neuron.uid) };
        // Were it not immune, there would be one more who is not: those below the floor stay.
        let others = count(non_immune.len()) + u32::from(immune_for_blocks > 0);
        let reached = others.saturating_sub(weaker) > u32::from(rules.min_non_immune_uids);
        let unprotected = (!neuron.protected && reached).then(|| free + weaker + 1);
        Distance {
            uid: neuron.uid,
            protected: neuron.protected,
            immune_for_blocks,
            free_uids: free,
            weaker_non_immune: weaker,
            registrations,
            registrations_unprotected: if immune_for_blocks > 0 { unprotected } else { registrations },
        }
    };
    neurons.iter().map(one).collect()
}

/// What [`distances`] needs, from a snapshot that carries it. The block is that of the snapshot.
///
/// # Errors
/// The first thing that is missing, in words.
pub fn from_snapshot(state: &Subnet) -> Result<(Vec<Neuron>, Rules), &'static str> {
    if !state.dated() {
        return Err("registration blocks");
    }
    if state.emission_rao.is_empty() {
        return Err("emissions");
    }
    let parameters = &state.parameters;
    let rules = Rules {
        block: state.block,
        immunity_period: parameters.immunity_period.ok_or("the immunity period")?,
        min_non_immune_uids: parameters.min_non_immune_uids.unwrap_or(0),
        max_uids: parameters.max_uids.ok_or("the number of UIDs")?,
    };
    let neuron = |(uid, registered_at): (&u16, &u64)| Neuron {
        uid: *uid,
        emission: state.emission_rao.get(uid).copied().unwrap_or(0),
        registered_at: *registered_at,
        protected: state.owner_uids.contains(uid),
    };
    let known = state.registration_blocks.iter().filter(|(uid, _)| state.uid_hotkey_map.contains_key(uid));
    Ok((known.map(neuron).collect(), rules))
}

/// When the `count`-th registration comes, in days, if they come independently of each other at a steady rate: the times by which it came
/// with 5, 50 and 95 % (Erlang distribution). `None` for a rate or count of zero.
pub fn days_until(count: u32, registrations_per_day: f64) -> Option<[f64; 3]> {
    if count == 0 || registrations_per_day.is_nan() || registrations_per_day <= 0.0 || registrations_per_day.is_infinite() {
        return None;
    }
    Some([0.05, 0.5, 0.95].map(|part| erlang_quantile(count, part) / registrations_per_day))
}

/// By bisection: the mean is `count`, and the density beyond ten times that and fifty is nothing.
fn erlang_quantile(count: u32, part: f64) -> f64 {
    // ln((count - 1)!), once for all steps.
    let log_factorial: f64 = (1..count).map(|i| f64::from(i).ln()).sum();
    let (mut low, mut high) = (0.0, 10.0 * f64::from(count) + 50.0);
    // Until a double tells no more.
    while high - low > 1e-13 * high {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if 1.0 - fewer(count, middle, log_factorial) < part {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability of fewer than `count` events where `mean` are expected (Poisson). It sums the smaller tail from its greatest term on:
/// `exp(-mean)` may be too small for a number.
fn fewer(count: u32, mean: f64, log_factorial: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let n = f64::from(count);
    // Of count - 1 events.
    let mut term = ((n - 1.0) * mean.ln() - mean - log_factorial).exp();
    let mut sum = 0.0;
    if mean >= n {
        for i in (0..count).rev() {
            sum += term;
            term *= f64::from(i) / mean;
            if term <= f64::EPSILON * sum {
                break;
            }
        }
        return sum.min(1.0);
    }
    // So many or more: each next term is smaller by a factor below 1.
    for i in count..=u32::MAX {
        term *= mean / f64::from(i);
        sum += term;
        if term <= f64::EPSILON * sum {
            break;
        }
    }
    (1.0 - sum).max(0.0)
}
