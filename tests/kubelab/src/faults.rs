//! Disturbing a lab: its components stopped, killed and started again.

use std::time::Duration;

use rustix::process::Signal;

use crate::control::API_SERVER;
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::state::{self, State};

impl Lab {
    /// The names of the lab's processes, as in `kube-apiserver`.
    ///
    /// # Errors
    ///
    /// When the lab is gone.
    pub fn components(&self) -> Result<Vec<String>> {
        Ok(State::load(&self.dir)?.components.into_keys().collect())
    }

    /// Freezes a component: its connections stay open and answer nothing.
    ///
    /// # Errors
    ///
    /// When there is no such component.
    pub fn freeze(&self, component: &str) -> Result<()> {
        State::load(&self.dir)?.signal(component, Signal::STOP).map(drop)
    }

    /// Lets a frozen component go on.
    ///
    /// # Errors
    ///
    /// When there is no such component.
    pub fn thaw(&self, component: &str) -> Result<()> {
        State::load(&self.dir)?.signal(component, Signal::CONT).map(drop)
    }

    /// Kills a component and waits for its end.
    ///
    /// # Errors
    ///
    /// When there is no such component.
    pub fn kill(&self, component: &str) -> Result<()> {
        let process = State::load(&self.dir)?.signal(component, Signal::KILL)?;
        if process.gone_within(Duration::from_secs(10)) {
            return Ok(());
        }
        Err(Error::LeftBehind(vec![format!("process {} of {component}", process.pid)]))
    }

    /// Starts a component that was killed; does nothing if it runs. Returns
    /// before it is ready, see [`Lab::wait_ready`].
    ///
    /// # Errors
    ///
    /// When there is no such component or it does not start.
    pub fn start(&self, component: &str) -> Result<()> {
        let _lock = state::lock(&self.dir)?;
        State::load(&self.dir)?.restart(&self.dir, component)
    }

    /// Waits until the API server says it is ready.
    ///
    /// # Errors
    ///
    /// When it does not within `limit`.
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        State::load(&self.dir)?.wait(&self.dir, API_SERVER, "did not become ready", limit, || {
            self.kubectl_run(["get", "--raw=/readyz", "--request-timeout=2s"]).is_ok()
        })
    }
}
