//! Snapshot files and what two real ones say; what is broken says nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/finney.rs"]
mod finney;

use chain::tracker::{
    analysis::{Analyzer, Counting, SortBy},
    compare::{self, Class, Counts, Hotkeys},
    folder,
    snapshot::{Fault, Snapshot, SnapshotError},
    survival::kaplan_meier,
    tenure::Origin,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, fs, io::Write as _, path::Path};

const EMPTY: &str = "{\n  \"timestamp\": \"2026-01-07T16:43:49.519553\",\n  \"network\": \"finney\",\n  \"subnets\": {}\n}";

fn sha256(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn analyze(folder: &Path, counting: Counting) -> Analyzer {
    let mut analyzer = Analyzer::new("finney", counting);
    for (path, snapshot) in folder::stream(folder).unwrap() {
        analyzer.add(&path.file_name().unwrap().to_string_lossy(), snapshot);
    }
    analyzer
}

#[test]
fn files_are_written_byte_for_byte_as_the_existing_tracker_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let paths = finney::write(folder.path());
    assert_eq!(paths[0].file_name().unwrap(), "snapshot_2026-01-07T16-51-25.035280.json");
    assert_eq!(paths[1].file_name().unwrap(), "snapshot_2026-01-11T19-02-25.537423.json");
    assert_eq!(sha256(&paths[0]), "cb935f7fd73d50922e6d71c574cd8e47e5efd06b4292969b8b08782dfafdcd51");
    assert_eq!(sha256(&paths[1]), "8f98e159531677449440814782ecfe20a5038904eac9e855ccccef3ee562c238");
    assert_eq!(Snapshot::parse(EMPTY.as_bytes()).unwrap().to_json().unwrap(), EMPTY);
    let again = finney::snapshots()[0].write(folder.path());
    assert!(matches!(again, Err(SnapshotError::Io(_))), "a snapshot is never overwritten");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing unfinished stays");
}

#[test]
fn the_two_real_snapshots_have_the_known_totals() {
    let folder = tempfile::tempdir().unwrap();
    finney::write(folder.path());
    let mut analysis = analyze(folder.path(), Counting::Observed).analysis();
    assert_eq!(analysis.total, Counts { replacements: 2165, deregistrations: 249, new_registrations: 133 });
    assert_eq!(analysis.hotkeys, Hotkeys { lost: 1917, gained: 1801, moved: 497 });
    assert_eq!((analysis.snapshots, analysis.subnets.len(), analysis.ignored.len()), (2, 129, 0));
    assert_eq!(analysis.subnets.iter().filter(|one| one.changes > 0).count(), 117);
    for (netuid, replacements, lost, moved, percent) in [
        (1, 246, 168, 78, 96.1),
        (83, 116, 72, 44, 45.3),
        (21, 96, 90, 6, 37.5),
        (68, 58, 18, 40, 90.6),
        (92, 76, 76, 0, 47.5),
        (64, 13, 13, 0, 5.1),
    ] {
        let one = &analysis.subnets[netuid];
        assert_eq!(
            (usize::from(one.netuid), one.counts.replacements, one.hotkeys.lost, one.hotkeys.moved),
            (netuid, replacements, lost, moved)
        );
        assert!((one.replaced_percent - percent).abs() < 0.05, "{netuid}: {}", one.replaced_percent);
        assert!(one.periods == 1 && (one.days - 4.09).abs() < 0.005, "{one:?}");
    }
    assert!((analysis.subnets[1].hotkeys_lost_percent - 65.6).abs() < 0.05);
    // 256 UIDs became 7, and no hotkey kept its UID: not competition, but a subnet that was trimmed or taken down.
    let torn_down = &analysis.subnets[38];
    assert_eq!((torn_down.counts.deregistrations, torn_down.hotkeys.lost, torn_down.classes[&Class::Trimmed]), (249, 251, 249));
    analysis.sort(SortBy::Replacements);
    assert_eq!(analysis.subnets[..3].iter().map(|one| one.netuid).collect::<Vec<_>>(), [1, 83, 21]);
    analysis.sort(SortBy::Percentage);
    assert_eq!(analysis.subnets[..4].iter().map(|one| one.netuid).collect::<Vec<_>>(), [1, 68, 92, 83]);
    analysis.sort(SortBy::Deregistrations);
    assert_eq!(analysis.subnets[0].netuid, 38);
    analysis.sort(SortBy::Changes);
    assert_eq!(analysis.subnets[..2].iter().map(|one| one.netuid).collect::<Vec<_>>(), [38, 1]);
}

