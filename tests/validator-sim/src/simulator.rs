//! A running simulator in this process, and what tests may do to it.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    ChutePatch, ChuteSpec, Config, Counters, EventFault, Fault, LoggedRequest, Snapshot, Unexpected, admin,
    http::{self, App},
    serve::serve,
    world::World,
};

/// How often time is looked at: GPU checks end this promptly.
const TICK: Duration = Duration::from_millis(25);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The launch token's url would be plain http.
    #[error("launch tokens would point to {0}; give an https public url, or allow plain http")]
    PlainHttp(String),
    /// The scenario contradicts itself.
    #[error("scenario: {0}")]
    Scenario(String),
}

/// A running simulator. Ends when dropped.
#[derive(Debug)]
pub struct Simulator {
    app: App,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Simulator {
    /// Binds both ports and serves in the background of the current runtime.
    ///
    /// # Errors
    /// [`StartError`], which says what to change.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listener = bind(config.listen).await?;
        let admin_listener = bind(config.admin_listen).await?;
        let local = |listener: &TcpListener, asked| listener.local_addr().map_err(|why| StartError::Bind(asked, why));
        let (addr, admin_addr) = (local(&listener, config.listen)?, local(&admin_listener, config.admin_listen)?);
        let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
        let public_url = public_url.trim_end_matches('/').to_owned();
        if !config.allow_plain_http && !public_url.starts_with("https://") {
            return Err(StartError::PlainHttp(public_url));
        }
        for hotkey in &config.scenario.miners {
            if crate::keys::public_key(hotkey).is_none() {
                return Err(StartError::Scenario(format!("{hotkey} is no ss58 address")));
            }
        }
        let world = World::new(&config, public_url).map_err(|refusal| StartError::Scenario(refusal.detail))?;
        let stop = CancellationToken::new();
        let app = App::new(world, config, stop.clone());
        let tasks = vec![
            tokio::spawn(serve(listener, http::router(app.clone()), stop.clone())),
            tokio::spawn(serve(admin_listener, admin::router(app.clone()), stop.clone())),
            tokio::spawn(tick(app.clone())),
        ];
        Ok(Self { app, addr, admin_addr, stop, tasks })
    }

    /// Stops serving and waits until every connection is closed.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }

    /// Base url for miners and chutes; the socket is at the same place.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Base url of the admin API.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin_addr)
    }

    /// The validator's own hotkey.
    #[must_use]
    pub fn validator_hotkey(&self) -> String {
        self.app.world().validator.address().to_owned()
    }

    /// Registers a hotkey on the subnet.
    pub fn register_miner(&self, hotkey: &str) {
        self.app.world().miners.insert(hotkey.to_owned(), None);
    }

    /// Blacklists a hotkey with a reason, or forgives it.
    pub fn blacklist(&self, hotkey: &str, reason: Option<&str>) {
        self.app.world().miners.insert(hotkey.to_owned(), reason.map(str::to_owned));
    }

    /// Creates a chute; its row as miners see it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn create_chute(&self, spec: ChuteSpec) -> Result<Value, String> {
        let mut world = self.app.world();
        let profile = world.rules.profile;
        world.create_chute(spec).map(|chute| chute.row(profile)).map_err(|refusal| refusal.to_string())
    }

    /// Changes a chute, by id or name; its row as miners see it.
    ///
    /// # Errors
    /// There is no such chute, or it would be malformed.
    pub fn update_chute(&self, name: &str, patch: ChutePatch) -> Result<Value, String> {
        let mut world = self.app.world();
        let profile = world.rules.profile;
        world.update_chute(name, patch).map(|chute| chute.row(profile)).map_err(|refusal| refusal.to_string())
    }

    /// Deletes a chute with its instances, by id or name.
    ///
    /// # Errors
    /// There is no such chute.
    pub fn delete_chute(&self, name: &str) -> Result<(), String> {
        self.app.world().delete_chute(name).map_err(|refusal| refusal.to_string())
    }

    /// Offers a bounty for a chute, by id or name.
    ///
    /// # Errors
    /// There is no such chute.
    pub fn offer_bounty(&self, chute: &str) -> Result<(), String> {
        self.app.world().offer_bounty(chute).map_err(|refusal| refusal.to_string())
    }

    /// Offers a job of a chute, by id or name. Its id.
    ///
    /// # Errors
    /// There is no such chute.
    pub fn create_job(&self, chute: &str, method: &str, disk_gb: u32) -> Result<String, String> {
        self.app.world().create_job(chute, method, disk_gb).map_err(|refusal| refusal.to_string())
    }

    /// A job is done; its instance ends.
    ///
    /// # Errors
    /// There is no such job.
    pub fn finish_job(&self, job_id: &str) -> Result<(), String> {
        self.app.world().finish_job(job_id).map_err(|refusal| refusal.to_string())
    }

    /// Ends an instance with a reason; whether there was one.
    pub fn delete_instance(&self, instance_id: &str, reason: &str) -> bool {
        self.app.world().end_instance(instance_id, reason)
    }

    /// A new multiplier of an instance from now on.
    ///
    /// # Errors
    /// There is no such instance.
    pub fn set_multiplier(&self, instance_id: &str, multiplier: f64) -> Result<(), String> {
        self.app.world().set_multiplier(instance_id, multiplier).map_err(|refusal| refusal.to_string())
    }

    /// The next GPU check fails with this detail.
    pub fn fail_next_check(&self, detail: &str) {
        self.app.world().fail_next_check = Some(detail.to_owned());
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.app.world().faults.push(fault);
    }

    /// Orders an event fault.
    pub fn event_fault(&self, fault: EventFault) {
        self.app.world().event_faults.push(fault);
    }

    /// Takes every fault back.
    pub fn clear_faults(&self) {
        let mut world = self.app.world();
        world.faults.clear();
        world.event_faults.clear();
    }

    /// Sends any payload as `miner_broadcast`, to one hotkey or to all.
    pub fn emit(&self, payload: &Value, recipient: Option<&str>) {
        self.app.world().broadcast_raw(payload, recipient);
    }

    /// Drops every socket, as a restart does.
    pub fn drop_sockets(&self) {
        self.app.world().sockets.drop_all();
    }

    /// Moves the simulator's clock forward and does what is due.
    pub fn advance(&self, by: Duration) {
        let mut world = self.app.world();
        world.clock.advance(by);
        world.tick();
    }

    /// Back to the state of start, scenario included; sockets stay.
    ///
    /// # Errors
    /// The scenario no longer loads.
    pub fn reset(&self) -> Result<(), String> {
        self.app.world().reset(self.app.config()).map_err(|refusal| refusal.to_string())
    }

    /// Everything at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.app.world().snapshot()
    }

    /// Every count.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.app.world().counters()
    }

    /// The latest requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.app.world().journal.log.iter().cloned().collect()
    }

    /// Requests that nobody should have made.
    #[must_use]
    pub fn unexpected(&self) -> Vec<Unexpected> {
        self.app.world().journal.unexpected.iter().cloned().collect()
    }

    /// Forgets the unexpected requests, after a test that made some on purpose.
    pub fn clear_unexpected(&self) {
        let mut world = self.app.world();
        world.journal.unexpected.clear();
        world.journal.unexpected_total = 0;
    }

    /// Payloads of the latest events that were due, sent or not.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.app.world().journal.event_log.iter().cloned().collect()
    }
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).await.map_err(|why| StartError::Bind(addr, why))
}

async fn tick(app: App) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = ticks.tick() => app.world().tick(),
        }
    }
}
