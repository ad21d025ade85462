use super::*;
use std::collections::BTreeSet;
use validator::Completeness;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn listing<T>(items: Vec<T>, second: i64, complete: bool) -> Listing<T> {
    let completeness = if complete { Completeness::Complete } else { Completeness::Unknown("cut".into()) };
    Listing { items, completeness, bad_rows: 0, bad_ids: BTreeSet::new(), as_of: at(second) }
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
    let mut view = View::new(std::time::Duration::from_secs(10));
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
    let mut view = View::new(std::time::Duration::from_secs(10));
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
