//! Subnets that change block by block in the ways that there are, put into a stand-in node.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;

use chain::read::Runtime;
use chain_sim::{METADATA_V15, World, unpack};

/// The newest block when the story begins; the newest final one is two blocks older.
pub(crate) const BLOCK: u64 = 6_852_690;
/// The first block that a follower sees.
pub(crate) const FIRST: u64 = BLOCK - 2;
/// The last block of the story.
pub(crate) const LAST: u64 = BLOCK + 6;

/// Hotkey, coldkey, block of registration; by UID.
pub(crate) type Uids = Vec<(u8, u8, u64)>;

/// What stands in each block, by subnet; and the world that says so.
pub(crate) struct Story {
    runtime: Runtime,
    pub(crate) world: World,
    /// From which block on a subnet is how.
    pub(crate) history: BTreeMap<u16, BTreeMap<u64, Uids>>,
}

impl Story {
    pub(crate) fn new() -> Self {
        let metadata = unpack(METADATA_V15).unwrap();
        let runtime = Runtime::new(343, &metadata).unwrap();
        Self { runtime, world: World::new(BLOCK, 343, metadata), history: BTreeMap::new() }
    }

    /// On a runtime whose prices decay. None is recorded: two items of the same forms are given the names.
    pub(crate) fn of_decaying_prices() -> Self {
        let mut metadata = unpack(METADATA_V15).unwrap();
        for (old, new) in [(&b"\x14Kappa"[..], &b"\x30BurnHalfLife"[..]), (b"\x44SubnetMovingPrice", b"\x40BurnIncreaseMult")] {
            // A default, a map, one hasher and which: the name of an item of the state.
            let wanted = [old, &[1, 1, 4, 6]].concat();
            let at = metadata.windows(wanted.len()).position(|window| window == wanted).unwrap();
            metadata.splice(at..at + old.len(), new.iter().copied());
        }
        let runtime = Runtime::new(343, &metadata).unwrap();
        let mut story = Self { runtime, world: World::new(BLOCK, 343, metadata), history: BTreeMap::new() };
        story.number(64, "BurnHalfLife", 360);
        // 1.26 in 1/2^32.
        let factor = (126i128 << 32) / 100;
        story.put(0, "BurnIncreaseMult", &Keys::Subnet(64), Some(factor.to_le_bytes().to_vec()));
        story
    }

    /// All that can happen.
    pub(crate) fn told() -> Self {
        let mut story = Self::new();
        let b = BLOCK;
        let old = |n: u64| b - 1000 + n;
        let sn64 = |story: &mut Self, at: u64, uids: &[(u8, u8, u64)]| story.state(at, 64, 100, uids);
        sn64(&mut story, 0, &[(1, 101, old(1)), (2, 102, old(2)), (3, 103, old(3)), (4, 104, old(4)), (5, 105, old(5))]);
        story.state(0, 7, 50, &[(1, 101, old(9)), (40, 140, old(9))]);
        story.subnet_owner(64, 105);
        story.owner_hotkey(64, 5);
        story.number(64, "ImmunityPeriod", 5_000);
        story.time(0, 1_767_225_600_000);
        story.price(0, 64, 500_000);
        story.price(0, 7, 1_000_000);
        // UID 1 of subnet 64 is replaced.
        sn64(&mut story, b - 1, &[(1, 101, old(1)), (20, 120, b - 1), (3, 103, old(3)), (4, 104, old(4)), (5, 105, old(5))]);
        story.events(b - 1, &[("NeuronRegistered", &[&[64, 0], &[1, 0], &[20; 32]])]);
        story.price(b - 1, 64, 630_000);
        // A block in which nothing happens but a decay that is too small to keep.
        story.price(b, 64, 629_000);
        // An epoch, too.
        story.emission(b, 64, &[7, 1007, 2007, 3007, 4007]);
        // The hotkey on UID 2 is swapped, and coldkey 104 is.
        sn64(&mut story, b + 1, &[(1, 101, old(1)), (20, 120, b - 1), (33, 103, old(3)), (4, 144, old(4)), (5, 105, old(5))]);
        story.events(
            b + 1,
            &[
                ("HotkeySwappedOnSubnet", &[&[103; 32], &[3; 32], &[33; 32], &[64, 0]]),
                ("ColdkeySwapped", &[&[104; 32], &[144; 32], &[0; 8]]),
            ],
        );
        // Two newcomers on UID 0 within a block.
        sn64(&mut story, b + 2, &[(22, 122, b + 2), (20, 120, b - 1), (33, 103, old(3)), (4, 144, old(4)), (5, 105, old(5))]);
        story.owner(b + 2, 21, 121);
        story
            .events(b + 2, &[("NeuronRegistered", &[&[64, 0], &[0, 0], &[21; 32]]), ("NeuronRegistered", &[&[64, 0], &[0, 0], &[22; 32]])]);
        story.price(b + 2, 64, 1_000_000);
        // The owner trims the subnet to three; no event tells of it.
        sn64(&mut story, b + 3, &[(22, 122, b + 2), (33, 103, old(3)), (5, 105, old(5))]);
        // Subnet 7 is removed and its number given to another in the same block.
        story.state(b + 4, 7, b + 4, &[(50, 150, b + 4)]);
        story.events(b + 4, &[("NetworkRemoved", &[&[7, 0]]), ("NetworkAdded", &[&[7, 0], &[0, 0]])]);
        // Subnet 9 begins.
        story.state(b + 5, 9, b + 5, &[(60, 160, b + 5)]);
        story.events(b + 5, &[("NetworkAdded", &[&[9, 0], &[0, 0]])]);
        // Subnet 7 ends.
        story.remove(b + 6, 7);
        story.events(b + 6, &[("NetworkRemoved", &[&[7, 0]])]);
        story
    }

