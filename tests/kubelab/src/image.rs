//! What an image holds, and its layer.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::{At, Result};
use crate::process::run;
use crate::tar::{self, Entry};

/// An image to be made from files of this machine.
#[derive(Debug, Clone, Default)]
pub struct ImageSpec {
    /// Path in the image, file on this machine, mode.
    pub files: Vec<(String, PathBuf, u32)>,
    /// Path in the image, text, mode.
    pub texts: Vec<(String, String, u32)>,
    /// Folder in the image and its mode; parents of files need no mention.
    pub folders: Vec<(String, u32)>,
    /// Path in the image and where the link leads.
    pub symlinks: Vec<(String, String)>,
    /// Environment of the program.
    pub env: Vec<(String, String)>,
    /// The program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Arguments that a pod may replace.
    pub cmd: Vec<String>,
    /// User as in `1000:1000`; root where absent.
    pub user: Option<String>,
    /// Folder the program starts in.
    pub workdir: Option<String>,
    /// Labels of the image.
    pub labels: Vec<(String, String)>,
}

impl ImageSpec {
    /// An image that starts one program, with the shared libraries it needs
    /// taken from this machine.
    ///
    /// # Errors
    ///
    /// When the program does not exist.
    pub fn program(host: impl AsRef<Path>, path: &str) -> Result<Self> {
        let mut spec = Self { entrypoint: vec![path.to_owned()], ..Self::default() };
        spec.folders.push(("/tmp".to_owned(), 0o1777));
        spec.add_program(host, path)?;
        Ok(spec)
    }

    /// Adds a program and the shared libraries it needs.
    ///
    /// # Errors
    ///
    /// When the program does not exist.
    pub fn add_program(&mut self, host: impl AsRef<Path>, path: &str) -> Result<()> {
        let host = host.as_ref();
        fs::metadata(host).at("read", host)?;
        self.files.push((path.to_owned(), host.to_owned(), 0o755));
        for library in libraries(host) {
            let name = library.display().to_string();
            if !self.files.iter().any(|(path, ..)| *path == name) {
                self.files.push((name, library, 0o755));
            }
        }
        Ok(())
    }

    /// Sets the arguments.
    #[must_use]
    pub fn cmd<S: Into<String>>(mut self, cmd: impl IntoIterator<Item = S>) -> Self {
        self.cmd = cmd.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The image's configuration, as OCI has it.
    pub(crate) fn config(&self, layer: &str) -> Vec<u8> {
        let path = ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !self.env.iter().any(|(name, _)| name == path.0) {
            env.push(format!("{}={}", path.0, path.1));
        }
        let labels: serde_json::Map<_, _> = self.labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Env": env,
                "Entrypoint": self.entrypoint,
                "Cmd": self.cmd,
                "User": self.user.clone().unwrap_or_default(),
                "WorkingDir": self.workdir.clone().unwrap_or_default(),
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [layer] },
            "history": [{ "created_by": "kubelab" }],
        });
        serde_json::to_vec(&config).expect("plain data always serialises")
    }

    /// Writes the layer to `path`; returns its digest and its length in bytes.
    pub(crate) fn write_layer(&self, path: &Path) -> Result<(String, u64)> {
        let file = File::create(path).at("create", path)?;
        let mut out = Hashing { out: BufWriter::new(file), hash: Sha256::new(), length: 0 };
        self.write_entries(&mut out)?;
        out.flush().at("write", path)?;
        Ok((digest_text(out.hash), out.length))
    }

    fn write_entries(&self, out: &mut impl Write) -> Result<()> {
        let mut folders = BTreeSet::new();
        for (path, mode) in &self.folders {
            parents(out, path, &mut folders).at("pack", path)?;
            if folders.insert(relative(path).to_owned()) {
                tar::header(out, &format!("{}/", relative(path)), *mode, &Entry::Folder).at("pack", path)?;
            }
        }
        for (path, host, mode) in &self.files {
            parents(out, path, &mut folders).at("pack", path)?;
            let file = File::open(host).at("open", host)?;
            let size = file.metadata().at("read", host)?.len();
            tar::header(out, relative(path), *mode, &Entry::File(size)).at("pack", path)?;
            tar::body(out, file, size).at("pack", host)?;
        }
        for (path, text, mode) in &self.texts {
            parents(out, path, &mut folders).at("pack", path)?;
            tar::header(out, relative(path), *mode, &Entry::File(text.len() as u64)).at("pack", path)?;
            tar::body(out, text.as_bytes(), text.len() as u64).at("pack", path)?;
        }
        for (path, target) in &self.symlinks {
            parents(out, path, &mut folders).at("pack", path)?;
            tar::header(out, relative(path), 0o777, &Entry::Link(target)).at("pack", path)?;
        }
        tar::finish(out).at("pack", "the layer's end")
    }
}

fn relative(path: &str) -> &str {
    path.trim_matches('/')
}

/// Writes the folders above a path that no entry has made yet.
fn parents(out: &mut impl Write, path: &str, known: &mut BTreeSet<String>) -> io::Result<()> {
    let path = relative(path);
    for (at, _) in path.match_indices('/') {
        if known.insert(path[..at].to_owned()) {
            tar::header(out, &path[..=at], 0o755, &Entry::Folder)?;
        }
    }
    Ok(())
}

/// The shared libraries of a program, its loader included; none if it is static.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let Ok(listing) = run(Command::new("ldd").arg(program)) else { return Vec::new() };
    listing
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let path = line.split_once("=> ").map_or(line, |(_, path)| path);
            Some(PathBuf::from(path.split_once(" (")?.0))
        })
        .filter(|path| path.is_absolute())
        .collect()
}

/// The digest of bytes as registries write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

fn digest_text(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Counts and hashes what passes through.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
