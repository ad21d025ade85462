//! The operator: one leader reconciles the fleet's custom resources.

mod config;
mod lead;
mod watchdogs;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use cluster::leader::{self, Ended, LeaderOptions};
use controllers::Metrics;
use protocol::key::HotkeyFile;
use service::readiness::Readiness;
use store::Store;

use config::Config;
use lead::Parts;

fn main() -> ExitCode {
    let config = Config::parse();
    service::init("operator");
    service::run(async { service::ending(run(config).await) })
}

async fn run(config: Config) -> Result<ExitCode> {
    service::tls::install_provider();
    let shutdown = service::shutdown().context("installing the signal handlers")?;

    let hotkey = service::secret_file(&config.hotkey_file)?;
    let key = Arc::new(HotkeyFile::parse(&hotkey)?.into_keypair());
    drop(hotkey);

    let mut registry = service::Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::new();
    service::admin::serve(config.admin_listen, registry, readiness.clone(), shutdown.clone())
        .await
        .with_context(|| format!("listening on {} for probes and metrics", config.admin_listen))?;

    let client = cluster::client::connect(config.client_source()).await?;
    let options = store::Options { application_name: "gepetto-operator".to_owned(), ..store::Options::default() };
    let store = Store::connect(&config.database_url, &options)?;
    watchdogs::start(&store, &config.redis_url, &client, &readiness, &shutdown)?;

    let lease = LeaderOptions {
        lease: config.lease.into(),
        renew: config.lease_renew.into(),
        ..LeaderOptions::new(controllers::FLEET_NAMESPACE, controllers::LEADER_LEASE, config.identity())
    };
    let parts = Parts { client: client.clone(), store, key, config, metrics, readiness };
    let ended = leader::run(client, lease, shutdown, |leadership| lead::lead(parts, leadership)).await;
    Ok(match ended {
        Ended::Shutdown => ExitCode::SUCCESS,
        // Fail-stop: what this process remembers is no longer the truth.
        Ended::Lost | Ended::Finished => ExitCode::from(2),
    })
}