    fn put(&mut self, from: u64, item: &str, keys: &Keys, value: Option<Vec<u8>>) {
        let storage_key = |keys: &Keys| match keys {
            Keys::Subnet(netuid) => self.runtime.storage_key("SubtensorModule", item, (*netuid,)),
            Keys::Uid(netuid, uid) => self.runtime.storage_key("SubtensorModule", item, (*netuid, *uid)),
            Keys::Hotkey(hotkey) => self.runtime.storage_key("SubtensorModule", item, ([*hotkey; 32],)),
        };
        self.world.set_storage(from, storage_key(keys).unwrap(), value);
    }

    fn owner(&mut self, from: u64, hotkey: u8, coldkey: u8) {
        self.put(from, "Owner", &Keys::Hotkey(hotkey), Some(vec![coldkey; 32]));
    }

    pub(crate) fn price(&mut self, from: u64, netuid: u16, rao: u64) {
        self.put(from, "Burn", &Keys::Subnet(netuid), Some(rao.to_le_bytes().to_vec()));
    }

    /// Whose subnet it is, always.
    pub(crate) fn subnet_owner(&mut self, netuid: u16, coldkey: u8) {
        self.put(0, "SubnetOwner", &Keys::Subnet(netuid), Some(vec![coldkey; 32]));
    }

    /// Which hotkey is named as its owner's, always.
    pub(crate) fn owner_hotkey(&mut self, netuid: u16, hotkey: u8) {
        self.put(0, "SubnetOwnerHotkey", &Keys::Subnet(netuid), Some(vec![hotkey; 32]));
    }

    /// A parameter of a subnet, always.
    pub(crate) fn number(&mut self, netuid: u16, item: &str, value: u16) {
        self.put(0, item, &Keys::Subnet(netuid), Some(value.to_le_bytes().to_vec()));
    }

    /// When a block was made, and those after it until the next that is told of.
    pub(crate) fn time(&mut self, from: u64, ms: u64) {
        let key = self.runtime.storage_key("Timestamp", "Now", ()).unwrap();
        self.world.set_storage(from, key, Some(ms.to_le_bytes().to_vec()));
    }

    /// What each UID was paid.
    pub(crate) fn emission(&mut self, from: u64, netuid: u16, rao: &[u64]) {
        let mut bytes = vec![u8::try_from(rao.len() * 4).unwrap()];
        bytes.extend(rao.iter().flat_map(|rao| rao.to_le_bytes()));
        self.put(from, "Emission", &Keys::Subnet(netuid), Some(bytes));
    }

    /// A subnet from a block on. UID 0 may set weights, and each is paid a thousand times its UID.
    pub(crate) fn state(&mut self, from: u64, netuid: u16, made_at: u64, uids: &[(u8, u8, u64)]) {
        let history = self.history.entry(netuid).or_default();
        let before = history.values().next_back().map_or(0, Vec::len);
        history.insert(from, uids.to_vec());
        let one = Keys::Subnet(netuid);
        let n = u16::try_from(uids.len()).unwrap();
        self.put(from, "NetworksAdded", &one, Some(vec![1]));
        self.put(from, "SubnetworkN", &one, Some(n.to_le_bytes().to_vec()));
        self.put(from, "NetworkRegisteredAt", &one, Some(made_at.to_le_bytes().to_vec()));
        let mut permits = vec![u8::try_from(n * 4).unwrap()];
        permits.extend((0..n).map(|uid| u8::from(uid == 0)));
        self.put(from, "ValidatorPermit", &one, Some(permits));
        self.emission(from, netuid, &(0..u64::from(n)).map(|uid| uid * 1000).collect::<Vec<_>>());
        for uid in 0..before.max(uids.len()) {
            let place = uids.get(uid).copied();
            let at = Keys::Uid(netuid, u16::try_from(uid).unwrap());
            self.put(from, "Keys", &at, place.map(|(hotkey, ..)| vec![hotkey; 32]));
            self.put(from, "BlockAtRegistration", &at, place.map(|(.., registered)| registered.to_le_bytes().to_vec()));
            if let Some((hotkey, coldkey, _)) = place {
                self.owner(from, hotkey, coldkey);
            }
        }
    }

    /// The number of UIDs in another form than the runtime of the beginning has it: of 64 bits.
    pub(crate) fn wide_size(&mut self, from: u64, netuid: u16, n: u64) {
        self.put(from, "SubnetworkN", &Keys::Subnet(netuid), Some(n.to_le_bytes().to_vec()));
    }

    pub(crate) fn remove(&mut self, from: u64, netuid: u16) {
        self.state(from, netuid, 0, &[]);
        for item in ["NetworksAdded", "SubnetworkN", "NetworkRegisteredAt"] {
            self.put(from, item, &Keys::Subnet(netuid), None);
        }
    }

    /// What a block tells of; each event with the bytes of its fields.
    pub(crate) fn events(&mut self, block: u64, events: &[(&str, &[&[u8]])]) {
        let pallet = self.runtime.metadata().pallet_by_name("SubtensorModule").unwrap();
        let mut bytes = vec![u8::try_from(events.len() * 4).unwrap()];
        for (name, fields) in events {
            let variant = pallet.event_variants().unwrap().iter().find(|variant| variant.name == *name).unwrap();
            bytes.extend([0, 1, 0, 0, 0, pallet.event_index(), variant.index]);
            bytes.extend(fields.concat());
            bytes.push(0);
        }
        let key = self.runtime.storage_key("System", "Events", ()).unwrap();
        self.world.set_storage(block, key.clone(), Some(bytes));
        self.world.set_storage(block + 1, key, None);
    }
}

enum Keys {
    Subnet(u16),
    Uid(u16, u16),
    Hotkey(u8),
}
