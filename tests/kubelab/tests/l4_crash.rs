//! An `up` that is killed at any moment leaves nothing that `down` misses.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, without async code")]

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kubelab::{Lab, Level, level_or_skip};

#[test]
fn down_cleans_after_a_killed_up() {
    if !level_or_skip(Level::L4) {
        return;
    }
    // The programs must be there, or every kill would hit their build.
    kubelab::build(false, &mut |line| println!("{line}")).unwrap();
    let mut seen = 0;
    for after_ms in [20, 100, 200, 350, 600, 1000, 1600, 2300] {
        let dir = common::folder();
        let mut up = Command::new(env!("CARGO_BIN_EXE_kubelab"))
            .args(["up", "--nodes=real", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(after_ms));
        up.kill().unwrap();
        up.wait().unwrap();
        let slot = common::slot(dir.path());
        seen += common::traces(dir.path(), slot).len();

        Lab::down(dir.path()).unwrap();
        assert_eq!(common::traces(dir.path(), slot), Vec::<String>::new(), "killed after {after_ms} ms");
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(files.is_empty() || files == ["lock"], "{files:?} after {after_ms} ms");
    }
    assert!(seen > 20, "the kills came too early or too late to mean anything");
}