#[test]
fn failed_partial_and_repeated_snapshots_make_no_period() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = finney::snapshots();
    finney::write(folder.path());
    let clean = analyze(folder.path(), Counting::Observed).analysis();
    let put = |time: &str, text: &str| fs::write(folder.path().join(format!("snapshot_2026-01-{time}.json")), text).unwrap();
    put("07T16-43-49.519553", EMPTY);
    put("07T16-50-26.735863", EMPTY);
    put("08T00-00-00.000000", EMPTY);
    put("09T00-00-00.000000", "{ \"timestamp\": \"2026-01-0");
    put("09T01-00-00.000000", "");
    put("12T00-00-00.000000", &new.to_json().unwrap());
    put("12T01-00-00.000000", &Snapshot { network: "test".to_owned(), ..new.clone() }.to_json().unwrap());
    let mut torn = old.clone();
    torn.timestamp = "2026-01-10T00:00:00".to_owned();
    torn.subnets.retain(|netuid, _| *netuid < 3);
    torn.subnets.values_mut().for_each(|subnet| subnet.block += 15_000);
    torn.subnets.get_mut(&1).unwrap().uid_hotkey_map.retain(|uid, _| *uid < 100);
    let two = torn.subnets.get_mut(&2).unwrap();
    two.uid_hotkey_map.clear();
    two.n_neurons = 0;
    put("10T00-00-00.000000", &torn.to_json().unwrap());
    fs::write(folder.path().join("notes.json"), "not ours").unwrap();
    let analysis = analyze(folder.path(), Counting::Observed).analysis();
    assert_eq!(analysis.total, clean.total);
    assert_eq!(analysis.subnets[1..], clean.subnets[1..], "nothing was concluded from what was broken");
    assert_eq!((analysis.subnets[0].periods, clean.subnets[0].periods), (2, 1), "but what was whole was used");
    let why =
        |name: &str| analysis.ignored.iter().filter(|one| one.snapshot.contains(name)).map(|one| one.reason.as_str()).collect::<Vec<_>>();
    assert!(why("07T16-43")[0].starts_with("empty"), "{:?}", analysis.ignored);
    assert!(why("09T00")[0].starts_with("not a snapshot") && why("09T01")[0].starts_with("not a snapshot"));
    assert!(why("10T00").contains(&"100 UIDs where the chain counted 256") && why("10T00").contains(&"no UIDs"));
    assert_eq!(why("10T00").iter().filter(|reason| reason.starts_with("missing")).count(), 126);
    assert_eq!(why("12T00").iter().filter(|reason| reason.contains("a copy")).count(), 129);
    assert!(why("12T01")[0].contains("network"));
}

#[test]
fn the_published_numbers_can_be_had_by_counting_as_before() {
    let folder = tempfile::tempdir().unwrap();
    finney::write(folder.path());
    for time in ["16-43-49.519553", "16-50-26.735863", "16-50-50.597792"] {
        fs::write(folder.path().join(format!("snapshot_2026-01-07T{time}.json")), EMPTY).unwrap();
    }
    let analysis = analyze(folder.path(), Counting::AsBefore).analysis();
    let percent = |netuid| analysis.subnets.iter().find(|one| one.netuid == netuid).unwrap().replaced_percent;
    for (netuid, published) in [(1, 48.05), (83, 22.66), (21, 18.75), (68, 45.31), (92, 18.27), (38, 2.66)] {
        assert!((percent(netuid) - published).abs() < 0.005, "{netuid}: {}", percent(netuid));
    }
    assert_eq!(analysis.subnets[1].periods, 2);
}

#[test]
fn two_snapshots_without_registration_blocks_tell_how_many_stayed_and_no_age() {
    let folder = tempfile::tempdir().unwrap();
    finney::write(folder.path());
    let analyzer = analyze(folder.path(), Counting::Observed);
    assert!(!kaplan_meier(&analyzer.tenures().lives(1, Origin::Registration)).enough());
    let curve = kaplan_meier(&analyzer.tenures().lives(1, Origin::FirstSeen));
    assert_eq!((curve.lives, curve.ended), (256, 246));
    assert!(curve.enough() && (curve.steps[0].survival - 10.0 / 256.0).abs() < 1e-12);
}

