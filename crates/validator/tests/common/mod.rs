//! A server on the loopback interface, and a client of it.

use std::sync::Arc;

use axum::Router;
use protocol::key::Keypair;
use tokio::net::TcpListener;
use url::Url;
use validator::ValidatorConfig;

/// Installs the TLS provider, as every program does when it starts.
pub(crate) fn install_tls() {
    // Several tests of one process do this; all but the first are told that it is done.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A free port with a listener on it, and the configuration that leads there.
pub(crate) async fn listen() -> (TcpListener, ValidatorConfig) {
    install_tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    let hotkey = Keypair::generate().address().clone();
    (listener, ValidatorConfig { hotkey, api: url.clone(), socket: url })
}

/// Serves `router` until the test's runtime ends.
pub(crate) async fn serve(router: Router) -> ValidatorConfig {
    let (listener, config) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    config
}

/// A miner's key.
pub(crate) fn key() -> Arc<Keypair> {
    Arc::new(Keypair::generate())
}
