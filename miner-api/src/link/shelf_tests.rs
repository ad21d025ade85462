//! The withdrawn rule as a table of stories.

use super::*;

const VALIDATOR: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

fn spec(id: &str, version: &str) -> ChuteSpec {
    ChuteSpec {
        validator: VALIDATOR.parse().unwrap(),
        chute_id: id.parse().unwrap(),
        version: version.parse().unwrap(),
        name: id.to_owned(),
        image: "user/image:1".to_owned(),
        ref_str: "a:b".to_owned(),
        chutes_version: None,
        gpu_count: 1,
        supported_gpus: vec![],
        tee: false,
        public: true,
        disk_gib: None,
        listing: Listing::Listed,
    }
}

fn shelf() -> Shelf {
    Shelf::new(SignedDuration::from_secs(60))
}

fn known(spec: ChuteSpec) -> Arc<Chute> {
    Arc::new(Chute::new(&resource_name(&spec.chute_id), spec))
}

/// What happens, in order, to the one known chute `c`. Times are seconds.
enum Step {
    /// A list that lacks it: complete or not.
    Lacks { at: i64, complete: bool },
    /// A complete list that has it.
    Has { at: i64 },
    /// A complete list whose row for it could not be read.
    Unreadable { at: i64 },
}
use Step::{Has, Lacks, Unreadable};

fn asks_after(steps: &[Step]) -> bool {
    let mut shelf = shelf();
    let chute = known(spec("c", "v1"));
    let mut asked = false;
    for step in steps {
        let (at, specs, anyway, complete) = match step {
            Lacks { at, complete } => (at, vec![spec("other", "v1")], BTreeSet::new(), *complete),
            Has { at } => (at, vec![spec("c", "v1")], BTreeSet::new(), true),
            Unreadable { at } => (at, vec![], BTreeSet::from(["c".to_owned()]), true),
        };
        let seen = Seen { specs: &specs, listed_anyway: &anyway, complete, empty: false };
        asked =
            !shelf.plan(&seen, std::slice::from_ref(&chute), Some(&BTreeSet::new()), Timestamp::from_second(*at).unwrap()).ask.is_empty();
    }
    asked
}

#[test]
fn only_two_consecutive_complete_lists_some_time_apart_lead_to_the_question() {
    let lacks = |at| Lacks { at, complete: true };
    let cut = |at| Lacks { at, complete: false };
    for (name, steps, asks) in [
        ("one list", vec![lacks(0)], false),
        ("two lists a minute apart", vec![lacks(0), lacks(60)], true),
        ("two lists within a second are one look", vec![lacks(0), lacks(1)], false),
        ("and a later one makes two", vec![lacks(0), lacks(1), lacks(20)], true),
        ("incomplete lists never count", vec![cut(0), cut(60), cut(120), cut(180)], false),
        ("an incomplete one in between neither counts nor resets", vec![lacks(0), cut(60), lacks(120)], true),
        ("one that has it resets", vec![lacks(0), Has { at: 60 }, lacks(120)], false),
        ("an unreadable row is a row", vec![lacks(0), Unreadable { at: 60 }, lacks(120)], false),
        ("incomplete at the end asks nothing", vec![lacks(0), lacks(60), cut(120)], false),
    ] {
        assert_eq!(asks_after(&steps), asks, "{name}");
    }
}

fn missing_twice(chute: &Arc<Chute>) -> Shelf {
    let mut shelf = shelf();
    for at in [0, 60] {
        let seen = Seen { specs: &[], listed_anyway: &BTreeSet::new(), complete: true, empty: true };
        shelf.plan(&seen, std::slice::from_ref(chute), Some(&BTreeSet::new()), Timestamp::from_second(at).unwrap());
    }
    shelf
}

#[test]
fn only_the_validators_own_404_withdraws() {
    let chute = known(spec("c", "v1"));
    let withdrawn = missing_twice(&chute).answered(&chute, Answer::Gone).unwrap();
    assert_eq!(withdrawn, ChuteSpec { listing: Listing::Withdrawn, ..spec("c", "v1") });
    assert_eq!(missing_twice(&chute).answered(&chute, Answer::Silent), None);
    assert_eq!(missing_twice(&chute).answered(&chute, Answer::Offered(Box::new(spec("c", "v1")))), None);
    let newer = missing_twice(&chute).answered(&chute, Answer::Offered(Box::new(spec("c", "v2"))));
    assert_eq!(newer, Some(spec("c", "v2")));
    assert_eq!(shelf().answered(&chute, Answer::Gone), None, "a 404 without two lists proves nothing");
}

/// Whether a chute withdrawn since second 0 is deleted at a later list.
fn deleted_at(at: i64, complete: bool, in_use: Option<&[&str]>) -> bool {
    let mut shelf = shelf();
    let chute = known(ChuteSpec { listing: Listing::Withdrawn, ..spec("c", "v1") });
    let in_use: Option<BTreeSet<ChuteId>> = in_use.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect());
    let mut plan = Plan::default();
    for (second, complete) in [(0, true), (at, complete)] {
        let seen = Seen { specs: &[], listed_anyway: &BTreeSet::new(), complete, empty: complete };
        plan = shelf.plan(&seen, std::slice::from_ref(&chute), in_use.as_ref(), Timestamp::from_second(second).unwrap());
    }
    assert!(plan.write.is_empty() && plan.ask.is_empty());
    !plan.delete.is_empty()
}

