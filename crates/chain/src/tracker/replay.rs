//! States of a subnet out of the tenures that were seen on it: what a snapshot taken in that block would have shown.
//!
//! Who sits where, and since when, is that of the block. How somebody stands (validator, owner's, emission) is kept once for each tenure,
//! as of its end or of the last look.

use super::snapshot::{Key, Subnet};
use std::collections::{BTreeMap, BTreeSet};

/// A hotkey on a UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sat {
    /// Where.
    pub uid: u16,
    /// Who.
    pub hotkey: Key,
    /// Its owner.
    pub coldkey: Option<Key>,
    /// The block of its registration.
    pub registered_at: u64,
    /// The first block that shows it.
    pub from: u64,
    /// How long it sat there; `None` while it does.
    pub end: Option<SatUntil>,
    /// Whether it may set weights.
    pub validator: bool,
    /// Whether it is one of the owner's protected UIDs; `None` where that is not known.
    pub owner: Option<bool>,
    /// Alpha of the last epoch, in rao; `None` where that is not known.
    pub emission_rao: Option<u64>,
}

/// The end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SatUntil {
    /// The first block that shows it no more, or may not.
    pub at: u64,
    /// Whether the subnet was removed.
    pub with_the_subnet: bool,
}

/// Blocks that nobody saw: the first and the last.
pub type Unseen = (u64, u64);

/// The blocks between the first and the last in which the states differ from the one before, with these two, those at either side of what
/// nobody saw, and the last ones of subnets that were removed.
pub fn moments(sats: &[Sat], first: u64, last: u64, unseen: &[Unseen]) -> BTreeSet<u64> {
    let changes = sats.iter().flat_map(|sat| [Some(sat.from), sat.end.map(|end| end.at)]).flatten();
    let lasts = sats.iter().filter_map(|sat| sat.end.filter(|end| end.with_the_subnet)).map(|end| end.at.saturating_sub(1));
    let edges = unseen.iter().flat_map(|(from, to)| [from.saturating_sub(1), to.saturating_add(1)]);
    let there = |block: &u64| (first..=last).contains(block) && !unseen.iter().any(|(from, to)| (from..=to).contains(&block));
    [first, last].into_iter().chain(changes).chain(lasts).chain(edges).filter(there).collect()
}

/// The states in some blocks, in order; none for a block in which the subnet was not there.
pub fn states<'a>(sats: &'a [Sat], blocks: &'a BTreeSet<u64>) -> impl Iterator<Item = Subnet> + 'a {
    let mut by_beginning: Vec<&Sat> = sats.iter().collect();
    by_beginning.sort_by_key(|sat| sat.from);
    let mut coming = by_beginning.into_iter().peekable();
    let mut there: BTreeMap<u16, &Sat> = BTreeMap::new();
    let removed: BTreeSet<u64> = sats.iter().filter_map(|sat| sat.end.filter(|end| end.with_the_subnet)).map(|end| end.at).collect();
    blocks.iter().filter_map(move |block| {
        there.retain(|_, sat| sat.end.is_none_or(|end| end.at > *block));
        while let Some(sat) = coming.next_if(|sat| sat.from <= *block) {
            if sat.end.is_none_or(|end| end.at > *block) {
                there.insert(sat.uid, sat);
            }
        }
        // Whoever has its number now came no earlier than the last one went.
        let made_at = removed.range(..=*block).next_back().copied();
        (!there.is_empty()).then(|| state(*block, made_at, &there))
    })
}

fn state(block: u64, network_registered_at: Option<u64>, there: &BTreeMap<u16, &Sat>) -> Subnet {
    let that = |is: fn(&Sat) -> bool| there.values().filter(|sat| is(sat)).map(|sat| sat.uid).collect();
    let paid: Option<BTreeMap<u16, u64>> = there.iter().map(|(uid, sat)| Some((*uid, sat.emission_rao?))).collect();
    Subnet {
        uid_hotkey_map: there.iter().map(|(uid, sat)| (*uid, sat.hotkey.clone())).collect(),
        n_neurons: u32::try_from(there.len()).unwrap_or(u32::MAX),
        block,
        registration_blocks: there.iter().map(|(uid, sat)| (*uid, sat.registered_at)).collect(),
        coldkeys: there.iter().filter_map(|(uid, sat)| Some((*uid, sat.coldkey.clone()?))).collect(),
        emission_rao: paid.unwrap_or_default(),
        validators: that(|sat| sat.validator),
        owner_uids: that(|sat| sat.owner == Some(true)),
        network_registered_at,
        ..Subnet::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::compare;

    fn sat(uid: u16, key: char, from: u64, until: Option<u64>) -> Sat {
        let hotkey: Key = format!("5{}", key.to_string().repeat(47)).parse().unwrap();
        let end = until.map(|at| SatUntil { at, with_the_subnet: false });
        Sat { uid, hotkey, coldkey: None, registered_at: from, from, end, validator: false, owner: None, emission_rao: None }
    }

    fn told(sats: &[Sat], blocks: &[u64]) -> Vec<(u64, String)> {
        let blocks = blocks.iter().copied().collect();
        let who = |state: &Subnet| state.uid_hotkey_map.values().filter_map(|key| key.as_str().chars().nth(1)).collect();
        states(sats, &blocks).map(|state| (state.block, who(&state))).collect()
    }

    #[test]
    fn each_block_shows_who_sat_there_then() {
        // `c` came and went within block 20, and `d` came after it.
        let sats = [sat(0, 'a', 10, None), sat(1, 'b', 10, Some(20)), sat(1, 'c', 20, Some(20)), sat(1, 'd', 20, Some(30))];
        let all = moments(&sats, 10, 40, &[]);
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [10, 20, 30, 40]);
        let shown = |list: &[(u64, &str)]| list.iter().map(|(block, who)| (*block, (*who).to_owned())).collect::<Vec<_>>();
        assert_eq!(
            told(&sats, &[9, 10, 19, 20, 29, 30, 40]),
            shown(&[(10, "ab"), (19, "ab"), (20, "ad"), (29, "ad"), (30, "a"), (40, "a")])
        );
        assert_eq!(told(&sats, &[25]), shown(&[(25, "ad")]));
    }

    #[test]
    fn what_nobody_saw_is_no_moment_but_its_edges_are() {
        let sats = [sat(0, 'a', 10, Some(15)), sat(0, 'b', 31, None)];
        assert_eq!(moments(&sats, 10, 40, &[(15, 30)]).into_iter().collect::<Vec<_>>(), [10, 14, 31, 40]);
    }

    #[test]
    fn a_subnet_that_took_the_number_of_another_is_another() {
        let mut sats = [sat(0, 'a', 10, Some(20)), sat(0, 'b', 20, None)];
        let blocks = BTreeSet::from([19, 20]);
        let generation = |sats: &[Sat]| {
            let states: Vec<_> = states(sats, &blocks).collect();
            compare::subnet(64, &states[0], &states[1]).new_generation
        };
        assert!(!generation(&sats));
        sats[0].end = Some(SatUntil { at: 20, with_the_subnet: true });
        assert!(generation(&sats));
        // What did not change until it was removed was watched until then.
        assert_eq!(moments(&sats, 10, 40, &[]).into_iter().collect::<Vec<_>>(), [10, 19, 20, 40]);
    }
}
