//! A double of the attestation service on a sealed worker: health and devices over TLS with a self-made certificate. It checks the
//! three-part signature as the original does and serves the GPUs that `fake-nvml` would.

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use protocol::auth::{HeaderView, verify_hotkey};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Parser)]
#[command(about = "Play the attestation service of a sealed worker with H100s")]
struct Args {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The only hotkey that may ask.
    #[arg(long)]
    miner: String,
    /// Seed of the GPUs' UUIDs.
    #[arg(long)]
    seed: String,
    /// How many GPUs.
    #[arg(long, default_value_t = 8)]
    gpus: u32,
}

/// How old or early a signature may be, in seconds.
const WINDOW_S: i64 = 30;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    service::tls::install_provider();
    let (ca, _key) = service::tls::Ca::generate()?;
    let identity = service::tls::ServerIdentity::generate(&ca, &[args.listen.ip().to_string()])?;
    let app = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/server/health", get(|| async { "ok" }))
        .route("/server/devices", get(devices))
        .with_state(args.clone());
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(identity.config()?);
    axum_server::bind_rustls(args.listen, tls).serve(app.into_make_service()).await.context("serving")
}

async fn devices(State(args): State<Arc<Args>>, headers: HeaderMap) -> Response {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let now = jiff::Timestamp::now().as_second();
    match verify_hotkey(&view, "attest", WINDOW_S, now) {
        Ok(verified) if verified.signer == args.miner.as_str() => {}
        _ => return (StatusCode::UNAUTHORIZED, Json(json!({ "detail": "Unauthorized" }))).into_response(),
    }
    // The figures of an H100 SXM as its driver gives them, and the short ref as the original derives it: the last word of the name.
    let device = |slot| {
        let uuid = fake_nvml::profile::uuid(&args.seed, slot).trim_start_matches("GPU-").replace('-', "");
        json!({
            "uuid": uuid, "name": "NVIDIA H100 80GB HBM3", "memory": 85_520_809_984_u64, "major": 9, "minor": 0,
            "clock_rate": 1_980_000.0, "ecc": true, "model_short_ref": "hbm3",
        })
    };
    Json((0..args.gpus).map(device).collect::<Vec<_>>()).into_response()
}
