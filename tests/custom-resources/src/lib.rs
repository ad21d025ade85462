//! What the tests of the custom resources share: a control plane with our definitions and policies, somebody who calls it, and
//! the files of this repository.
//!
//! Everything here panics when something is wrong: it is for tests only.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "for tests only")]

mod actor;
mod files;
mod grants;
mod sweep;

pub use actor::{Actor, Answer, collection, path};
pub use files::{read_examples, read_refused, root, yaml};
pub use grants::{Server, deployment, gpu_server, place};

pub use sweep::{Right, resources, rights};

use kubelab::{Guard, Lab, Options};
use std::path::Path;
use std::time::{Duration, Instant};

/// A control plane in `dir` with our definitions, and with the policies and accounts of `charts/manifests`.
#[must_use]
pub fn lab(dir: &Path) -> Guard {
    let lab = Lab::up(Options::new(dir), |line| println!("{line}")).unwrap().guard();
    let apply = |folder: &str| {
        let folder = root().join(folder).display().to_string();
        lab.kubectl_run(["apply", "--server-side", "-f", folder.as_str()]).unwrap();
    };
    apply("crds");
    lab.kubectl_run(["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).unwrap();
    apply("charts/manifests");
    lab
}

/// A folder for one lab, gone with the test.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("crlab").tempdir().unwrap()
}

/// Asks until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(Instant::now() < deadline, "{what}: not within 30 seconds");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
