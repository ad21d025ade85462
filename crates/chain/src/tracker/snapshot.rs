//! A snapshot file: which hotkey sits on which UID, for each subnet, at a block.
//!
//! The layout is that of the tracker people have used so far, byte for byte (two blanks of indentation, keys in order). What we add stands
//! in optional fields of a subnet that its reader skips: registration blocks and coldkeys, by which kinds of change can be told apart,
//! emissions, and the subnet's parameters and pool, by which places can be priced.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a snapshot may have in bytes, unpacked: a hundred times what all subnets take today.
pub const MAX_BYTES: u64 = 256 << 20;

/// The state of all subnets, each at a block of its own: reading them takes some blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken, in ISO 8601; the existing tracker writes local time without an offset, so it orders files but dates nothing.
    pub timestamp: String,
    /// The network, such as `finney`.
    pub network: String,
    /// By netuid. A subnet that could not be read is missing.
    pub subnets: BTreeMap<u16, Subnet>,
}

/// One subnet at one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    /// The hotkey on each UID.
    pub uid_hotkey_map: BTreeMap<u16, Key>,
    /// UIDs that the chain counted.
    pub n_neurons: u32,
    /// The block of this state.
    pub block: u64,
    /// When each UID was given to its hotkey (`BlockAtRegistration`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registration_blocks: BTreeMap<u16, u64>,
    /// Who owns the hotkey on each UID.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coldkeys: BTreeMap<u16, Key>,
    /// What each UID was paid for the last epoch, in rao of alpha.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub emission_rao: BTreeMap<u16, u64>,
    /// UIDs that may set weights: they earn as validators.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub validators: BTreeSet<u16>,
    /// UIDs that are never pruned because they are the subnet owner's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owner_uids: BTreeSet<u16>,
    /// The block at which this subnet was created. A netuid is used again after a subnet was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_registered_at: Option<u64>,
    /// Parameters and pool.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

/// What the chain sets for a subnet; a missing number was not read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// UIDs there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uids: Option<u16>,
    /// Blocks for which a new UID is pruned only if nothing else can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immunity_period: Option<u64>,
    /// Non-immune UIDs below which immune ones are pruned instead (`MinNonImmuneUids`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_non_immune_uids: Option<u16>,
    /// Blocks between two epochs, less one on older runtimes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempo: Option<u64>,
    /// Whether registrations are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_allowed: Option<bool>,
    /// Difficulty of registering by proof of work; u64::MAX where that is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u64>,
    /// What a registration costs, in rao.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burn_rao: Option<u64>,
    /// The least it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_burn_rao: Option<u64>,
    /// The most it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_burn_rao: Option<u64>,
    /// Blocks in which the price halves; missing on runtimes that adjust by interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burn_half_life: Option<u16>,
    /// What a registration multiplies the price by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burn_increase_mult: Option<f64>,
    /// TAO in the pool, in rao.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tao_in_rao: Option<u64>,
    /// Alpha in the pool, in rao of alpha.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha_in_rao: Option<u64>,
}

impl Parameters {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The address of a hotkey or coldkey, shared among the places that name it.
///
/// It has the shape of an SS58 address; the checksum is not computed, as that would take longer than all else and the tracker only compares.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

impl Key {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.as_str().to_owned()
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for Key {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Base 58 leaves out what is mistaken for something else.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
        if (46..=50).contains(&text.len()) && text.bytes().all(fits) { Ok(Self(text.into())) } else { Err("not an SS58 address") }
    }
}

/// Why a snapshot file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is larger than [`MAX_BYTES`].
    #[error("larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    /// It is not the JSON of a snapshot.
    #[error("not a snapshot: {0}")]
    Format(#[from] serde_json::Error),
}

/// Why a subnet's state is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No UID: a subnet that exists has its owner's at least, so the read failed.
    #[error("no UIDs")]
    Empty,
    /// It was read in part, or while it changed.
    #[error("{found} UIDs where the chain counted {counted}")]
    Partial {
        /// UIDs in the file.
        found: usize,
        /// UIDs that the chain counted.
        counted: u32,
    },
    /// A hotkey has at most one UID in a subnet.
    #[error("hotkey {0} on two UIDs")]
    Twice(Key),
    /// A registration lies after the block of the state.
    #[error("UID {0} was registered after the block of the state")]
    Future(u16),
}

impl Subnet {
    /// What is wrong with it, if it was read in part or is contradictory. Nothing is concluded from such a state.
    pub fn fault(&self) -> Option<Fault> {
        let found = self.uid_hotkey_map.len();
        if found == 0 {
            return Some(Fault::Empty);
        }
        if u32::try_from(found) != Ok(self.n_neurons) {
            return Some(Fault::Partial { found, counted: self.n_neurons });
        }
        let mut seen = BTreeSet::new();
        if let Some(key) = self.uid_hotkey_map.values().find(|key| !seen.insert(*key)) {
            return Some(Fault::Twice(key.clone()));
        }
        self.registration_blocks.iter().find(|(_, block)| **block > self.block).map(|(uid, _)| Fault::Future(*uid))
    }

    /// Whether the registration block of every UID is known.
    pub fn dated(&self) -> bool {
        self.uid_hotkey_map.keys().all(|uid| self.registration_blocks.contains_key(uid))
    }
}

impl Snapshot {
    /// Reads a snapshot from its JSON.
    ///
    /// # Errors
    /// If it is not the JSON of a snapshot.
    pub fn parse(json: &[u8]) -> Result<Self, SnapshotError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// Reads a file; one whose name ends in `.gz` is unpacked on the way.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a snapshot.
    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        let file = fs::File::open(path)?;
        let packed = path.extension().is_some_and(|kind| kind == "gz");
        Self::parse(&if packed { limited(flate2::read::MultiGzDecoder::new(file))? } else { limited(file)? })
    }

    /// The JSON as the existing tracker writes it.
    ///
    /// # Errors
    /// Never for a snapshot that was read; serialization has an error type, though.
    pub fn to_json(&self) -> Result<String, SnapshotError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// The name that the existing tracker gives to its file. Whatever is no part of a time in ISO 8601 becomes `-`.
    pub fn file_name(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-') { c } else { '-' };
        format!("snapshot_{}.json", self.timestamp.chars().map(safe).collect::<String>())
    }

    /// Writes it into a folder, whole or not at all, and says where.
    ///
    /// # Errors
    /// If it cannot be written, or a snapshot of that time is there already.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, SnapshotError> {
        let path = folder.join(self.file_name());
        // A reader takes `snapshot_*.json` only, so it never sees half a file.
        let unfinished = folder.join(format!(".{}.{}", self.file_name(), std::process::id()));
        if path.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        let json = self.to_json()?;
        let mut file = fs::File::create(&unfinished)?;
        let placed = file.write_all(json.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&unfinished, &path));
        if placed.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        placed?;
        Ok(path)
    }
}

fn limited(from: impl Read) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = Vec::new();
    if from.take(MAX_BYTES + 1).read_to_end(&mut bytes)? as u64 > MAX_BYTES {
        return Err(SnapshotError::TooLarge);
    }
    Ok(bytes)
}
