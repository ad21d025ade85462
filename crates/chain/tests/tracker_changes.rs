//! Kinds of change, told apart by registration blocks, and the tenures that come of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chain::tracker::{
    analysis::{Analyzer, Counting},
    compare::{self, Class},
    snapshot::{Key, Snapshot, Subnet},
    tenure::{Life, Origin},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// An address of the right shape for a number.
fn key(number: u32) -> Key {
    let mut tail = String::new();
    let mut rest = number;
    for _ in 0..6 {
        tail.push(char::from(b'A' + u8::try_from(rest % 8).unwrap()));
        rest /= 8;
    }
    format!("5{}{tail}", "x".repeat(41)).parse().unwrap()
}

/// UIDs as (uid, hotkey, registration block).
fn state(block: u64, uids: &[(u16, u32, u64)]) -> Subnet {
    Subnet {
        uid_hotkey_map: uids.iter().map(|(uid, hotkey, _)| (*uid, key(*hotkey))).collect(),
        n_neurons: u32::try_from(uids.len()).unwrap(),
        block,
        registration_blocks: uids.iter().map(|(uid, _, at)| (*uid, *at)).collect(),
        ..Subnet::default()
    }
}

fn undated(mut state: Subnet) -> Subnet {
    state.registration_blocks = BTreeMap::new();
    state
}

fn classes(old: &Subnet, new: &Subnet) -> Vec<(u16, Class)> {
    compare::subnet(1, old, new).events.iter().map(|event| (event.uid, event.class)).collect()
}

#[test]
fn each_kind_of_change_is_told_by_its_registration_block() {
    let old = state(1000, &[(0, 10, 1), (1, 11, 2), (2, 12, 3), (3, 13, 4), (4, 14, 5)]);
    let new = state(
        2000,
        &[
            (0, 20, 1500), // a newcomer
            (1, 21, 2),    // another hotkey, no registration
            (2, 13, 1600), // was on 3, was pruned there, came back here
            (3, 22, 1700), // a newcomer in its old place
            (4, 14, 1800), // pruned and came back to the same place
            (5, 23, 1900), // a new place
        ],
    );
    let expected = [
        (0, Class::Replaced),
        (1, Class::Swapped),
        (2, Class::ReRegistered),
        (3, Class::Replaced),
        (4, Class::ReRegistered),
        (5, Class::Joined),
    ];
    assert_eq!(classes(&old, &new), expected);
    let change = compare::subnet(1, &old, &new);
    assert_eq!((change.counts.replacements, change.counts.new_registrations), (4, 1), "as the existing tracker counts");
    assert_eq!((change.events[2].previous_uid, change.events[2].registered_at), (Some(3), Some(1600)));
    assert_eq!(change.events[0].same_coldkey, None, "not said");
    let owned = |mut state: Subnet, owner: u32| {
        state.coldkeys = [(0, key(7)), (1, key(owner))].into();
        state
    };
    let change = compare::subnet(1, &owned(old.clone(), 7), &owned(new.clone(), 8));
    assert_eq!((change.events[0].same_coldkey, change.events[1].same_coldkey), (Some(true), Some(false)));
    let expected = [
        (0, Class::ReplacedOrSwapped),
        (1, Class::ReplacedOrSwapped),
        (2, Class::MovedOrReRegistered),
        (3, Class::ReplacedOrSwapped),
        (5, Class::Joined),
    ];
    assert_eq!(classes(&undated(old), &undated(new)), expected, "without the blocks only bounds are known");
}

#[test]
fn a_trim_moves_survivors_with_their_registration_blocks() {
    let old = state(1000, &[(0, 10, 1), (1, 11, 2), (2, 12, 3), (3, 13, 4)]);
    let new = state(2000, &[(0, 10, 1), (1, 13, 4)]);
    assert_eq!(classes(&old, &new), [(1, Class::Moved), (2, Class::Trimmed), (3, Class::Trimmed)]);
    let odd = state(2000, &[(0, 10, 1), (1, 13, 7), (2, 12, 3), (3, 99, 900)]);
    assert_eq!(classes(&old, &odd), [(1, Class::Unexplained), (3, Class::Unexplained)], "blocks that fit no story");
}

#[test]
fn a_netuid_that_was_given_to_another_subnet_starts_anew() {
    let old = state(1000, &[(0, 10, 1), (1, 11, 2)]);
    let mut new = state(2000, &[(0, 20, 1500)]);
    new.network_registered_at = Some(1500);
    let change = compare::subnet(1, &old, &new);
    assert!(change.new_generation && change.events.is_empty() && change.counts.total() == 0);
    let analyzer = watch(&[old, new]);
    assert_eq!(analyzer.analysis().subnets[0].new_generations, 1);
    assert_eq!(analyzer.analysis().subnets[0].periods, 0);
    assert!(analyzer.tenures().of(1).iter().all(|tenure| !tenure.ended), "nobody was pruned");
}

