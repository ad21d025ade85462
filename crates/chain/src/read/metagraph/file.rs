//! Metagraphs in files.
//!
//! # Format
//!
//! `DIR/network-NAME/netuid-N/block-NUMBER.json`, the layout of the ecosystem's own tool, but JSON where that pickles Python objects
//! (which can run code when they are read; such files are not read here). The document is one object:
//!
//! | field | meaning |
//! | --- | --- |
//! | `schema_version` | 1. A reader refuses greater ones; fields may be added without a new number |
//! | `network` | name of the network, as in the folder |
//! | `metagraph` | [`Metagraph`]: hashes as `0x…`, keys as SS58 addresses, amounts as whole rao or 10^-9 alpha, scores of 65,535, fixed-point numbers as `bits/2^n`, numbers beyond 64 bits (IPv6 addresses) as texts |
//!
//! `metagraph` names the block's hash, the genesis hash and the runtime version. A file whose network, subnet or block is not that of its
//! place is refused, and a metagraph is not read anew from a chain with another genesis.
//! A lite file has no `weights` and `bonds`. Files appear whole or not at all.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Metagraph;
use crate::read::ReadError;

/// The version that is written, and the newest that is read.
pub const SCHEMA_VERSION: u32 = 1;

/// Larger files are none of ours: a full metagraph of 4,096 UIDs has under 100 MB.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Serialize)]
struct Written<'a> {
    schema_version: u32,
    network: &'a str,
    metagraph: &'a Metagraph,
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

#[derive(Deserialize)]
struct Loaded {
    network: String,
    metagraph: Metagraph,
}

/// A folder of metagraphs of one network.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    network: String,
}

impl Store {
    /// The files of `network` under `dir`.
    pub fn new(dir: impl AsRef<Path>, network: &str) -> Self {
        Self { folder: dir.as_ref().join(format!("network-{network}")), network: network.to_owned() }
    }

    /// Writes a metagraph; where it stands.
    ///
    /// # Errors
    ///
    /// [`ReadError::File`].
    pub fn save(&self, metagraph: &Metagraph) -> Result<PathBuf, ReadError> {
        let folder = self.subnet(metagraph.netuid);
        let path = folder.join(format!("block-{}.json", metagraph.block.number));
        fs::create_dir_all(&folder).map_err(|error| failed(&path, &error))?;
        save(&path, &self.network, metagraph)?;
        Ok(path)
    }

    /// The metagraph of a subnet with the greatest block; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError::File`].
    pub fn latest(&self, netuid: u16) -> Result<Option<Metagraph>, ReadError> {
        self.blocks(netuid)?.last().map(|block| self.at(netuid, *block)).transpose()
    }

    /// The metagraph of a subnet at a block.
    ///
    /// # Errors
    ///
    /// [`ReadError::File`].
    pub fn at(&self, netuid: u16, block: u64) -> Result<Metagraph, ReadError> {
        let path = self.subnet(netuid).join(format!("block-{block}.json"));
        let (network, metagraph) = load(&path)?;
        // A file that was copied to a place where it does not belong.
        if (network.as_str(), metagraph.netuid, metagraph.block.number) != (self.network.as_str(), netuid, block) {
            let (netuid, block) = (metagraph.netuid, metagraph.block.number);
            return Err(failed(
                &path,
                &format_args!("it is of network {network}, subnet {netuid}, block {block}: not what its place says"),
            ));
        }
        Ok(metagraph)
    }

    /// Blocks of a subnet of which there are files, in order. Other files are passed over.
    ///
    /// # Errors
    ///
    /// [`ReadError::File`].
    pub fn blocks(&self, netuid: u16) -> Result<Vec<u64>, ReadError> {
        let folder = self.subnet(netuid);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed(&folder, &error))?,
        };
        let block = |name: &str| name.strip_prefix("block-")?.strip_suffix(".json")?.parse().ok();
        let mut blocks: Vec<u64> = entries.flatten().filter_map(|entry| block(entry.file_name().to_str()?)).collect();
        blocks.sort_unstable();
        Ok(blocks)
    }

    fn subnet(&self, netuid: u16) -> PathBuf {
        self.folder.join(format!("netuid-{netuid}"))
    }
}

/// Writes one file, wherever it shall stand; it replaces an older one.
///
/// # Errors
///
/// [`ReadError::File`].
pub fn save(path: &Path, network: &str, metagraph: &Metagraph) -> Result<(), ReadError> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut buffer = std::io::BufWriter::new(&mut file);
        serde_json::to_writer(&mut buffer, &Written { schema_version: SCHEMA_VERSION, network, metagraph })?;
        buffer.flush()?;
        drop(buffer);
        // Before it takes the place of an older one, which must not be lost to a power cut.
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| failed(path, &error))
}

/// Reads one file, wherever it stands: the name of its network, and the metagraph.
///
/// # Errors
///
/// [`ReadError::File`].
pub fn load(path: &Path) -> Result<(String, Metagraph), ReadError> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| failed(path, &error))?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(path, &error))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(path, &format_args!("it is larger than {MAX_BYTES} bytes, so it is no metagraph")));
    }
    let foreign = |error: serde_json::Error| failed(path, &format_args!("this is no saved metagraph: {error}"));
    let version: Version = serde_json::from_str(&text).map_err(foreign)?;
    if version.schema_version > SCHEMA_VERSION {
        return Err(failed(path, &format_args!("written by a newer release (format {}, known: {SCHEMA_VERSION})", version.schema_version)));
    }
    let loaded: Loaded = serde_json::from_str(&text).map_err(foreign)?;
    // As they are looked up by their order.
    if !loaded.metagraph.neurons.is_sorted_by(|one, next| one.uid < next.uid) {
        return Err(failed(path, &"its UIDs are not in order"));
    }
    Ok((loaded.network, loaded.metagraph))
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> ReadError {
    ReadError::File { path: path.display().to_string(), why: why.to_string() }
}
