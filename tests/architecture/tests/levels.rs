//! What `make test` says it ran: each test under its level, and no skipped one among those that passed.

use cargo_metadata::{MetadataCommand, TargetKind};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/summary.awk");

fn summary(log: &str) -> String {
    let mut awk = Command::new("awk")
        .args(["-v", "took=61", "-f", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("awk is part of every Debian");
    awk.stdin.take().expect("it was piped").write_all(log.as_bytes()).expect("awk reads");
    String::from_utf8(awk.wait_with_output().expect("awk ends").stdout).expect("awk writes text")
}

#[test]
fn a_skipped_test_is_not_counted_as_passed() {
    let log = "
     Running unittests src/lib.rs (target/debug/deps/testkit-00)
test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
     Running tests/l2/main.rs (target/debug/deps/l2-00)
test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
     Running tests/l3_faults.rs (target/debug/deps/l3_faults-00)
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
     Running tests/l4_fleet.rs (target/debug/deps/l4_fleet-00)
running 2 tests
test one ...\x20
skipped: L4 needs what this machine lacks: not root
ok
test two ...\x20
skipped: L4 needs what this machine lacks: not root
ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
   Doc-tests crd
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
    let text = summary(log);
    let rows: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("  L"))
        .map(|line| line.split_whitespace().take(7).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "L0 6 passed 0 failed 0 skipped",
            "L1 2 passed 1 failed 0 skipped",
            "L2 7 passed 0 failed 0 skipped",
            "L4 0 passed 0 failed 2 skipped"
        ],
        "{text}"
    );
    assert!(text.contains("  skipped: L4 needs what this machine lacks: not root (2 tests)\n"), "{text}");
    assert!(text.contains("took 1 min 01 s") && text.ends_with("\n15 passed, 1 failed, 2 skipped\n"), "{text}");
}

/// What a test program uses tells its level; its name must say the same, or `make test` counts it wrongly.
#[test]
fn the_name_of_a_test_program_says_its_level() {
    let needs = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata works in the workspace");
    let mut seen = 0;
    for target in metadata.packages.iter().flat_map(|package| &package.targets).filter(|target| target.kind.contains(&TargetKind::Test)) {
        let text = source(target.src_path.as_std_path());
        let name = target.name.as_str();
        if name == "levels" {
            continue;
        }
        let wanted: &[&str] = if needs(&text, &["Level::L4"]) {
            &["l4"]
        } else if needs(&text, &["Level::L3"]) {
            &["l3"]
        } else if needs(&text, &["validator_sim::", "testkit::postgres", "testkit::redis"]) {
            &["l2"]
        } else {
            continue;
        };
        seen += 1;
        assert!(wanted.iter().any(|level| name == *level || name.starts_with(&format!("{level}_"))), "{name} is of {wanted:?}");
    }
    assert!(seen > 15, "only {seen} test programs were recognised");
}

/// A test program's text with that of the modules in its folder.
fn source(main: &Path) -> String {
    let mut text = std::fs::read_to_string(main).expect("a target has a source");
    if main.ends_with("main.rs") {
        for entry in main.parent().into_iter().flat_map(|folder| folder.read_dir().expect("a folder of tests")).flatten() {
            text += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
    }
    text
}