#[test]
fn what_is_told_of_a_subnet_is_not_of_one_that_had_its_netuid_before() {
    let mut states = [
        state(1000, &[(0, 10, 100), (1, 11, 200)]),
        state(2000, &[(0, 20, 1500), (1, 11, 200)]),
        state(3000, &[(0, 30, 2500)]),
        state(4000, &[(0, 30, 2500)]),
    ];
    for (state, burn_rao) in states.iter_mut().zip([7, 8, 9, 9]) {
        state.parameters.burn_rao = Some(burn_rao);
        state.network_registered_at = Some(if state.block < 3000 { 1 } else { 2400 });
    }
    let analyzer = watch(&states);
    assert_eq!(analyzer.tenures().lives(1, Origin::Registration), [Life { entry: 500, exit: 1500, ended: false }]);
    assert_eq!(analyzer.prices(1).iter().map(|sample| (sample.block, sample.burn_rao)).collect::<Vec<_>>(), [(3000, 9)]);
}

#[test]
fn swaps_and_moves_are_counted_and_no_competition() {
    let old = state(1000, &[(0, 10, 1), (1, 11, 2), (2, 12, 3), (3, 13, 4), (4, 14, 5)]);
    // 10 is swapped, 11 pruned for a newcomer, 12 pruned and back, 14 moves down as the owner trims.
    let new = state(8200, &[(0, 20, 1), (1, 21, 5000), (2, 12, 6000), (3, 14, 5)]);
    let analysis = watch(&[old.clone(), new.clone()]).analysis();
    let one = &analysis.subnets[0];
    assert_eq!((one.counts.replacements, one.counts.deregistrations, one.displaced), (3, 1, 2));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(one.replacements_per_day, 2.0) && near(one.replaced_percent, 40.0) && near(one.changes_per_day, 3.0), "{one:?}");
    let bounds = watch(&[undated(old), undated(new)]).analysis();
    assert_eq!((bounds.subnets[0].displaced, bounds.subnets[0].counts.replacements), (3, 3), "nobody knows");
}

fn watch(states: &[Subnet]) -> Analyzer {
    let mut analyzer = Analyzer::new("finney", Counting::Observed);
    for state in states {
        let snapshot = Snapshot { timestamp: state.block.to_string(), network: "finney".to_owned(), subnets: [(1, state.clone())].into() };
        analyzer.add("one", Ok(snapshot));
    }
    analyzer
}

#[test]
fn tenures_last_from_registration_until_the_successor_came() {
    let analyzer = watch(&[
        state(1000, &[(0, 10, 100), (1, 11, 200), (2, 12, 300)]),
        state(2000, &[(0, 20, 1500), (1, 21, 200), (2, 12, 300)]),
        state(4000, &[(0, 30, 3500), (1, 21, 200), (2, 12, 300)]),
    ]);
    let life = |entry, exit, ended| Life { entry, exit, ended };
    let mut lives = analyzer.tenures().lives(1, Origin::Registration);
    lives.sort_by_key(|life| (life.entry, life.exit));
    let expected = [
        life(500, 500 + 1500, true), // 20: from 1500, seen at 2000, pruned at 3500
        life(500, 500, false),       // 30: seen for no time yet, left out
        life(700, 3700, false),      // 12
        life(800, 3800, false),      // 11, swapped to 21: one tenure
        life(900, 1400, true),       // 10: from 100, seen at 1000, pruned at 1500
    ];
    assert_eq!(lives, expected.into_iter().filter(|life| life.exit > life.entry).collect::<Vec<_>>());
    let undated: Vec<Subnet> =
        [state(1000, &[(0, 10, 0), (1, 11, 0)]), state(2000, &[(0, 20, 0), (1, 11, 0)]), state(3000, &[(0, 30, 0), (1, 11, 0)])]
            .map(undated)
            .into();
    let tenures = watch(&undated).tenures().of(1);
    assert!(tenures.iter().any(|t| t.ended && t.undated_end && t.born == Some(1500) && t.until == 3000), "{tenures:?}");
    assert_eq!(watch(&undated).tenures().lives(1, Origin::Registration), [life(500, 1500, true)], "who was there before has no age");
    let rare = [undated[0].clone(), Subnet { block: 20_000, ..undated[1].clone() }];
    assert!(watch(&rare).tenures().of(1).iter().all(|t| t.born.is_none()), "nor has who came in some week or other");
    let undated_ends = |origin| watch(&rare).tenures().undated_ends(1, origin);
    assert_eq!((undated_ends(Origin::FirstSeen), undated_ends(Origin::Registration)), (1, 0), "of the lives that are counted");
}

