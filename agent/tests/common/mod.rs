//! An agent as a process, with a GPU driver and a control plane that tests can break.

#![allow(clippy::unwrap_used, reason = "a test")]

pub(crate) mod control_plane;
pub(crate) mod process;

use serde_json::Value;
use std::time::Duration;

/// Waits until `look` finds something. How long that takes is not what is tested: the limit only ends a hopeless test.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("never happened: {what}")
}

/// Reads an object as `kubectl get -o json` shows it.
pub(crate) fn get(lab: &kubelab::Lab, args: &[&str]) -> Option<Value> {
    let output = lab.kubectl().arg("get").args(args).args(["-o", "json"]).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}
