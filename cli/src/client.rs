//! Signed requests to the miner API.

use crate::{
    args::Connection,
    failure::{Failure, Kind},
    hotkey::{self, Signer},
};
use protocol::sign::{Purpose, Signed};
use reqwest::{Certificate, Method, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use url::{Host, Url};

const DEFAULT_API: &str = "http://127.0.0.1:32000";
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(30);
/// A little longer than the miner API streams.
const STREAM: Duration = Duration::from_secs(930);

/// A miner API, spoken to as one hotkey.
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
    signer: Signer,
}

impl Client {
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        let text = if connection.miner_api.is_empty() { DEFAULT_API } else { connection.miner_api.trim_end_matches('/') };
        let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| {
            Failure::new(Kind::Usage, format!("'{text}' is no URL of a miner API")).advise("--miner-api http://127.0.0.1:32000")
        })?;
        let signer = hotkey::load(&connection.hotkey, Some(connection.hotkey_password_file.as_str()).filter(|file| !file.is_empty()))?;
        // No redirects: a signature is for this server.
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let builder = match (connection.ca_file.as_str(), base.scheme()) {
            // Plain HTTP must work on a machine without any root certificates.
            ("", "http") => builder.tls_certs_only([]),
            ("", _) => builder,
            (path, _) => builder.tls_certs_only(authorities(path)?),
        };
        let http = builder.build().map_err(|error| {
            Failure::general(format!("cannot set up TLS: {error}")).advise("give the miner API's authority with --ca-file")
        })?;
        Ok(Self { base, http, signer })
    }

    /// Whether nobody between here and the miner API can read along.
    pub(crate) fn is_private(&self) -> bool {
        let loopback = match self.base.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.base.scheme() == "https" || loopback
    }

    pub(crate) async fn get(&self, path: &[&str]) -> Result<Value, Failure> {
        json(self.send(Method::GET, path, &[]).await?).await
    }

    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        json(self.send(Method::DELETE, path, query).await?).await
    }

    async fn send(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<Response, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).timeout(TOTAL);
        for (name, value) in self.signer.headers(Signed::Purpose(Purpose::Management)) {
            request = request.header(name, value);
        }
        self.checked(request.send().await).await
    }

    /// Posts a body and returns the answer to be read bit by bit.
    pub(crate) async fn post_stream(&self, path: &[&str], body: &Value) -> Result<Response, Failure> {
        let body = body.to_string();
        let mut request = self.http.post(self.url(path)).timeout(STREAM).header("content-type", "application/json");
        for (name, value) in self.signer.headers(Signed::Body(body.as_bytes())) {
            request = request.header(name, value);
        }
        self.checked(request.body(body).send().await).await
    }

    /// Segments are escaped; an empty last one makes a trailing slash.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn checked(&self, answer: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(refusal(status, &text))
    }

    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
        let advice = match self.base.scheme() {
            "https" => "is it running, is the address right, and is --ca-file its authority (ca.pem of its state folder)?",
            _ => "is it running, and is --miner-api right? On another machine use its https address",
        };
        Failure::new(Kind::Unreachable, format!("the miner API at {} does not answer: {cause}", self.base)).advise(advice)
    }
}

fn authorities(path: &str) -> Result<Vec<Certificate>, Failure> {
    let path = hotkey::expand(path);
    let pem = std::fs::read(&path)
        .map_err(|error| Failure::general(format!("cannot read {}: {error}", path.display())).advise("check --ca-file or MINER_API_CA"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => Err(Failure::general(format!("{} holds no PEM certificate", path.display()))
            .advise("copy ca.pem from the miner API's state folder")),
    }
}

async fn json(answer: Response) -> Result<Value, Failure> {
    let text = answer.text().await.map_err(|error| Failure::new(Kind::Unreachable, format!("the answer broke off: {error}")))?;
    serde_json::from_str(&text).map_err(|_| Failure::general("the answer is not JSON: is this URL really that of a miner API?"))
}

/// The server's own words, and a code by status.
pub(crate) fn refusal(status: StatusCode, body: &str) -> Failure {
    let detail = match serde_json::from_str::<Value>(body).ok().and_then(|value| value.get("detail").cloned()) {
        Some(Value::String(text)) => text,
        Some(Value::Array(errors)) => errors.iter().map(field).collect::<Vec<_>>().join("; "),
        _ => body.chars().filter(|c| !c.is_control()).take(300).collect(),
    };
    let (kind, advice) = match status.as_u16() {
        401 => (Kind::Unauthorised, Some("is this the hotkey of that miner, and is the clock of this machine right (date -u)?")),
        403 => (Kind::Unauthorised, None),
        404 => (Kind::NotFound, Some("list the servers with: chutes-miner local-inventory")),
        503 => (Kind::General, Some("wait a little, then try again; chutes-miner status says what is wrong")),
        _ => (Kind::General, None),
    };
    let failure = Failure::new(kind, format!("{detail} (HTTP {})", status.as_u16()));
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

fn field(error: &Value) -> String {
    let place: Vec<&str> = error["loc"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|part| *part != "body").collect();
    format!("{}: {}", place.join("."), error["msg"].as_str().unwrap_or("not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_kept_and_the_status_decides_the_code() {
        for (status, body, kind, words) in [
            (401, r#"{"detail":"go away (missing)"}"#, Kind::Unauthorised, "go away (missing)"),
            (404, r#"{"detail":"No kubernetes node with id or name x found!"}"#, Kind::NotFound, "name x found"),
            (409, r#"{"detail":"already provisioned"}"#, Kind::General, "already provisioned"),
            (
                422,
                r#"{"detail":[{"loc":["body","name"],"msg":"Field required"},{"loc":["body","validator"],"msg":"bad"}]}"#,
                Kind::General,
                "name: Field required; validator: bad",
            ),
            (502, "<html>\u{1b}[31mBad", Kind::General, "<html>[31mBad"),
        ] {
            let failure = refusal(StatusCode::from_u16(status).unwrap(), body);
            assert_eq!(failure.kind, kind, "{status}");
            assert!(failure.text().contains(words), "{}", failure.text());
        }
    }
}