#[test]
fn a_later_snapshot_dates_who_was_there_before() {
    // Files of the existing tracker first, then ours: 10 and 12 were there from the beginning, 21 came between the first two.
    let states = [
        undated(state(1000, &[(0, 10, 0), (1, 11, 0), (2, 12, 0)])),
        undated(state(2000, &[(0, 10, 0), (1, 21, 0), (2, 12, 0)])),
        state(3000, &[(0, 10, 100), (1, 21, 1900), (2, 12, 1500)]),
        state(4000, &[(0, 30, 3600), (1, 21, 1900), (2, 12, 1500)]),
    ];
    let mut lives = watch(&states).tenures().lives(1, Origin::Registration);
    lives.sort_by_key(|life| (life.entry, life.exit));
    let expected = [
        Life { entry: 100, exit: 2100, ended: false },  // 21: not from the middle between the snapshots
        Life { entry: 900, exit: 3500, ended: true },   // 10: from 100, seen from 1000 until 3600
        Life { entry: 1500, exit: 2500, ended: false }, // 12 registered again unseen: watched since the snapshot that says so
    ];
    assert_eq!(lives, expected);
}

#[test]
fn an_end_over_more_than_a_day_has_only_a_latest_date() {
    // Of a week nobody can say whether 20 came in one step, or after others on the same place.
    let week = [state(1000, &[(0, 10, 100), (1, 11, 200)]), state(51_400, &[(0, 20, 50_000), (1, 11, 200)])];
    let analyzer = watch(&week);
    let ended: Vec<_> = analyzer.tenures().of(1).into_iter().filter(|tenure| tenure.ended).collect();
    assert!(ended.len() == 1 && ended[0].until == 50_000 && ended[0].undated_end, "{ended:?}");
    assert_eq!(analyzer.tenures().undated_ends(1, Origin::Registration), 1);
    let day = [week[0].clone(), state(8200, &[(0, 20, 8000), (1, 11, 200)])];
    assert_eq!(watch(&day).tenures().undated_ends(1, Origin::Registration), 0, "within a day it is dated");
}

#[test]
fn the_owner_and_validators_are_no_miners_that_never_die() {
    let mut states = [1000, 2000].map(|block| state(block, &[(0, 10, 100), (1, 11, 200), (2, 12, 300)]));
    for state in &mut states {
        state.owner_uids = [0].into();
        state.validators = [1].into();
    }
    let analyzer = watch(&states);
    assert_eq!(analyzer.tenures().lives(1, Origin::Registration), [Life { entry: 700, exit: 1700, ended: false }]);
    let kinds: Vec<_> = analyzer.tenures().of(1).iter().map(|tenure| (tenure.owner, tenure.validator)).collect();
    assert_eq!(kinds, [(true, false), (false, true), (false, false)]);
}

#[test]
fn trimmed_tenures_are_censored_and_moved_ones_go_on() {
    let tenures = watch(&[
        state(1000, &[(0, 10, 100), (1, 11, 200), (2, 12, 300), (3, 13, 400)]),
        state(2000, &[(0, 10, 100), (1, 13, 400)]),
        state(3000, &[(0, 10, 100), (1, 30, 2500)]),
    ]);
    let tenures = tenures.tenures().of(1);
    let ended: Vec<_> = tenures.iter().filter(|tenure| tenure.ended).collect();
    assert_eq!(ended.len(), 1, "{tenures:?}");
    assert_eq!((ended[0].born, ended[0].first_seen, ended[0].until), (Some(400), 1000, 2500), "the survivor's, from its own registration");
    let trimmed = tenures.iter().filter(|tenure| tenure.until == 1000).count();
    assert_eq!(trimmed, 2, "{tenures:?}");
}

#[test]
fn a_subnet_that_is_missing_for_a_while_makes_one_longer_period() {
    let mut analyzer = watch(&[state(1000, &[(0, 10, 1)])]);
    analyzer.add(
        "gap",
        Ok(Snapshot { timestamp: "1500".to_owned(), network: "finney".to_owned(), subnets: [(2, state(1500, &[(0, 1, 1)]))].into() }),
    );
    analyzer.add(
        "late",
        Ok(Snapshot { timestamp: "8200".to_owned(), network: "finney".to_owned(), subnets: [(1, state(8200, &[(0, 11, 2000)]))].into() }),
    );
    let analysis = analyzer.analysis();
    let one = &analysis.subnets[0];
    assert_eq!((one.netuid, one.periods, one.counts.replacements), (1, 1, 1));
    assert!((one.days - 1.0).abs() < 1e-9 && (one.replacements_per_day - 1.0).abs() < 1e-9, "{one:?}");
    assert_eq!(analysis.ignored.iter().filter(|ignored| ignored.reason.starts_with("missing")).count(), 2);
}

