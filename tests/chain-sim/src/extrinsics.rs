//! What the node makes of extrinsics. It does not look into them.

use std::collections::HashMap;

use crate::{Hash, World};

/// twox128("System") and twox128("Events").
const EVENTS: [u8; 32] = [
    0x26, 0xaa, 0x39, 0x4e, 0xea, 0x56, 0x30, 0xe0, 0x7c, 0x48, 0xae, 0x0c, 0x95, 0x58, 0xce, 0xf7, 0x80, 0xd4, 0x1e, 0x5e, 0x16, 0x05,
    0x67, 0x65, 0xbc, 0x84, 0x61, 0x85, 0x10, 0x72, 0xc9, 0xd7,
];

/// An inherent, such as every block begins with.
const INHERENT: [u8; 5] = [0x10, 0x04, 0x03, 0x00, 0x0b];

/// What becomes of each extrinsic from now on.
#[derive(Debug, Clone)]
pub enum Fate {
    /// The node refuses it with these words.
    Refused(String),
    /// The next block has it as extrinsic 1, with these events (SCALE, all of the block), and is final soon.
    Included(Vec<u8>),
    /// It waits in the pool.
    Waiting,
    /// It is taken and forgotten, and this many blocks go by.
    Forgotten(u64),
}

impl Fate {
    /// Included, and did what it was to do: `System.ExtrinsicSuccess` of no weight.
    pub fn success() -> Self {
        Self::Included(vec![4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Included, and failed with an error of a pallet: `System.ExtrinsicFailed` of no weight.
    pub fn failure(pallet: u8, error: u8) -> Self {
        Self::Included(vec![4, 0, 1, 0, 0, 0, 0, 1, 3, pallet, error, 0, 0, 0, 0, 0, 0, 0, 0])
    }
}

/// What the node makes of extrinsics.
#[derive(Debug)]
pub struct Extrinsics {
    /// What becomes of them.
    pub fate: Fate,
    /// What they cost by `TransactionPaymentApi.query_info`, in rao.
    pub fee_rao: u64,
    /// `ApplyExtrinsicResult` of a dry run, in SCALE; success unless it is changed.
    pub dry_run: Vec<u8>,
    /// Number of the next extrinsic of every account, until a test changes it.
    pub nonce: u32,
    /// All that were sent so far.
    pub sent: Vec<Vec<u8>>,
    blocks: HashMap<Hash, Vec<Vec<u8>>>,
}

impl Default for Extrinsics {
    fn default() -> Self {
        let fate = Fate::Refused("Invalid Transaction: this node takes none".to_owned());
        Self { fate, fee_rao: 0, dry_run: vec![0, 0], nonce: 0, sent: Vec::new(), blocks: HashMap::new() }
    }
}

impl Extrinsics {
    /// The extrinsics of a block.
    pub(crate) fn of(&self, block: &Hash) -> &[Vec<u8>] {
        self.blocks.get(block).map_or(&[], Vec::as_slice)
    }

    /// SCALE of `RuntimeDispatchInfo`: no weight, normal.
    pub(crate) fn info(&self) -> Vec<u8> {
        [&[0, 0, 0], self.fee_rao.to_le_bytes().as_slice()].concat()
    }
}

impl World {
    /// Takes an extrinsic, or says why not.
    pub(crate) fn submit(&mut self, extrinsic: Vec<u8>) -> Result<(), String> {
        self.extrinsics.sent.push(extrinsic.clone());
        match self.extrinsics.fate.clone() {
            Fate::Refused(words) => return Err(words),
            Fate::Waiting => {}
            Fate::Forgotten(blocks) => self.advance(blocks),
            Fate::Included(events) => self.include(extrinsic, events),
        }
        Ok(())
    }

    /// The next block has an extrinsic, with these events (SCALE, all of the block), and is final soon.
    pub fn include(&mut self, extrinsic: Vec<u8>, events: Vec<u8>) {
        self.advance(1);
        self.set_storage(self.best, EVENTS.to_vec(), Some(events));
        self.set_storage(self.best + 1, EVENTS.to_vec(), None);
        if let Some(hash) = self.hash(self.best) {
            self.extrinsics.blocks.insert(hash, vec![INHERENT.to_vec(), extrinsic]);
        }
        self.advance(self.finality_lag + 1);
    }
}
