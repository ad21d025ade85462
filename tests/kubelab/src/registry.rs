//! The lab's image registry, and pushing to one.

use std::fs::{self, File};
use std::io::{Read, empty};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{At, Error, Result};
use crate::http::{self, Answer};
use crate::image::{ImageSpec, digest};
use crate::process::which;
use crate::slot::Slot;
use crate::state::Component;

pub(crate) const REGISTRY: &str = "registry";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes the registry's configuration and names its command.
pub(crate) fn component(dir: &Path, slot: Slot) -> Result<Component> {
    let config = json!({
        "version": "0.1",
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": dir.join("registry") }, "delete": { "enabled": true } },
        "http": { "addr": format!("{}:{}", slot.host_ip(), slot.registry_port()) },
    });
    let path = dir.join("registry.json");
    fs::write(&path, format!("{config:#}\n")).at("write", &path)?;
    let program = which("docker-registry").ok_or_else(|| Error::Unavailable("no docker-registry".to_owned()))?;
    Ok(Component::new(&program, ["serve".to_owned(), path.display().to_string()]))
}

/// Makes an image and pushes it to `registry` (`host:port`, plain HTTP) under
/// `reference` (`path/name:tag`). Returns the manifest's digest.
///
/// # Errors
///
/// When a file of the image cannot be read, or the registry refuses.
pub fn push_image(registry: &str, reference: &str, image: &ImageSpec) -> Result<String> {
    let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
    let layer = Scratch::new();
    let (layer_digest, layer_length) = image.write_layer(&layer.0)?;
    let config = image.config(&layer_digest);
    let config_digest = digest(&config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest, "size": config.len() },
        "layers": [{ "mediaType": LAYER, "digest": layer_digest, "size": layer_length }],
    })
    .to_string();

    let repository = Repository { registry, name };
    let file = File::open(&layer.0).at("open", &layer.0)?;
    repository.push_blob(&layer_digest, file, layer_length)?;
    repository.push_blob(&config_digest, &config[..], config.len() as u64)?;
    let target = format!("/v2/{name}/manifests/{tag}");
    repository.send("PUT", &target, MANIFEST, manifest.as_bytes(), manifest.len() as u64, 201)?;
    Ok(digest(manifest.as_bytes()))
}

struct Repository<'a> {
    registry: &'a str,
    name: &'a str,
}

impl Repository<'_> {
    fn push_blob(&self, digest: &str, content: impl Read, length: u64) -> Result<()> {
        let blob = format!("/v2/{}/blobs/{digest}", self.name);
        if self.ask("HEAD", &blob, "", empty(), 0)?.status == 200 {
            return Ok(());
        }
        let uploads = format!("/v2/{}/blobs/uploads/", self.name);
        let started = self.send("POST", &uploads, "", empty(), 0, 202)?;
        let location = started.location.ok_or_else(|| Error::Registry("an upload without a location".to_owned()))?;
        // The location may be a whole URL or a path.
        let target = location.split_once("://").map_or(location.as_str(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}digest={digest}");
        self.send("PUT", &target, "application/octet-stream", content, length, 201)?;
        Ok(())
    }

    fn send(&self, method: &str, target: &str, content_type: &str, body: impl Read, length: u64, expected: u16) -> Result<Answer> {
        let answer = self.ask(method, target, content_type, body, length)?;
        if answer.status == expected {
            return Ok(answer);
        }
        Err(Error::Registry(format!("{method} {target} at {}: {} {}", self.registry, answer.status, answer.text.trim())))
    }

    fn ask(&self, method: &str, target: &str, content_type: &str, body: impl Read, length: u64) -> Result<Answer> {
        http::request(self.registry, method, target, content_type, body, length)
            .map_err(|error| Error::Registry(format!("{method} {target} at {}: {error}", self.registry)))
    }
}

/// A file that goes when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("kubelab-layer-{}-{count}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
