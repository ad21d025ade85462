//! The images that chute pods pull: the fake chute under every chute's name, and the cache cleaner.

use super::{programs, scenario};
use anyhow::{Context as _, Result};
use kubelab::{ImageSpec, Lab};
use std::path::{Path, PathBuf};

/// The cleaner that every chute pod runs first, by the name the existing miner gives it.
const CLEANER: &str = "parachutes/cache-cleaner:latest";

/// Where chute pods keep models on a server.
const CACHE_ROOT: &str = "/var/snap/cache";

/// The statically linked fake chute. It is built for an explicit target, which puts it into a folder of that target's name.
fn fake_chute() -> Result<PathBuf> {
    let beside = programs::binary("fake-chute");
    let folder = beside.parent().context("programs lie in a folder")?;
    let profile = folder.file_name().context("a profile's folder has a name")?;
    let target = folder.parent().context("profiles lie in a folder")?.join("x86_64-unknown-linux-gnu").join(profile).join("fake-chute");
    anyhow::ensure!(target.exists(), "{} is missing; `make build` makes it", target.display());
    Ok(target)
}

/// Builds and pushes every image a pod may ask for.
pub(super) fn push(lab: &Lab) -> Result<()> {
    let registry = lab.registry.as_deref().context("a lab with a real node has a registry")?;
    let chute = fake_chute()?;
    let mut spec = ImageSpec::program(&chute, "/usr/bin/fake-chute")?;
    for name in ["/usr/bin/chutes", "/usr/bin/curl", "/bin/sh", "/usr/bin/cache-cleaner"] {
        spec.symlinks.push((name.to_owned(), "/usr/bin/fake-chute".to_owned()));
    }
    spec.entrypoint = vec!["/usr/bin/chutes".to_owned()];
    for (name, ..) in scenario::CHUTES {
        kubelab::push_image(registry, &format!("{}/{}", scenario::OWNER, scenario::image(name)), &spec)?;
    }
    spec.entrypoint = vec!["/usr/bin/cache-cleaner".to_owned()];
    kubelab::push_image(registry, CLEANER, &spec)?;
    Ok(())
}

/// Remembers whether the cache folder was there before, so that `down` removes only what pods of this fleet made.
pub(super) fn note_caches(dir: &Path) -> Result<()> {
    let before: Vec<String> = std::fs::read_dir(CACHE_ROOT)
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    std::fs::write(dir.join("caches.json"), serde_json::to_vec(&before)?)?;
    Ok(())
}

/// Removes the empty cache folders that pods of this fleet made; a folder with content is somebody's model.
pub(super) fn remove_caches(dir: &Path) {
    let Ok(before) = super::read_json::<Vec<String>>(&dir.join("caches.json")) else { return };
    for entry in std::fs::read_dir(CACHE_ROOT).into_iter().flatten().flatten() {
        if !before.contains(&entry.file_name().to_string_lossy().into_owned()) {
            remove_empty(&entry.path());
        }
    }
    for folder in [CACHE_ROOT, "/var/snap"] {
        let _ = std::fs::remove_dir(folder);
    }
}

fn remove_empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        remove_empty(&entry.path());
    }
    let _ = std::fs::remove_dir(folder);
}