#[test]
fn packed_files_are_read_and_what_is_no_snapshot_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [old, _] = finney::snapshots();
    let packed = folder.path().join("snapshot_2026-01-07T16-51-25.035280.json.gz");
    let mut pack = flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    pack.write_all(old.to_json().unwrap().as_bytes()).unwrap();
    pack.finish().unwrap();
    assert_eq!(Snapshot::read(&packed).unwrap(), old);
    fs::write(&packed, b"\x1f\x8b\x08 not packed").unwrap();
    assert!(matches!(Snapshot::read(&packed), Err(SnapshotError::Io(_))));
    assert!(matches!(Snapshot::read(&folder.path().join("none")), Err(SnapshotError::Io(_))));
    let with = |subnets: &str| Snapshot::parse(format!(r#"{{"timestamp":"t","network":"n","subnets":{subnets}}}"#).as_bytes());
    let hotkey = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
    assert!(with("{}").is_ok());
    assert!(
        with(&format!(r#"{{"1":{{"uid_hotkey_map":{{"0":"{hotkey}"}},"n_neurons":1,"block":2,"more":[]}}}}"#)).is_ok(),
        "others may add"
    );
    for bad in [
        r#"{"65536":{"uid_hotkey_map":{},"n_neurons":0,"block":0}}"#.to_owned(),
        r#"{"one":{"uid_hotkey_map":{},"n_neurons":0,"block":0}}"#.to_owned(),
        r#"{"1":{"uid_hotkey_map":{},"n_neurons":0,"block":-1}}"#.to_owned(),
        r#"{"1":{"uid_hotkey_map":{},"n_neurons":0}}"#.to_owned(),
        r#"{"1":{"uid_hotkey_map":{"0":"\u001b[31m"},"n_neurons":1,"block":0}}"#.to_owned(),
        format!(r#"{{"1":{{"uid_hotkey_map":{{"70000":"{hotkey}"}},"n_neurons":1,"block":0}}}}"#),
        "[]".to_owned(),
    ] {
        assert!(matches!(with(&bad), Err(SnapshotError::Format(_))), "{bad}");
    }
    let twice = with(&format!(r#"{{"1":{{"uid_hotkey_map":{{"0":"{hotkey}","1":"{hotkey}"}},"n_neurons":2,"block":2}}}}"#)).unwrap();
    assert_eq!(twice.subnets[&1].fault(), Some(Fault::Twice(hotkey.parse().unwrap())));
    let named = Snapshot { timestamp: "../../etc/x\0y".to_owned(), ..Snapshot::default() }.file_name();
    assert_eq!(named, "snapshot_..-..-etc-x-y.json");
}

#[test]
fn a_comparison_says_which_subnets_could_not_be_compared() {
    let [old, mut new] = finney::snapshots();
    new.subnets.remove(&5);
    new.subnets.get_mut(&6).unwrap().n_neurons = 3;
    let comparison = compare::snapshots(&old, &new);
    assert_eq!(comparison.gaps.iter().map(|gap| gap.netuid).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(comparison.subnets.len(), 127);
    let backwards = compare::snapshots(&new, &old);
    assert!(backwards.subnets.is_empty() && backwards.gaps.len() == 129, "nothing is read backwards");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Snapshot::parse(&bytes);
    }

    #[test]
    fn a_damaged_snapshot_is_read_or_refused_and_never_panics(at in 0..2000_usize, byte in any::<u8>()) {
        let mut snapshot = finney_part();
        let at = at % snapshot.len();
        snapshot[at] = byte;
        if let Ok(read) = Snapshot::parse(&snapshot) {
            let mut analyzer = Analyzer::new("finney", Counting::Observed);
            analyzer.add("old", Snapshot::parse(&finney_part()));
            analyzer.add("new", Ok(read));
            let _ = analyzer.analysis();
        }
    }
}

/// A small snapshot.
fn finney_part() -> Vec<u8> {
    let hotkeys = ["5DyMK753NtM7u3TLeqVpJ6Fn1rGhwnRuH8YNa1sXzPwycURB", "5E2LP6EnZ54m3wS8s1yPvD5c3xo71kQroBw7aUVK32TKeZ5u"];
    format!(
        r#"{{"timestamp":"2026","network":"finney","subnets":{{"1":{{"uid_hotkey_map":{{"0":"{}","1":"{}"}},"n_neurons":2,"block":100,"registration_blocks":{{"0":5,"1":90}}}}}}}}"#,
        hotkeys[0], hotkeys[1]
    )
    .into_bytes()
}