#[test]
fn a_withdrawn_chute_goes_when_unused_for_a_minute_and_never_on_a_blind_spot() {
    assert!(deleted_at(61, true, Some(&[])));
    assert!(!deleted_at(60, true, Some(&[])), "too early");
    assert!(!deleted_at(600, true, Some(&["c"])), "still in use");
    assert!(!deleted_at(600, true, None), "nobody knows what is in use");
    assert!(!deleted_at(600, false, Some(&[])), "an incomplete list");
    assert!(deleted_at(600, true, Some(&["other"])));
}

#[test]
fn a_chute_that_comes_back_is_listed_again_and_an_unchanged_one_is_not_written() {
    let mut shelf = shelf();
    let chutes = [
        known(ChuteSpec { listing: Listing::Withdrawn, ..spec("back", "v1") }),
        known(spec("same", "v1")),
        known(spec("new-version", "v1")),
    ];
    let specs = [spec("back", "v1"), spec("same", "v1"), spec("new-version", "v2"), spec("new", "v1")];
    for complete in [true, false] {
        let seen = Seen { specs: &specs, listed_anyway: &BTreeSet::new(), complete, empty: false };
        let plan = shelf.plan(&seen, &chutes, None, Timestamp::UNIX_EPOCH);
        let written: Vec<_> = plan.write.iter().map(|spec| spec.chute_id.as_str()).collect();
        assert_eq!(written, ["back", "new", "new-version"], "complete: {complete}");
        assert!(plan.ask.is_empty() && plan.delete.is_empty());
    }
}

/// Which of the listed chutes are asked about after the last of these lists. Each list: when it came, and what it has, all of it.
fn asked_after(known_ids: &[&str], lists: &[(i64, &[&str])]) -> Vec<String> {
    let mut shelf = shelf();
    let chutes: Vec<_> = known_ids.iter().map(|id| known(spec(id, "v1"))).collect();
    let mut plan = Plan::default();
    for (at, ids) in lists {
        let specs: Vec<_> = ids.iter().map(|id| spec(id, "v1")).collect();
        // As validators write them: without a row, and without a word for that.
        let seen = Seen { specs: &specs, listed_anyway: &BTreeSet::new(), complete: !ids.is_empty(), empty: ids.is_empty() };
        plan = shelf.plan(&seen, &chutes, Some(&BTreeSet::new()), Timestamp::from_second(*at).unwrap());
    }
    plan.ask.iter().map(|(id, _)| id.to_string()).collect()
}

#[test]
fn the_last_chute_goes_as_any_other_does() {
    assert_eq!(asked_after(&["c"], &[(0, &["c"]), (60, &[]), (120, &[])]), ["c"]);
    assert!(asked_after(&["c"], &[(0, &["c"]), (60, &[])]).is_empty(), "one list");
    assert!(asked_after(&["c"], &[(60, &[]), (70, &[])]).is_empty(), "two of one moment");
    assert!(asked_after(&["c"], &[(60, &[]), (90, &["c"]), (120, &[])]).is_empty(), "one that has it resets");
    // The one before it went while there were others, the last one after that.
    assert_eq!(asked_after(&["b", "c"], &[(0, &["b", "c"]), (60, &["c"]), (120, &[])]), ["b"]);
    assert_eq!(asked_after(&["b", "c"], &[(0, &["b", "c"]), (60, &["c"]), (120, &[]), (180, &[])]), ["b", "c"]);
}

#[test]
fn that_many_chutes_went_at_once_takes_ten_minutes_of_empty_lists() {
    let known = ["a", "b", "c"];
    let minutes = |n: i64| (0..=n).map(|minute| (minute * 60, &[][..])).collect::<Vec<(i64, &[&str])>>();
    assert!(asked_after(&known, &minutes(9)).is_empty());
    assert_eq!(asked_after(&known, &minutes(10)), known);
    let mut broken = minutes(11);
    broken[5].1 = &["a", "b", "c"];
    assert!(asked_after(&known, &broken).is_empty(), "a list that has them begins it anew");
    // Lists that have others are no blind spot.
    assert_eq!(asked_after(&known, &[(0, &["a"]), (60, &["a"])]), ["b", "c"]);
}

#[test]
fn what_was_lacked_once_is_looked_at_again_soon() {
    let mut shelf = shelf();
    let chutes = [known(spec("c", "v1"))];
    for (at, again) in [(0, true), (5, true), (20, false), (80, false)] {
        let seen = Seen { specs: &[spec("other", "v1")], listed_anyway: &BTreeSet::new(), complete: true, empty: false };
        let plan = shelf.plan(&seen, &chutes, None, Timestamp::from_second(at).unwrap());
        assert_eq!(plan.look_again, again, "{at}");
    }
}