/// What may happen to a subnet in a block.
#[derive(Clone, Debug)]
enum Deed {
    /// A newcomer, on a UID that is pruned or on a new one.
    Register(u16),
    /// The hotkey that was pruned last comes back.
    Return(u16),
    Swap(u16),
    Nothing,
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, bool)>> {
    let deed = prop_oneof![
        (0..12_u16).prop_map(Deed::Register),
        (0..12_u16).prop_map(Deed::Return),
        (0..12_u16).prop_map(Deed::Swap),
        Just(Deed::Nothing),
    ];
    proptest::collection::vec((deed, any::<bool>()), 1..60)
}

proptest! {
    #[test]
    fn blocks_that_no_chain_has_make_nothing_panic(blocks in proptest::collection::vec(any::<u64>(), 1..6), born in any::<u64>()) {
        let mut blocks = blocks;
        blocks.extend([0, u64::MAX]);
        blocks.sort_unstable();
        let states: Vec<Subnet> =
            blocks.iter().zip(10..).map(|(block, hotkey)| state(*block, &[(0, hotkey, born.min(*block)), (65535, 1, *block)])).collect();
        let analyzer = watch(&states);
        let _ = analyzer.analysis();
        let lives = analyzer.tenures().lives(1, Origin::Registration);
        let curve = chain::tracker::survival::kaplan_meier(&lives);
        let _ = (chain::tracker::survival::hazard(&lives, 7200), curve.mean_within(curve.to_age_blocks));
    }

    /// A chain with ten places, of which a snapshot is taken now and then.
    #[test]
    fn whatever_happens_is_classified_without_contradiction(deeds in deeds()) {
        let mut uids: Vec<(u16, u32, u64)> = (0..5).map(|uid| (uid, u32::from(uid), 1 + u64::from(uid))).collect();
        let (mut block, mut fresh, mut pruned) = (100_u64, 100_u32, Vec::new());
        let mut states = vec![state(block, &uids)];
        let mut registered = 0_u64;
        let (mut seen, mut registrations) = (0_u64, 0_u64);
        // UIDs with a swap, and with a registration, since the last snapshot.
        let (mut renamed, mut given) = (BTreeSet::new(), BTreeSet::new());
        for (deed, look) in deeds {
            block += 10;
            let place = |uid: u16, uids: &Vec<(u16, u32, u64)>| usize::from(uid) % (uids.len() + usize::from(uids.len() < 10));
            let mut enter = |uids: &mut Vec<(u16, u32, u64)>, at: usize, hotkey: u32, pruned: &mut Vec<u32>| {
                registrations += 1;
                given.insert(u16::try_from(at).unwrap());
                if at == uids.len() {
                    uids.push((u16::try_from(at).unwrap(), hotkey, block));
                } else {
                    pruned.push(uids[at].1);
                    uids[at] = (uids[at].0, hotkey, block);
                }
            };
            match deed {
                Deed::Register(uid) => {
                    fresh += 1;
                    let at = place(uid, &uids);
                    enter(&mut uids, at, fresh, &mut pruned);
                }
                Deed::Return(uid) => {
                    if let Some(hotkey) = pruned.pop() {
                        let at = place(uid, &uids);
                        enter(&mut uids, at, hotkey, &mut pruned);
                    }
                }
                Deed::Swap(uid) => {
                    fresh += 1;
                    let at = usize::from(uid) % uids.len();
                    uids[at].1 = fresh;
                    renamed.insert(uids[at].0);
                }
                Deed::Nothing => {}
            }
            if look {
                let next = state(block + 5, &uids);
                let change = compare::subnet(1, states.last().unwrap(), &next);
                for event in &change.events {
                    match event.class {
                        Class::Replaced | Class::ReRegistered | Class::Joined => registered += 1,
                        Class::Swapped => {}
                        other => prop_assert!(false, "{other:?} cannot be here: {event:?}"),
                    }
                }
                prop_assert_eq!(change.classes.values().sum::<u64>(), change.events.len() as u64);
                prop_assert_eq!(change.hotkeys.gained + change.old_uids, change.hotkeys.lost + change.new_uids);
                states.push(next);
                let swapped: BTreeSet<u16> = change.events.iter().filter(|e| e.class == Class::Swapped).map(|e| e.uid).collect();
                prop_assert_eq!(swapped, &renamed - &given, "swaps, and only these, unless the place was given to another after all");
                renamed.clear();
                given.clear();
                seen = registrations;
                block += 10;
            }
        }
        prop_assert!(registered <= seen, "no registration is seen that was not there");
        // Each UID is watched without a hole: tenures by UID lie end to end, at registrations.
        let analyzer = watch(&states);
        let ended = analyzer.tenures().of(1).iter().filter(|tenure| tenure.ended).count() as u64;
        prop_assert!(ended <= registered);
        for life in analyzer.tenures().lives(1, Origin::Registration) {
            prop_assert!(life.exit > life.entry && life.exit <= block);
        }
    }
}
