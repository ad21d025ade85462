//! The agent's process, and its GPU driver.

use fake_nvml::built_library;
use kubelab::Lab;
use protocol::ids::Ss58;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A driver's library of its own, with a profile beside it.
pub(crate) struct Driver {
    folder: PathBuf,
}

impl Driver {
    pub(crate) fn new(folder: &Path, profile: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let driver = Self { folder: folder.to_owned() };
        std::fs::copy(built_library(), driver.library()).unwrap();
        driver.set(profile);
        driver
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.join("libnvidia-ml.so.1")
    }

    /// Changes the GPUs while programs use them.
    pub(crate) fn set(&self, profile: &str) {
        let draft = self.folder.join("draft");
        std::fs::write(&draft, profile).unwrap();
        std::fs::rename(draft, self.folder.join("profile.json")).unwrap();
    }
}

/// A running agent. Dropping it kills it, as a power cut would.
pub(crate) struct Agent {
    child: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
}

impl Agent {
    pub(crate) fn start(lab: &Lab, state: &Path, driver: &Driver, miner: &Ss58, log: &Path) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(["--node-name", "sim-0", "--address", "203.0.113.10", "--inventory-interval-s", "1"])
            .args(["--miner", miner.as_str(), "--listen", &listen, "--admin-listen", &admin])
            .arg("--node-kubeconfig")
            .arg(&lab.kubeconfig)
            .arg("--state-dir")
            .arg(state)
            .arg("--nvml-library")
            .arg(driver.library())
            .env_remove("FAKE_NVML_PROFILE")
            .env("RUST_LOG", "info,agent=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, url: format!("http://{listen}"), admin: format!("http://{admin}") }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
