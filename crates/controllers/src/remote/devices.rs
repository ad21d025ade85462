//! The GPUs of a sealed worker, from the attestation service on it.

use std::time::Duration;

use protocol::device::DeviceInfo;
use protocol::key::Keypair;
use protocol::sign::{Purpose, Signed, hotkey_headers};

const LIMIT: Duration = Duration::from_secs(20);
/// A server has ten GPUs at most; this is room for a thousand.
const LONGEST_BYTES: usize = 1 << 20;

/// A client for attestation services. Their certificates are self-made: nothing secret is sent, and what they say is only
/// believed once the validator has attested the same GPUs.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(LIMIT)
        .build()
}

/// Asks for the GPUs of a worker.
pub(super) async fn devices(client: &reqwest::Client, key: &Keypair, address: &str, port: u16) -> Result<Vec<DeviceInfo>, String> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let url = format!("https://{host}:{port}/server/devices");
    let mut request = client.get(&url);
    for (header, value) in hotkey_headers(key, Signed::Purpose(Purpose::Attest), jiff::Timestamp::now().as_second()) {
        request = request.header(header, value);
    }
    let wrong = |what: String| format!("the attestation service at {url} {what}");
    let mut response = request.send().await.map_err(|error| wrong(format!("does not answer: {}", error.without_url())))?;
    if response.status() != 200 {
        return Err(wrong(format!("answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| wrong(format!("broke off: {}", error.without_url())))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_BYTES {
            return Err(wrong("answered more than a megabyte".to_owned()));
        }
    }
    serde_json::from_slice(&body).map_err(|error| wrong(format!("answered what is no list of GPUs ({error})")))
}
