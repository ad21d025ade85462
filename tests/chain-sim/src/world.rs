//! Blocks and state.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use crate::Extrinsics;

/// A block's hash.
pub type Hash = [u8; 32];

/// A value that changes at some blocks.
type History<T> = BTreeMap<u64, T>;

/// What the node knows.
#[derive(Debug)]
pub struct World {
    /// The newest block.
    pub best: u64,
    /// How many blocks a block waits until it is final.
    pub finality_lag: u64,
    /// State older than this many blocks is forgotten; `None` for an archive.
    pub keeps: Option<u64>,
    /// What is made of extrinsics.
    pub extrinsics: Extrinsics,
    finalized: u64,
    genesis: Hash,
    /// From which block on which fork counts.
    forks: Vec<(u64, u64)>,
    /// Hashes that were recorded.
    pinned: BTreeMap<u64, Hash>,
    /// Every hash that was ever told, with its number and its parent.
    known: HashMap<Hash, (u64, Hash)>,
    runtimes: History<(u32, Vec<u8>)>,
    storage: BTreeMap<Vec<u8>, History<Option<Vec<u8>>>>,
    calls: HashMap<(String, Vec<u8>), History<Vec<u8>>>,
}

impl World {
    /// A chain of `best` blocks without state, whose runtime has this version and metadata.
    pub fn new(best: u64, spec_version: u32, metadata: Vec<u8>) -> Self {
        let mut world = Self {
            best,
            finality_lag: 2,
            keeps: Some(256),
            extrinsics: Extrinsics::default(),
            finalized: best.saturating_sub(2),
            genesis: Sha256::digest(b"chain-sim").into(),
            forks: vec![(0, 0)],
            pinned: BTreeMap::new(),
            known: HashMap::new(),
            runtimes: BTreeMap::from([(0, (spec_version, metadata))]),
            storage: BTreeMap::new(),
            calls: HashMap::new(),
        };
        world.hash(best);
        world
    }

    /// The newest block that cannot be undone.
    pub fn finalized(&self) -> u64 {
        self.finalized
    }

    /// Hash of the first block.
    pub fn genesis(&self) -> Hash {
        self.genesis
    }

    /// Becomes another chain.
    pub fn set_genesis(&mut self, genesis: Hash) {
        self.genesis = genesis;
        self.known.clear();
    }

    /// Makes blocks.
    pub fn advance(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.best += 1;
            self.hash(self.best);
        }
        self.finalized = self.finalized.max(self.best.saturating_sub(self.finality_lag));
    }

    /// Replaces the newest blocks by others; as many as are not final, at most.
    pub fn reorg(&mut self, blocks: u64) {
        let blocks = blocks.min(self.best - self.finalized);
        let salt = self.forks.len() as u64;
        self.forks.push((self.best - blocks + 1, salt));
        self.hash(self.best);
    }

    /// Undoes a final block: what no honest node does.
    pub fn reorg_finalized(&mut self, blocks: u64) {
        let salt = self.forks.len() as u64;
        self.forks.push((self.finalized.saturating_sub(blocks) + 1, salt));
        self.hash(self.best);
    }

    /// Gives a block the hash that it has on the real chain.
    pub fn pin(&mut self, number: u64, hash: Hash) {
        self.pinned.insert(number, hash);
    }

    /// Hash of a block on the present fork; `None` when it is not made yet.
    pub fn hash(&mut self, number: u64) -> Option<Hash> {
        if number > self.best {
            return None;
        }
        let hash = self.make_hash(number);
        let parent = if number == 0 { [0; 32] } else { self.make_hash(number - 1) };
        self.known.entry(hash).or_insert((number, parent));
        Some(hash)
    }

    fn make_hash(&self, number: u64) -> Hash {
        if number == 0 {
            return self.genesis;
        }
        let salt = self.forks.iter().rev().find(|(from, _)| *from <= number).map_or(0, |(_, salt)| *salt);
        match self.pinned.get(&number) {
            Some(hash) if salt == 0 => *hash,
            _ => Sha256::new()
                .chain_update(self.genesis)
                .chain_update(number.to_le_bytes())
                .chain_update(salt.to_le_bytes())
                .finalize()
                .into(),
        }
    }

    /// Number and parent of a block by its hash, also of one that was given up.
    pub fn find(&mut self, hash: &Hash) -> Option<(u64, Hash)> {
        if let Some(found) = self.known.get(hash) {
            return Some(*found);
        }
        // A client may know hashes from before a restart, or parents of the oldest block that was told.
        let pinned = self.pinned.iter().find(|(_, pinned)| *pinned == hash).map(|(number, _)| *number);
        let near = || (self.best.saturating_sub(1024)..=self.best).rev().find(|number| self.make_hash(*number) == *hash);
        let number = pinned.or_else(near).or_else(|| (*hash == self.genesis).then_some(0))?;
        self.hash(number)?;
        self.known.get(hash).copied()
    }

    /// Whether the state of a block is still there.
    pub fn keeps_state_of(&self, number: u64) -> bool {
        self.keeps.is_none_or(|keeps| number + keeps >= self.best)
    }

    /// Changes the runtime from a block on.
    pub fn set_runtime(&mut self, from: u64, spec_version: u32, metadata: Vec<u8>) {
        self.runtimes.insert(from, (spec_version, metadata));
    }

    /// Version and metadata of the runtime in the state of a block.
    pub fn runtime(&self, number: u64) -> (u32, &[u8]) {
        self.runtimes.range(..=number).next_back().map_or((0, &[]), |(_, (version, metadata))| (*version, metadata))
    }

    /// Sets a value from a block on; `None` removes it.
    pub fn set_storage(&mut self, from: u64, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.storage.entry(key).or_default().insert(from, value);
    }

    /// A value at a block.
    pub fn storage(&self, number: u64, key: &[u8]) -> Option<&[u8]> {
        self.storage.get(key)?.range(..=number).next_back()?.1.as_deref()
    }

    /// Keys below a prefix, behind `start`, that have values at a block.
    pub fn keys(&self, number: u64, prefix: &[u8], start: &[u8], count: usize) -> Vec<&[u8]> {
        let all = self.storage.range(prefix.to_vec()..).map(|(key, _)| key.as_slice()).take_while(|key| key.starts_with(prefix));
        all.filter(|key| *key > start && self.storage(number, key).is_some()).take(count).collect()
    }

    /// Sets the answer of a runtime call from a block on.
    pub fn set_call(&mut self, from: u64, name: &str, arguments: Vec<u8>, answer: Vec<u8>) {
        self.calls.entry((name.to_owned(), arguments)).or_default().insert(from, answer);
    }

    /// The answer of a runtime call at a block.
    pub fn call(&self, number: u64, name: &str, arguments: &[u8]) -> Option<&[u8]> {
        let history = self.calls.get(&(name.to_owned(), arguments.to_vec()))?;
        history.range(..=number).next_back().map(|(_, answer)| answer.as_slice())
    }
}
