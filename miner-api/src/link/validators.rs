//! [`Validators`] over the validators' own HTTP interfaces.

use super::driver::config;
use crate::{kubernetes::KubeFleet, ports::fleet::Fleet as _, ports::validators::Validators};
use async_trait::async_trait;
use protocol::{ids::Ss58, key::Keypair};
use std::{collections::BTreeSet, sync::Arc};
use validator::ValidatorClient;

/// Asks the validators that have a resource.
pub struct LinkedValidators {
    fleet: Arc<KubeFleet>,
    key: Arc<Keypair>,
}

impl LinkedValidators {
    /// Over the validators of the control cluster.
    #[must_use]
    pub fn new(fleet: Arc<KubeFleet>, key: Arc<Keypair>) -> Self {
        Self { fleet, key }
    }
}

#[async_trait]
impl Validators for LinkedValidators {
    async fn supported_gpus(&self, validator: &Ss58) -> Result<BTreeSet<String>, String> {
        let view = self.fleet.view();
        let resource = view.validators.iter().find(|one| one.spec.hotkey == *validator).ok_or("no Validator resource has that hotkey")?;
        let client = ValidatorClient::new(config(resource)?, Arc::clone(&self.key)).map_err(|error| error.to_string())?;
        let gpus = client.supported_gpus().await.map_err(|error| error.to_string())?;
        Ok(gpus.into_keys().map(String::from).collect())
    }
}
