//! What `add-node` asks a validator.

use async_trait::async_trait;
use protocol::ids::Ss58;
use std::collections::BTreeSet;

/// Asks validators.
#[async_trait]
pub trait Validators: Send + Sync {
    /// The short names of the GPUs a validator takes, or why it did not say.
    async fn supported_gpus(&self, validator: &Ss58) -> Result<BTreeSet<String>, String>;
}
