use super::*;

fn place(hotkey: u8, registered_at: u64) -> Place {
    Place { hotkey: AccountId([hotkey; 32]), coldkey: Some(AccountId([200; 32])), registered_at, standing: Standing::default() }
}

fn places(of: &[(u16, Place)]) -> Places {
    of.iter().copied().collect()
}

fn step(since: u64, new_generation: bool) -> Step {
    Step { netuid: 64, since, block: 100, new_generation }
}

fn compare(before: &Places, after: &Places) -> Changes {
    let mut changes = Changes::default();
    changes.compare(&step(99, false), before, after, &[]);
    changes
}

type Ends = Vec<(u16, End, u64)>;
type Beginnings = Vec<(u16, u64, Option<u16>)>;

/// UID, kind and block of what ended; UID, block and origin of what began.
fn told(changes: &Changes) -> (Ends, Beginnings) {
    let closed = changes.closed.iter().map(|one| (one.uid, one.end, one.at)).collect();
    (closed, changes.opened.iter().map(|one| (one.uid, one.from, one.continues)).collect())
}

#[test]
fn a_first_look_opens_what_is_there_from_that_block_on() {
    let after = places(&[(0, place(1, 7)), (1, place(2, 9))]);
    assert_eq!(told(&compare(&Places::new(), &after)), (vec![], vec![(0, 100, None), (1, 100, None)]));
    assert!(compare(&after, &after).is_empty());
}

#[test]
fn registrations_replace_and_join_and_a_late_one_is_dated_by_the_chain() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 9)), (2, place(3, 9))]);
    let after = places(&[(0, place(4, 100)), (1, place(5, 98)), (2, place(3, 100)), (3, place(1, 100))]);
    let (closed, opened) = told(&compare(&before, &after));
    // UID 2 was pruned and the same hotkey came back to it; the hotkey of UID 0 came back on another.
    assert_eq!(closed, [(0, End::Replaced, 100), (1, End::Replaced, 98), (2, End::Replaced, 100)]);
    assert_eq!(opened, [(0, 100, None), (1, 98, None), (2, 100, None), (3, 100, None)]);
}

#[test]
fn swaps_and_sales_go_on_and_permits_are_noted() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 9)), (2, place(3, 9))]);
    let sold = Place { coldkey: None, ..place(2, 9) };
    let may = Standing { validator: true, ..Standing::default() };
    let after = places(&[(0, place(4, 7)), (1, sold), (2, Place { standing: may, ..place(3, 9) })]);
    let changes = compare(&before, &after);
    assert_eq!(told(&changes), (vec![(0, End::Swapped, 100), (1, End::Sold, 100)], vec![(0, 100, Some(0)), (1, 100, Some(1))]));
    assert_eq!(changes.standings, [(64, 2, may)]);
}

#[test]
fn two_hotkeys_that_trade_their_uids_by_a_trim_move() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 9)), (2, place(3, 50)), (3, place(4, 60))]);
    let after = places(&[(0, place(1, 7)), (1, place(4, 60))]);
    let (closed, opened) = told(&compare(&before, &after));
    // UID 1 lost its hotkey to the trim, not to the survivor, although that one is younger.
    assert_eq!(closed, [(1, End::Trimmed, 100), (2, End::Trimmed, 100), (3, End::Moved, 100)]);
    assert_eq!(opened, [(1, 100, Some(3))]);
}

#[test]
fn a_trim_and_a_registration_in_one_block_are_one_of_each() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 8)), (2, place(3, 9))]);
    // UID 1 was trimmed, UID 2 moved there and was pruned: in the order of the block. The states do not tell these two apart.
    let after = places(&[(0, place(1, 7)), (1, place(4, 100))]);
    let (closed, opened) = told(&compare(&before, &after));
    assert_eq!(closed, [(1, End::Replaced, 100), (2, End::Trimmed, 100)]);
    assert_eq!(opened, [(1, 100, None)]);
    // The newcomer came first, and a survivor was moved.
    let after = places(&[(0, place(4, 100)), (1, place(3, 9))]);
    let (closed, _) = told(&compare(&before, &after));
    assert_eq!(closed, [(0, End::Replaced, 100), (1, End::Trimmed, 100), (2, End::Moved, 100)]);
}

#[test]
fn a_trim_among_uids_of_one_block_is_no_swap() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 7)), (2, place(3, 7))]);
    let after = places(&[(0, place(2, 7)), (1, place(3, 7))]);
    let (closed, opened) = told(&compare(&before, &after));
    assert_eq!(closed, [(0, End::Trimmed, 100), (1, End::Moved, 100), (2, End::Moved, 100)]);
    assert_eq!(opened, [(0, 100, Some(1)), (1, 100, Some(2))]);
}

#[test]
fn a_new_generation_goes_on_with_nothing() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 9))]);
    let after = places(&[(0, place(1, 100))]);
    let mut changes = Changes::default();
    changes.compare(&step(99, true), &before, &after, &[]);
    let (closed, opened) = told(&changes);
    assert_eq!(closed, [(0, End::NetworkRemoved, 100), (1, End::NetworkRemoved, 100)]);
    assert_eq!(opened, [(0, 100, None)]);
}

#[test]
fn who_came_and_went_within_a_block_is_not_forgotten() {
    let (before, after) = (places(&[(0, place(1, 7))]), places(&[(0, place(3, 100))]));
    let mut changes = Changes::default();
    changes.compare(&step(99, false), &before, &after, &[(0, place(2, 100)), (0, place(3, 100))]);
    let passed: Vec<(u8, bool)> = changes.opened.iter().map(|one| (one.place.hotkey.0[0], one.passed)).collect();
    assert_eq!(passed, [(2, true), (3, false)]);
    assert_eq!(changes.closed.len(), 1);
}

#[test]
fn over_blocks_that_were_left_out_no_end_has_a_moment_and_no_newcomer_was_seen_before() {
    let before = places(&[(0, place(1, 7)), (1, place(2, 9)), (2, place(3, 10)), (3, place(4, 11)), (4, place(5, 12))]);
    // UID 1 was replaced, UID 2 swapped, and what became of UIDs 3 and 4 cannot be told: the survivor of UID 4 sits on UID 3.
    let after = places(&[(0, place(1, 7)), (1, place(6, 60)), (2, place(7, 10)), (3, place(5, 12))]);
    let mut changes = Changes::default();
    changes.compare(&step(40, false), &before, &after, &[]);
    let closed: Vec<_> = changes.closed.iter().map(|one| (one.uid, one.end, one.at, one.last_seen)).collect();
    let since = Some(40);
    assert_eq!(
        closed,
        [(1, End::Replaced, 60, since), (2, End::Swapped, 100, since), (3, End::Unseen, 100, since), (4, End::Moved, 100, since)]
    );
    assert_eq!(told(&changes).1, [(1, 100, None), (2, 100, Some(2)), (3, 100, Some(4))]);
    // The next block is no such thing.
    assert!(compare(&before, &after).closed.iter().all(|one| one.last_seen.is_none() && one.end != End::Unseen));
}
