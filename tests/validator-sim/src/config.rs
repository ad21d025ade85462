//! How a simulator is started: addresses, era, timing, and the relaxations that are in force.

use std::{collections::BTreeSet, fmt, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Scenario;

/// Which era of the original is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// October 2025: launch tokens of two hours, GPU proof of work.
    #[default]
    Oct25,
    /// March 2026: longer tokens, signed inventory, TEE fields in chute rows.
    Mar26,
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "oct25" => Ok(Self::Oct25),
            "mar26" => Ok(Self::Mar26),
            other => Err(format!("no such profile: {other}; write oct25 or mar26")),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oct25 => "oct25",
            Self::Mar26 => "mar26",
        })
    }
}

/// A point on which the simulator is laxer than the original. Each is named in the start-up lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Relaxation {
    /// The launch token's url may be plain http with any host and port.
    PlainHttp,
    /// Servers may advertise private and loopback hosts.
    PrivateHosts,
    /// Capacity is `instances < target` and nothing else.
    SimpleCapacity,
    /// The response to a claim's challenge is its plain text in base64, not a cipher text made on the GPU.
    PlainProof,
    /// Advertised GPUs count as proven after a while; nobody is asked for a proof of work.
    NoProofOfWork,
    /// TEE servers are registered without calling them back.
    NoTeeCallback,
    /// A TEE claim needs its nonce, but no quote is verified.
    NoTeeAttestation,
    /// Launch tokens are signed by HS256 also for libraries from 0.3.61 on, where the original signs by ES256.
    SymmetricTokens,
}

impl Relaxation {
    /// The name printed at start.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain-http",
            Self::PrivateHosts => "private-hosts",
            Self::SimpleCapacity => "simple-capacity",
            Self::PlainProof => "plain-proof",
            Self::NoProofOfWork => "no-proof-of-work",
            Self::NoTeeCallback => "no-tee-callback",
            Self::NoTeeAttestation => "no-tee-attestation",
            Self::SymmetricTokens => "symmetric-tokens",
        }
    }

    /// What it relaxes, for a person.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PlainHttp => "launch tokens may point to plain http",
            Self::PrivateHosts => "private and loopback hosts may be advertised",
            Self::SimpleCapacity => "capacity is instances < target, without cold-start and fair-share rules",
            Self::PlainProof => "a claim is proven by echoing its challenge in base64",
            Self::NoProofOfWork => "advertised GPUs verify by time alone",
            Self::NoTeeCallback => "TEE servers are registered without a call-back",
            Self::NoTeeAttestation => "TEE claims need a nonce, but no quote is checked",
            Self::SymmetricTokens => "launch tokens are HS256 also for library >= 0.3.61, where the original uses ES256",
        }
    }
}

/// Everything a simulator is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where miners and chutes connect.
    pub listen: SocketAddr,
    /// Where tests and people steer it.
    pub admin_listen: SocketAddr,
    /// The url that launch tokens carry; the listening address when absent.
    pub public_url: Option<String>,
    /// The era; a scenario may name another.
    pub profile: Profile,
    /// Launch tokens may point to plain http.
    pub allow_plain_http: bool,
    /// Private hosts may be advertised.
    pub allow_private_hosts: bool,
    /// Capacity is `instances < target`.
    pub simple_capacity: bool,
    /// TEE servers are called back at `https://host:30443/server/attest`.
    pub tee_callback: bool,
    /// How long an advertised GPU stays pending.
    pub node_verify: Duration,
    /// Engine.IO ping interval.
    pub ping_interval: Duration,
    /// How long a socket may leave a ping unanswered.
    pub ping_timeout: Duration,
    /// Seed of the ids; random when absent.
    pub id_seed: Option<u64>,
    /// Development seed of the validator's own hotkey.
    pub validator_seed: [u8; 32],
    /// Registered miners and first chutes.
    pub scenario: Scenario,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            profile: Profile::default(),
            allow_plain_http: false,
            allow_private_hosts: false,
            simple_capacity: false,
            tee_callback: false,
            node_verify: Duration::from_secs(3),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            id_seed: None,
            validator_seed: *b"a validator of tests, not secret",
            scenario: Scenario::default(),
        }
    }
}

impl Config {
    /// For tests on one machine: free ports, plain http, private hosts, simple capacity, quick verification.
    #[must_use]
    pub fn relaxed() -> Self {
        Self {
            allow_plain_http: true,
            allow_private_hosts: true,
            simple_capacity: true,
            node_verify: Duration::from_millis(200),
            ..Self::default()
        }
    }

    /// The relaxations in force, the standing ones included.
    #[must_use]
    pub fn relaxations(&self) -> BTreeSet<Relaxation> {
        let switched = [
            (self.allow_plain_http, Relaxation::PlainHttp),
            (self.allow_private_hosts, Relaxation::PrivateHosts),
            (self.simple_capacity, Relaxation::SimpleCapacity),
            (!self.tee_callback, Relaxation::NoTeeCallback),
            (true, Relaxation::PlainProof),
            (true, Relaxation::NoProofOfWork),
            (true, Relaxation::NoTeeAttestation),
            (true, Relaxation::SymmetricTokens),
        ];
        switched.into_iter().filter(|(on, _)| *on).map(|(_, relaxation)| relaxation).collect()
    }
}
