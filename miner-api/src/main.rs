//! Wiring of the miner API.

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use hyper_util::rt::TokioTimer;
use miner_api::{
    app::{App, Clock},
    config::Args,
    enrol::{AgentClient, EnrolSettings},
    http::{Listener, router},
    kubernetes::{self, KubeFleet},
    ledger::PostgresLedger,
    link::{LinkOptions, LinkedValidators, Supervisor},
    metrics::Metrics,
};
use protocol::key::HotkeyFile;
use service::{
    readiness::{Gate, Readiness},
    tls::{Ca, ServerIdentity},
};
use std::{sync::Arc, time::Duration};
use store::{Publisher, Store};
use tokio_util::sync::CancellationToken;

/// How often Postgres is asked for a sign of life, and old signatures are forgotten.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// How long open requests may take to end at shutdown; progress streams are cut.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEADERS: Duration = Duration::from_secs(15);

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    service::init("miner-api");
    service::run(async { service::ending(run(args).await.map(|()| std::process::ExitCode::SUCCESS)) })
}

async fn run(args: Args) -> Result<()> {
    service::tls::install_provider();
    let shutdown = service::shutdown().context("cannot install signal handlers")?;
    if args.netuid != 64 {
        bail!("--netuid {} is not known: this program serves subnet 64", args.netuid);
    }

    let file = service::secret_file(&args.hotkey_file)?;
    let key = Arc::new(HotkeyFile::parse(&file).with_context(|| format!("the hotkey file {}", args.hotkey_file.display()))?.into_keypair());
    drop(file);
    let ca = Ca::load_or_create(&args.state_dir)?;
    let identity = ServerIdentity::load_or_create(&args.state_dir, &ca, &args.certificate_names())?;

    let readiness = Readiness::new();
    let mut registry = service::Registry::default();
    let metrics = Metrics::default();
    metrics.register(&mut registry);
    service::admin::serve(args.admin_listen, registry, readiness.clone(), shutdown.clone())
        .await
        .with_context(|| format!("cannot listen on {}", args.admin_listen))?;

    let options = store::Options { application_name: "miner-api".to_owned(), ..store::Options::default() };
    let store = Store::connect(&args.database_url, &options)?;
    let publisher = Publisher::new(store.clone(), &args.redis_url)?;
    tokio::spawn(look_after_postgres(store.clone(), publisher, readiness.gate("postgres"), shutdown.clone()));

    let access = kubernetes::connect(args.kubeconfig.as_deref().filter(|path| !path.as_os_str().is_empty())).await?;
    let api_server_ca_pem = match &args.api_server_ca {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => access.ca_pem,
    };
    let fleet = Arc::new(KubeFleet::start(access.client));
    let gate = readiness.gate("kubernetes");
    gate.close("reading the custom resources for the first time; are the CRDs installed?");
    tokio::spawn(until(look_after_kubernetes(Arc::clone(&fleet), gate), shutdown.clone()));

    let supervisor = Supervisor {
        fleet: Arc::clone(&fleet),
        store: store.clone(),
        key: Arc::clone(&key),
        metrics: metrics.clone(),
        options: LinkOptions {
            every: Duration::from_secs(args.list_seconds),
            withdrawn_for: Duration::from_secs(args.withdrawn_seconds),
            ..LinkOptions::default()
        },
        gate: readiness.gate("validator"),
    };
    let links = tokio::spawn(supervisor.run(shutdown.clone()));

    let every = Duration::from_secs(args.chain_seconds);
    let (endpoints, netuid, genesis) = (&args.chain_endpoint, args.netuid, args.chain_genesis);
    let chain = miner_api::chain::start(endpoints, netuid, genesis, key.address(), every, metrics.clone(), shutdown.clone())?;

    let app = Arc::new(App {
        hotkey: key.address().clone(),
        clock: Clock::System,
        fleet: Arc::<KubeFleet>::clone(&fleet),
        ledger: Arc::new(PostgresLedger::new(store.clone())),
        agents: Arc::new(AgentClient::new(Arc::clone(&key))?),
        validators: Arc::new(LinkedValidators::new(fleet, key)),
        replays: miner_api::http::replays::Replays::default(),
        node_replays: miner_api::http::replays::Replays::default(),
        rates: miner_api::http::rate::Rates::default(),
        enrol: EnrolSettings {
            control_url: args.public_url.as_str().trim_end_matches('/').to_owned(),
            ca_pem: ca.pem().to_owned(),
            api_server: args.api_server_url.as_ref().map_or(access.url, ToString::to_string).trim_end_matches('/').to_owned(),
            api_server_ca_pem,
        },
        chain,
        metrics,
    });
    tracing::info!(hotkey = %app.hotkey, listen = %args.listen, listen_tls = %args.listen_tls, public_url = %args.public_url, "serving");
    serve(&args, app, readiness, &identity, shutdown).await?;
    let _ = tokio::time::timeout(DRAIN, links).await;
    store.close().await;
    Ok(())
}

/// Both listeners, until shutdown.
async fn serve(args: &Args, app: Arc<App>, readiness: Readiness, identity: &ServerIdentity, shutdown: CancellationToken) -> Result<()> {
    let plain_handle = axum_server::Handle::new();
    let tls_handle = axum_server::Handle::new();
    let mut plain = axum_server::bind(args.listen).handle(plain_handle.clone());
    let config = axum_server::tls_rustls::RustlsConfig::from_config(identity.config()?);
    let mut tls = axum_server::bind_rustls(args.listen_tls, config).handle(tls_handle.clone());
    // Anybody may connect: whoever sends a request drop by drop, or none, is shown the door.
    plain.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    tls.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let plain = plain.serve(router(Arc::clone(&app), readiness.clone(), Listener::Plain).into_make_service());
    let tls = tls.serve(router(app, readiness, Listener::Tls).into_make_service());
    tokio::spawn(async move {
        shutdown.cancelled().await;
        plain_handle.graceful_shutdown(Some(DRAIN));
        tls_handle.graceful_shutdown(Some(DRAIN));
    });
    tokio::try_join!(async { plain.await.with_context(|| format!("cannot serve on {}", args.listen)) }, async {
        tls.await.with_context(|| format!("cannot serve TLS on {}", args.listen_tls))
    },)?;
    Ok(())
}

/// Opens the gate when every kind was listed once, and closes it for as long as the control cluster is silent.
async fn look_after_kubernetes(fleet: Arc<KubeFleet>, gate: Gate) {
    fleet.ready().await;
    loop {
        match fleet.sources().iter().find(|source| source.is_old()) {
            None => gate.open(),
            Some(old) => gate.close(format!("the control cluster is silent: the watch of {} has not heard from it for minutes", old.name)),
        }
        tokio::time::sleep(LOOK_AFTER).await;
    }
}

/// Migrates as soon as Postgres is there, then publishes wake-ups, keeps the gate true and the table of signatures small.
async fn look_after_postgres(store: Store, publisher: Publisher, gate: Gate, shutdown: CancellationToken) {
    let work = async {
        while let Err(error) = store.migrate().await {
            gate.close(format!("migrations: {error}"));
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        tokio::spawn(until(publisher.run(), shutdown.clone()));
        loop {
            gate.follow(&store.ping().await);
            if let Err(error) = store.purge_nonces().await {
                tracing::debug!(%error, "old signatures were not forgotten");
            }
            tokio::time::sleep(LOOK_AFTER).await;
        }
    };
    until(work, shutdown.clone()).await;
}

async fn until(work: impl Future<Output = ()>, shutdown: CancellationToken) {
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}
