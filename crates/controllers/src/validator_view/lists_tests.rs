use super::*;
use protocol::ids::ChuteId;
use std::collections::BTreeSet;
use validator::Completeness;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn listing<T>(items: Vec<T>, second: i64, complete: bool) -> Listing<T> {
    let completeness = if complete { Completeness::Complete } else { Completeness::Unknown("cut".into()) };
    Listing { items, completeness, bad_rows: 0, bad_ids: BTreeSet::new(), as_of: at(second) }
}

/// Lists 10 s apart count as two; a landslide takes 10 minutes.
fn spaced() -> View {
    View::new(std::time::Duration::from_secs(10), std::time::Duration::from_secs(600))
}

fn instance() -> InstanceRow {
    serde_json::from_value(serde_json::json!({"instance_id": "i1", "chute_id": "c1", "config_id": "cfg1"})).unwrap()
}

fn gpu() -> GpuUuid {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn occupied() -> InventoryRow {
    serde_json::from_value(serde_json::json!({"gpu_id": gpu()})).unwrap()
}

fn clear(view: &View, since: i64) -> bool {
    let (instance, config) = ("i1".parse().unwrap(), "cfg1".parse().unwrap());
    let gpus = [gpu()];
    view.clear_since(&Held { instance: Some(&instance), config: Some(&config), gpus: &gpus }, at(since)).is_some()
}

#[test]
fn absence_takes_two_complete_lists_and_the_inventory() {
    let mut view = View::default();
    view.instances(listing(vec![instance()], 10, true));
    view.inventory(listing(vec![occupied()], 10, true));
    assert!(!clear(&view, 0));
    view.instances(listing(vec![], 20, true));
    assert!(!clear(&view, 0), "one list");
    view.instances(listing(vec![], 30, true));
    assert!(!clear(&view, 0), "the inventory still has the GPU");
    view.inventory(listing(vec![], 30, true));
    assert!(clear(&view, 0));
    assert!(!clear(&view, 20), "a list that is not younger than the question proves nothing");
}

#[test]
fn a_partial_list_never_deletes() {
    let mut view = View::default();
    view.instances(listing(vec![instance()], 10, true));
    view.inventory(listing(vec![], 10, true));
    for second in [20, 30, 40] {
        view.instances(listing(vec![], second, false));
    }
    assert!(!clear(&view, 0));
    assert!(view.by_config(&"cfg1".parse().unwrap()).is_some());
}

#[test]
fn a_partial_list_that_names_it_beats_complete_lists_before() {
    let mut view = View::default();
    view.inventory(listing(vec![], 50, true));
    view.instances(listing(vec![], 20, true));
    view.instances(listing(vec![], 30, true));
    assert!(clear(&view, 0));
    view.instances(listing(vec![instance()], 40, false));
    assert!(!clear(&view, 0));
}

#[test]
fn a_list_with_an_unreadable_row_proves_nobodys_absence() {
    let mut view = View::default();
    view.inventory(listing(vec![], 50, true));
    for second in [20, 30] {
        view.instances(Listing { bad_rows: 1, ..listing(vec![], second, true) });
    }
    assert!(!clear(&view, 0));
}

#[test]
fn a_source_stays_as_old_as_its_last_complete_answer() {
    let mut view = View::default();
    view.instances(listing(vec![], 10, true));
    view.inventory(listing(vec![], 12, true));
    view.instances(listing(vec![], 20, false));
    assert_eq!(view.instances_source(), Source::complete(at(10)));
}

#[test]
fn a_gpu_is_gone_after_two_complete_lists() {
    let mut view = View::default();
    let node: NodeRow = serde_json::from_value(serde_json::json!({"uuid": gpu()})).unwrap();
    view.nodes(listing(vec![node], 10, true));
    view.nodes(listing(vec![], 20, true));
    assert!(!view.node_absent_since(&gpu(), at(0)));
    view.nodes(listing(vec![], 30, true));
    assert!(view.node_absent_since(&gpu(), at(0)));
    assert!(!view.node_absent_since(&gpu(), at(20)));
}

#[test]
fn a_gpu_that_was_listed_before_a_moment_is_not_listed_since() {
    let mut view = View::default();
    let node = || serde_json::from_value::<NodeRow>(serde_json::json!({"uuid": gpu()})).unwrap();
    view.nodes(listing(vec![node()], 10, true));
    // An empty list that may be silence leaves the row, and does not make it younger.
    view.nodes(listing(vec![], 20, false));
    assert!(view.nodes.contains_key(&gpu()) && view.nodes_heard() == Some(at(20)));
    assert!(view.node_since(&gpu(), at(9)).is_some());
    assert!(view.node_since(&gpu(), at(10)).is_none());
    view.nodes(listing(vec![node()], 30, false));
    assert!(view.node_since(&gpu(), at(29)).is_some());
    view.nodes(listing(vec![], 40, true));
    assert!(view.node_since(&gpu(), at(0)).is_none());
}

#[test]
fn many_lists_without_a_gpu_are_an_empty_list() {
    let mut view = View::default();
    let node: NodeRow = serde_json::from_value(serde_json::json!({"uuid": gpu()})).unwrap();
    view.nodes(listing(vec![node], 10, true));
    for second in [20, 30, 40] {
        view.nodes(listing(vec![], second, false));
    }
    assert!(view.nodes.contains_key(&gpu()));
    assert!(!view.node_absent_since(&gpu(), at(0)));
    view.nodes(listing(vec![], 50, false));
    assert!(!view.nodes.contains_key(&gpu()));
    assert!(view.node_absent_since(&gpu(), at(10)));
    assert!(!view.node_absent_since(&gpu(), at(20)));
    assert_eq!(view.nodes_source(), Source::complete(at(10)), "and yet the source does not get younger");
}

#[test]
fn lists_that_came_in_a_burst_count_as_one() {
    let mut view = spaced();
    view.inventory(listing(vec![], 99, true));
    for second in [20, 21, 22, 29] {
        view.instances(listing(vec![], second, true));
        assert!(!clear(&view, 0), "{second}");
    }
    view.instances(listing(vec![], 30, true));
    assert!(clear(&view, 0));
    view.instances(listing(vec![], 31, true));
    assert!(!clear(&view, 20), "what is asked for is proof from after 20");
}

#[test]
fn a_list_within_a_burst_that_names_it_is_not_forgotten() {
    let mut view = spaced();
    view.inventory(listing(vec![], 99, true));
    view.instances(listing(vec![], 20, true));
    view.instances(listing(vec![instance()], 21, true));
    view.instances(listing(vec![], 31, true));
    assert!(!clear(&view, 0));
}

#[test]
fn lists_that_lack_most_of_what_runs_are_told_from_single_ends() {
    let row = |id: &str| serde_json::from_value::<InstanceRow>(serde_json::json!({"instance_id": id, "chute_id": "c1"})).unwrap();
    let ids: Vec<InstanceId> = ["i1", "i2", "i3", "i4"].iter().map(|id| id.parse().unwrap()).collect();
    let mut view = View::default();
    let listed = |names: &[&str], second| listing(names.iter().map(|name| row(name)).collect(), second, true);
    view.instances(listed(&["i1", "i2", "i3"], 10));
    assert!(!view.lacks_most_of(&ids), "one of four");
    assert!(!view.lacks_most_of(&ids[3..]), "the only one there is");
    view.instances(listed(&["i1"], 20));
    assert!(view.lacks_most_of(&ids));
    view.instances(listed(&["i1"], 50));
    assert_eq!(view.lacked_for(&ids[0]), None);
    assert_eq!(view.lacked_for(&ids[1]), Some(SignedDuration::from_secs(30)));
    assert_eq!(view.lacked_for(&ids[3]), Some(SignedDuration::from_secs(40)), "never listed: since the first list");
    view.instances(listed(&["i1", "i2"], 60));
    view.instances(listed(&["i1"], 70));
    assert_eq!(view.lacked_for(&ids[1]), Some(SignedDuration::ZERO), "a list that has it begins anew");
}

fn chutes(ids: &[&str], second: i64) -> Listing<ChuteRow> {
    let row = |id: &&str| serde_json::from_value(serde_json::json!({ "chute_id": id, "version": "v" })).unwrap();
    listing(ids.iter().map(row).collect(), second, true)
}

fn no_chutes(second: i64) -> Listing<ChuteRow> {
    Listing { completeness: Completeness::Silent, ..listing(vec![], second, true) }
}

fn chute(id: &str) -> ChuteId {
    id.parse().unwrap()
}

/// At some second: the validator knows a GPU of ours and holds nothing on it.
fn sees_us(view: &mut View, second: i64) {
    let node: NodeRow = serde_json::from_value(serde_json::json!({ "uuid": gpu() })).unwrap();
    view.instances(listing(vec![], second, true));
    view.inventory(listing(vec![], second, true));
    view.nodes(listing(vec![node], second, true));
}

/// Lists of chutes without a row at these seconds, after these chutes were listed at second 0; whether they were believed.
fn believed(listed: &[&str], seconds: &[i64], before_each: impl Fn(&mut View, i64)) -> bool {
    let mut view = spaced();
    view.chutes(chutes(listed, 0));
    for second in seconds {
        before_each(&mut view, *second);
        view.chutes(no_chutes(*second));
        assert!(view.offers.came_empty());
    }
    let source = view.offers.source();
    let kept = listed.iter().all(|id| view.offers.get(&chute(id)).is_some());
    let believed = source == Source::complete(at(*seconds.last().unwrap()));
    assert_eq!(kept, !believed || listed.is_empty(), "a list that is not believed takes nothing away");
    assert!(believed || source == Source::complete(at(0)), "nor does it make the source younger");
    believed
}

#[test]
fn two_lists_without_a_chute_take_the_last_one_if_all_else_fits() {
    assert!(!believed(&["c"], &[30], sees_us), "one list");
    assert!(!believed(&["c"], &[30, 35], sees_us), "two of one moment");
    assert!(believed(&["c"], &[30, 60], sees_us));
    assert!(!believed(&["c", "d"], &[30, 60, 90, 120], sees_us), "two chutes at once look like a wiped validator");
    assert!(!believed(&["c"], &[30, 60, 90], |_, _| ()), "nothing else was heard");
    assert!(!believed(&["c"], &[30, 60, 90], |view, _| sees_us(view, 20)), "it was heard before");
    let no_gpus = |view: &mut View, second| {
        sees_us(view, second);
        view.nodes(Listing { completeness: Completeness::Silent, ..listing(vec![], second, true) });
        view.nodes = BTreeMap::new();
    };
    assert!(!believed(&["c"], &[30, 60, 90], no_gpus), "a validator that knows no GPU either is blind");
    let still_runs = |view: &mut View, second| {
        sees_us(view, second);
        view.instances(listing(vec![instance()], second, true));
    };
    assert!(!believed(&["c"], &[30, 60, 90], still_runs), "it lists an instance of what it does not list");
}

#[test]
fn that_all_chutes_went_at_once_is_believed_after_a_long_while_only() {
    let minutes: Vec<i64> = (1..=10).map(|minute| minute * 60).collect();
    assert!(!believed(&["c", "d"], &minutes, |_, _| ()), "9 minutes");
    let minutes: Vec<i64> = (1..=11).map(|minute| minute * 60).collect();
    assert!(believed(&["c", "d"], &minutes, |_, _| ()));
    let mut view = spaced();
    view.chutes(chutes(&["c", "d"], 0));
    view.chutes(no_chutes(60));
    // A row in between, be it of a broken list, and all begins anew; a list cut before its first row says nothing.
    view.chutes(Listing { completeness: Completeness::Unknown("cut".into()), ..chutes(&["c"], 300) });
    assert!(!view.offers.came_empty());
    view.chutes(no_chutes(360));
    view.chutes(listing(vec![], 420, false));
    assert!(view.offers.came_empty());
    view.chutes(no_chutes(900));
    assert_eq!(view.offers.source(), Source::complete(at(0)));
    view.chutes(no_chutes(960));
    assert_eq!(view.offers.source(), Source::complete(at(960)));
}

#[test]
fn a_chute_is_named_by_every_list_that_has_it() {
    let mut view = spaced();
    let named = |view: &View| view.offers.named_at(&chute("c"));
    assert_eq!(named(&view), None);
    view.chutes(chutes(&["c", "d"], 10));
    view.chutes(Listing { completeness: Completeness::Unknown("cut".into()), ..chutes(&["c"], 20) });
    assert_eq!(named(&view), Some(at(20)));
    view.chutes(no_chutes(30));
    assert_eq!(named(&view), Some(at(20)));
    view.chutes(chutes(&["d"], 40));
    assert_eq!(named(&view), None);
}

#[test]
fn demand_is_as_old_as_its_last_answer_and_what_it_lacks_is_not_known() {
    let mut view = spaced();
    let row = |id: &str, more: u32| serde_json::from_value(serde_json::json!({ "chute_id": id, "scale_allowance": more })).unwrap();
    assert_eq!(view.offers.wanted_source(), Source::default());
    view.utilization(listing(vec![row("c", 2), row("d", 0)], 10, true));
    assert_eq!(view.offers.allowance(&chute("c")).map(|allowance| allowance.more), Some(2));
    assert_eq!(view.offers.wanted_source(), Source::complete(at(10)));
    view.utilization(Listing { bad_rows: 1, ..listing(vec![row("d", 1)], 20, true) });
    assert_eq!(view.offers.allowance(&chute("c")), None);
    assert_eq!(view.offers.allowance(&chute("d")).map(|allowance| allowance.more), Some(1));
    assert_eq!(view.offers.wanted_source(), Source { as_of: Some(at(20)), complete: false });
}

fn unreadable<T>(mut listing: Listing<T>, id: &str) -> Listing<T> {
    listing.bad_rows = 1;
    listing.bad_ids.insert(id.to_owned());
    listing
}

/// Whether the lists tell at second `now` of an instance that nobody has seen yet, and of the one that is listed.
fn tells(view: &View, now: i64) -> (bool, bool) {
    let (config, gpus, listed) = ("cfg1".parse().unwrap(), [gpu()], instance().instance_id);
    let held = Held { instance: None, config: Some(&config), gpus: &gpus };
    let oldest = std::time::Duration::from_secs(90);
    (view.tells_of(&held, None, at(now), oldest), view.tells_of(&held, Some(&listed), at(now), oldest))
}

#[test]
fn lists_with_a_row_that_cannot_be_read_tell_nothing_of_its_instance() {
    let mut view = View::default();
    view.inventory(listing(vec![], 130, true));
    view.instances(listing(vec![], 100, true));
    view.instances(listing(vec![], 115, true));
    assert_eq!(tells(&view, 130), (true, false), "two whole lists without it");
    for second in (130..300).step_by(15) {
        view.instances(unreadable(listing(vec![], second, true), "i1"));
        view.inventory(listing(vec![], second, true));
    }
    assert_eq!(tells(&view, 300), (false, false), "the whole lists are from long before");
    view.instances(listing(vec![instance()], 300, true));
    assert_eq!(tells(&view, 301), (false, true));
    for second in (315..420).step_by(15) {
        view.instances(unreadable(listing(vec![], second, true), "i1"));
    }
    assert!(view.instances.contains_key(&instance().instance_id), "its last row is still there");
    assert_eq!(tells(&view, 420), (false, false), "but it is not how it stands now");
}

#[test]
fn a_row_of_the_inventory_that_cannot_be_read_still_holds_its_gpu() {
    let mut view = View::default();
    for second in [10, 20] {
        view.instances(listing(vec![], second, true));
    }
    view.inventory(unreadable(listing(vec![], 20, true), "GPU-01234567-89ab-cdef-0123-456789abcdef"));
    assert!(!clear(&view, 0), "it is ours");
    view.inventory(unreadable(listing(vec![], 20, true), "of no GPU"));
    assert!(!clear(&view, 0), "whose it is cannot be said");
    view.inventory(unreadable(listing(vec![], 20, true), "ffffffffffffffffffffffffffffffff"));
    assert!(clear(&view, 0), "it is another's");
}
