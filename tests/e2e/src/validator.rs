//! The simulated validator of a fleet, seen from a synchronous test.

use anyhow::{Context as _, Result};
use validator_sim::{AdminClient, ChutePatch, ChuteSpec, Counters, EventFault, EventFaultMode, Fault, Snapshot};

/// What a test may see and do at the validator.
pub struct Validator {
    admin: AdminClient,
    runtime: tokio::runtime::Runtime,
}

impl Validator {
    /// The simulator whose admin API listens at `url`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn at(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { admin: AdminClient::new(url).context("the simulator's admin URL")?, runtime })
    }

    /// Everything it holds at this moment.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(self.runtime.block_on(self.admin.snapshot())?)
    }

    /// What it was asked, by route, and how launches fared.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counters(&self) -> Result<Counters> {
        Ok(self.runtime.block_on(self.admin.counters())?)
    }

    /// Requests nobody should have made, in words.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn unexpected(&self) -> Result<Vec<String>> {
        Ok(self.runtime.block_on(self.admin.unexpected())?.into_iter().map(|u| format!("{u:?}")).collect())
    }

    /// Offers a chute.
    ///
    /// # Errors
    /// When it is refused.
    pub fn offer(&self, chute: &ChuteSpec) -> Result<()> {
        self.runtime.block_on(self.admin.create_chute(chute))?;
        Ok(())
    }

    /// Wants another number of copies of a chute, and tells nobody, as its autoscaler does.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn want(&self, chute: &str, target: u32) -> Result<()> {
        self.runtime.block_on(self.admin.update_chute(chute, &ChutePatch { target: Some(target), ..ChutePatch::default() }))?;
        Ok(())
    }

    /// Offers a chute no more.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn withdraw(&self, chute: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.admin.delete_chute(chute))?)
    }

    /// Misbehaves on some requests.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn fault(&self, fault: &Fault) -> Result<()> {
        Ok(self.runtime.block_on(self.admin.fault(fault))?)
    }

    /// Broadcasts no event any more: only its lists tell.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn fall_silent(&self) -> Result<()> {
        let all = EventFault { reason: None, mode: EventFaultMode::Drop, times: None };
        Ok(self.runtime.block_on(self.admin.event_fault(&all))?)
    }

    /// Behaves again.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn heal(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.admin.clear_faults())?)
    }

    /// Deletes an instance, as its own checks would.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_instance(&self, instance: &str, reason: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.admin.delete_instance(instance, reason))?)
    }
}
