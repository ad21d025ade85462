//! The validator's state: everything behind one lock, changed only by the methods of this folder.
//! No HTTP and no sockets here beyond handing out finished events.

pub(crate) mod bounties;
pub(crate) mod capacity;
pub(crate) mod chutes;
pub(crate) mod claims;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod instances;
pub(crate) mod jobs;
pub(crate) mod journal;
pub(crate) mod launches;
pub(crate) mod nodes;
pub(crate) mod nonces;
pub(crate) mod servers;
pub(crate) mod view;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{Config, DevKey, Profile, clock::Clock, http::refusal::Refusal, ids::Ids};

/// The validator's memory.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) rules: Rules,
    pub(crate) validator: Arc<DevKey>,
    jwt_key: String,
    /// Hotkeys of the subnet, with the reason when one is blacklisted.
    pub(crate) miners: BTreeMap<String, Option<String>>,
    pub(crate) chutes: BTreeMap<String, chutes::Chute>,
    pub(crate) nodes: BTreeMap<String, nodes::Node>,
    gpu_uses: Vec<nodes::Use>,
    pub(crate) tasks: BTreeMap<String, nodes::Task>,
    /// Outcome of the next GPU check, when it shall fail.
    pub(crate) fail_next_check: Option<String>,
    pub(crate) servers: BTreeMap<String, servers::Server>,
    pub(crate) launches: BTreeMap<String, launches::Launch>,
    pub(crate) instances: BTreeMap<String, instances::Instance>,
    pub(crate) ended: Vec<instances::Instance>,
    bounties: BTreeMap<String, bounties::Bounty>,
    pub(crate) jobs: BTreeMap<String, jobs::Job>,
    nonces: BTreeMap<String, nonces::Nonce>,
    pub(crate) sockets: events::Sockets,
    pub(crate) event_faults: Vec<crate::EventFault>,
    pub(crate) faults: Vec<crate::Fault>,
    pub(crate) journal: journal::Journal,
}

/// What does not change while the simulator runs.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    pub(crate) public_url: String,
    pub(crate) allow_private_hosts: bool,
    pub(crate) simple_capacity: bool,
    pub(crate) tee_callback: bool,
    pub(crate) node_verify: Duration,
}

impl World {
    /// The state at start: registered miners and the scenario's chutes.
    pub(crate) fn new(config: &Config, public_url: String) -> Result<Self, Refusal> {
        let mut ids = Ids::new(config.id_seed);
        let jwt_key = hex::encode(Sha256::digest(ids.hex(64)));
        let scenario = &config.scenario;
        let mut world = Self {
            clock: Clock::default(),
            ids,
            rules: Rules {
                profile: scenario.profile.unwrap_or(config.profile),
                public_url,
                allow_private_hosts: config.allow_private_hosts,
                simple_capacity: config.simple_capacity,
                tee_callback: config.tee_callback,
                node_verify: scenario.node_verify_seconds.map_or(config.node_verify, |s| Duration::from_secs_f64(s.max(0.0))),
            },
            validator: Arc::new(DevKey::from_seed(config.validator_seed)),
            jwt_key,
            miners: scenario.miners.iter().map(|hotkey| (hotkey.clone(), None)).collect(),
            chutes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            gpu_uses: Vec::new(),
            tasks: BTreeMap::new(),
            fail_next_check: None,
            servers: BTreeMap::new(),
            launches: BTreeMap::new(),
            instances: BTreeMap::new(),
            ended: Vec::new(),
            bounties: BTreeMap::new(),
            jobs: BTreeMap::new(),
            nonces: BTreeMap::new(),
            sockets: events::Sockets::default(),
            event_faults: Vec::new(),
            faults: Vec::new(),
            journal: journal::Journal::default(),
        };
        for chute in &scenario.chutes {
            world.create_chute(chute.clone())?;
        }
        Ok(world)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What time alone changes: GPU checks that finish, instances that never came up. Called often.
    pub(crate) fn tick(&mut self) {
        let now = self.now();
        self.finish_checks(now);
        self.purge_stuck(now);
    }

    /// Back to the state of start, keeping the sockets that are connected.
    pub(crate) fn reset(&mut self, config: &Config) -> Result<(), Refusal> {
        let sockets = std::mem::take(&mut self.sockets);
        let fresh = Self::new(config, self.rules.public_url.clone())?;
        *self = fresh;
        self.sockets = sockets;
        Ok(())
    }
}
