//! The Go programs: built once per machine, kept outside the clone.
//!
//! The key of the cache is a hash of the sources inside this crate and of the
//! Go version, so a change of either builds anew and both versions coexist.
//! Each program is built under a lock and put in place by a rename: callers in
//! parallel wait for one build, and a killed build leaves nothing half-made.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::{At, Error, Result};
use crate::process::{run, which};

const SOURCES: [(&str, &str); 4] = [
    ("go.mod", include_str!("../go/go.mod")),
    ("go.sum", include_str!("../go/go.sum")),
    ("main.go", include_str!("../go/main.go")),
    ("pause/main.go", include_str!("../go/pause/main.go")),
];

const VERSION: &str = "v1.35.4";
const KWOK: &str = "sigs.k8s.io/kwok/cmd/kwok@v0.8.0";

/// Names the folder of ready-made programs to use instead of building any.
const OVERRIDE: &str = "KUBELAB_BIN";

/// The folder that holds the Go programs.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The folder as an earlier `up` recorded it.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kubernetes and etcd in one program; the first argument names the part.
    pub fn kubernetes(&self) -> PathBuf {
        self.folder.join("kubelab-k8s")
    }

    /// The same program under a name that makes it `kubectl`.
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    fn link_kubectl(&self) {
        // Fails where it exists already, also because a parallel caller was faster.
        let _ = std::os::unix::fs::symlink("kubelab-k8s", self.kubectl());
    }

    /// The simulator of nodes.
    pub fn kwok(&self) -> PathBuf {
        self.folder.join("kwok")
    }

    /// The static program of the sandbox image; with arguments a small HTTP
    /// server or client, see `go/pause/main.go`.
    pub fn pause(&self) -> PathBuf {
        self.folder.join("pause")
    }
}

/// Why programs can neither be built nor found, if so.
pub(crate) fn unavailable() -> Option<String> {
    if std::env::var_os(OVERRIDE).is_some() || which("go").is_some() {
        return None;
    }
    Some(format!("no Go toolchain, and {OVERRIDE} names no folder with the programs"))
}

/// Finds the programs, building those that are missing. The first build takes
/// about four minutes of two cores; `simulated` asks for kwok too.
///
/// # Errors
///
/// When Go is missing or a build fails.
pub fn build(simulated: bool, progress: &mut dyn FnMut(&str)) -> Result<Binaries> {
    if let Some(folder) = std::env::var_os(OVERRIDE) {
        let binaries = Binaries { folder: folder.into() };
        binaries.link_kubectl();
        return Ok(binaries);
    }
    let version = run(go().arg("version"))?;
    let binaries = Binaries { folder: cache_folder()?.join(key(&version)) };
    fs::create_dir_all(&binaries.folder).at("create", &binaries.folder)?;

    ensure(&binaries.kubernetes(), |target| {
        progress("building Kubernetes, once per machine: about four minutes");
        let sources = unpack(&binaries.folder)?;
        run(go_build(target).arg("-ldflags").arg(kubernetes_ldflags()).arg(".").current_dir(sources))
    })?;
    ensure(&binaries.pause(), |target| {
        let sources = unpack(&binaries.folder)?;
        run(go_build(target).args(["-ldflags", "-s -w", "./pause"]).current_dir(sources))
    })?;
    if simulated {
        ensure(&binaries.kwok(), |target| {
            progress("building kwok, once per machine: about a minute");
            // `go install` of a version takes no output path, only a folder.
            let folder = target.with_extension("bin");
            run(go().args(["install", "-trimpath", "-ldflags", "-s -w", KWOK]).env("GOBIN", &folder))?;
            fs::rename(folder.join("kwok"), target).at("rename", target)?;
            fs::remove_dir(&folder).at("remove", &folder)?;
            Ok(String::new())
        })?;
    }
    binaries.link_kubectl();
    Ok(binaries)
}

/// Builds one program unless it is there.
fn ensure(target: &Path, build: impl FnOnce(&Path) -> Result<String>) -> Result<()> {
    if target.exists() {
        return Ok(());
    }
    let path = target.with_extension("lock");
    let lock = File::create(&path).at("open", &path)?;
    lock.lock().at("lock", &path)?;
    if target.exists() {
        return Ok(());
    }
    let new = target.with_extension("new");
    build(&new)?;
    fs::rename(&new, target).at("rename", target)
}

/// Writes the sources that this crate carries, so that the programs can be
/// built where the clone is not at hand.
fn unpack(folder: &Path) -> Result<PathBuf> {
    let sources = folder.join("go");
    fs::create_dir_all(sources.join("pause")).at("create", &sources)?;
    for (name, text) in SOURCES {
        let path = sources.join(name);
        fs::write(&path, text).at("write", path)?;
    }
    Ok(sources)
}

fn go() -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10", "go"]).env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    command
}

fn go_build(target: &Path) -> Command {
    let mut command = go();
    command.args(["build", "-trimpath", "-o"]).arg(target);
    command
}

/// Without these, clients choke on the version "v0.0.0-master+$Format:%H$".
fn kubernetes_ldflags() -> String {
    let minor = VERSION.split('.').nth(1).unwrap_or_default();
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        let values = [("gitVersion", VERSION), ("gitMajor", "1"), ("gitMinor", minor), ("gitTreeState", "clean"), ("gitCommit", "kubelab")];
        for (name, value) in values {
            flags += &format!(" -X {package}.{name}={value}");
        }
    }
    flags
}

fn key(go_version: &str) -> String {
    let mut hash = Sha256::new();
    for part in SOURCES.iter().map(|(_, text)| *text).chain([VERSION, KWOK, go_version]) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let fleet = variable("GEPETTO_CACHE_DIR").or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(caches.join("gepetto-fleet"))
    });
    fleet.map(|folder| folder.join("kubelab")).ok_or_else(|| Error::Unavailable("neither GEPETTO_CACHE_DIR nor HOME is set".to_owned()))
}
