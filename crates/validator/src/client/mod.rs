//! The calls of a validator's HTTP API that a control plane makes.

mod http;
mod instances;
mod lists;
mod nodes;
mod servers;

use std::sync::Arc;

use protocol::ids::Ss58;
use protocol::key::Keypair;

pub use nodes::Advertised;

use crate::{ConfigError, ValidatorConfig};

/// A validator's HTTP API, spoken to as one miner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ValidatorClient {
    http: http::Http,
    validator: Ss58,
}

/// What became of a wish to delete something. Both mean that it is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It was there and was deleted.
    Deleted,
    /// It was not there, says the validator itself.
    NotFound,
}

impl ValidatorClient {
    /// A client that signs with `key`. Needs a process-wide rustls provider, even for plain `http`.
    pub fn new(config: ValidatorConfig, key: Arc<Keypair>) -> Result<Self, ConfigError> {
        config.check_api()?;
        Ok(Self { http: http::Http::new(config.api, key)?, validator: config.hotkey })
    }

    /// The validator's hotkey.
    pub fn validator(&self) -> &Ss58 {
        &self.validator
    }

    /// The miner's hotkey.
    pub fn miner(&self) -> &Ss58 {
        self.http.key().address()
    }
}
