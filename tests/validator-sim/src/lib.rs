//! A validator in memory, as strict as the original.
//!
//! It answers what a miner and a chute may ask of a validator, checks every signature, counts everything,
//! and can be made to fail on purpose. Tests start it in process ([`Simulator::start`]); people and other
//! processes run the program of the same name and steer it with [`AdminClient`].
//!
//! It shares no code with the programs it tests: signatures, tokens and the GPU catalogue are written out
//! again here, so that a misunderstanding on one side shows.

mod admin;
mod catalogue;
mod clock;
mod config;
mod http;
mod ids;
mod jwt;
mod keys;
mod model;
mod scenario;
mod selector;
mod serve;
mod simulator;
mod socket;
mod world;

pub use admin::client::{AdminClient, AdminError};
pub use config::{Config, Profile, Relaxation};
pub use keys::DevKey;
pub use model::{
    Counters, EventFault, EventFaultMode, Fault, FaultMode, InstanceView, LaunchCounts, LaunchState, LaunchView, LoggedRequest, Segment,
    Snapshot, SocketView, Unexpected,
};
pub use scenario::{ChutePatch, ChuteSpec, Scenario, Selector};
pub use simulator::{Simulator, StartError};
