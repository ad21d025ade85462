//! One signed request and its answer: timeouts on everything, bodies bounded, redirects not followed (a signature is
//! for one host only).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::key::Keypair;
use protocol::sign::{Purpose, Signed, hotkey_headers};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::detail_of;
use crate::{ConfigError, ValidatorError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Whole time of an ordinary call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest JSON document that is read.
const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Largest piece of an error body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The connection pool and the signer.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    api: Url,
    key: Arc<Keypair>,
}

/// A request to be.
pub(super) struct Call<'a> {
    /// What people call it.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Path segments under the API's base; an empty last one makes a trailing slash.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) sign: Sign,
    pub(super) timeout: Duration,
}

/// How a request is signed.
pub(super) enum Sign {
    /// Not at all.
    Not,
    /// With a purpose word, without a body.
    Purpose(Purpose),
    /// With the hash of this JSON body.
    Body(Vec<u8>),
}

impl<'a> Call<'a> {
    pub(super) fn get(name: &'static str, path: &'a [&'a str], purpose: Purpose) -> Self {
        Self { name, method: Method::GET, path, query: &[], sign: Sign::Purpose(purpose), timeout: CALL_TIMEOUT }
    }

    pub(super) fn delete(name: &'static str, path: &'a [&'a str], purpose: Purpose) -> Self {
        Self { method: Method::DELETE, ..Self::get(name, path, purpose) }
    }

    pub(super) fn post(name: &'static str, path: &'a [&'a str], body: Vec<u8>) -> Self {
        Self { name, method: Method::POST, path, query: &[], sign: Sign::Body(body), timeout: CALL_TIMEOUT }
    }
}

impl Http {
    pub(super) fn new(api: Url, key: Arc<Keypair>) -> Result<Self, ConfigError> {
        // Without one, the builder below would not return an error: it would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError::NoTlsProvider);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("gepetto-fleet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ConfigError::Tls(error.to_string()))?;
        Ok(Self { client, api, key })
    }

    pub(super) fn key(&self) -> &Keypair {
        &self.key
    }

    /// Sends, and hands back the answer if its status is `wanted`; any other is an error with the validator's words.
    pub(super) async fn send(&self, call: Call<'_>, wanted: u16) -> Result<Response, ValidatorError> {
        let name = call.name;
        let mut request = self.client.request(call.method, self.url(call.path)).timeout(call.timeout);
        if !call.query.is_empty() {
            request = request.query(call.query);
        }
        let now = jiff::Timestamp::now().as_second();
        let headers = match &call.sign {
            Sign::Not => Vec::new(),
            Sign::Purpose(purpose) => hotkey_headers(&self.key, Signed::Purpose(*purpose), now),
            Sign::Body(body) => hotkey_headers(&self.key, Signed::Body(body), now),
        };
        for (header, value) in headers {
            request = request.header(header, value);
        }
        if let Sign::Body(body) = call.sign {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|e| ValidatorError::transport(name, e))?;
        let status = response.status().as_u16();
        if status == wanted {
            return Ok(response);
        }
        let mut body = BytesMut::new();
        // The beginning of an error body is enough; if not even that comes, the status still counts.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BYTES - body.len())]);
            if body.len() == MAX_ERROR_BYTES {
                break;
            }
        }
        Err(ValidatorError::Status { call: name, status, detail: detail_of(&body) })
    }

    /// Sends, and reads the whole answer.
    pub(super) async fn bytes(&self, call: Call<'_>, wanted: u16) -> Result<Bytes, ValidatorError> {
        let name = call.name;
        let mut response = self.send(call, wanted).await?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| ValidatorError::transport(name, e))? {
            if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                let reason = format!("it is larger than {} MiB", MAX_DOCUMENT_BYTES >> 20);
                return Err(ValidatorError::Nonsense { call: name, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Sends, and reads the answer as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call<'_>, wanted: u16) -> Result<T, ValidatorError> {
        let name = call.name;
        let body = self.bytes(call, wanted).await?;
        decode(name, &body)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.api.clone();
        url.set_query(None);
        url.path_segments_mut().expect("an http URL with a host has a path").pop_if_empty().extend(path);
        url
    }
}

/// Only the place of an error is told, never serde's own words: those can quote the answer, which may hold a token.
pub(super) fn decode<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, ValidatorError> {
    serde_json::from_slice(body).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another kind",
            _ => "it is no JSON",
        };
        let reason = format!("{kind} (line {}, column {})", error.line(), error.column());
        ValidatorError::Nonsense { call, reason }
    })
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("host", &self.api.host_str()).field("key", &self.key).finish_non_exhaustive()
    }
}
