//! The way to the real server: plain or TLS, one connection for each of the client's.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::engine::FaultError;
use super::identity::Identity;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A request's body: gathered where its length was known, else as it comes.
pub(super) type UpBody = Either<Full<Bytes>, Incoming>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("connect: {0}")]
    Connect(#[from] io::Error),
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be forwarded: {0}")]
    Request(#[from] http::Error),
}

/// The real server.
pub(super) struct Upstream {
    url: Url,
    host: String,
    port: u16,
    authority: HeaderValue,
    authorization: Option<HeaderValue>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Upstream {
    pub(super) fn new(url: Url, ca_pem: Option<&str>, identity: Option<&Identity>) -> Result<Self, FaultError> {
        let bad = |problem: &str| FaultError::Upstream { url: url.to_string(), problem: problem.to_owned() };
        let host = url.host_str().ok_or_else(|| bad("it has no host; give http://host:port or https://host:port"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or_else(|| bad("it has no port; give http://host:port or https://host:port"))?;
        let authority = HeaderValue::from_str(url.authority()).map_err(|_| bad("its host is no HTTP header value"))?;
        let authorization = identity.map_or(Ok(None), Identity::authorization).map_err(|problem| bad(&problem))?;
        let tls = match (url.scheme(), ca_pem) {
            ("http", _) => None,
            ("https", None) => return Err(bad("https needs the server's CA; give it by FaultProxyConfig::ca")),
            ("https", Some(pem)) => {
                let name = ServerName::try_from(host.clone()).map_err(|_| bad("its host is neither a name nor an address"))?;
                Some((connector(pem, identity).map_err(|problem| bad(&problem))?, name))
            }
            _ => return Err(bad("its scheme is neither http nor https")),
        };
        Ok(Self { url, host, port, authority, authorization, tls })
    }

    /// Turns the client's request into the one for the upstream.
    pub(super) fn readdress<B>(&self, request: Request<B>) -> Result<Request<B>, UpstreamError> {
        let (mut head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let base = self.url.path().trim_end_matches('/');
        head.uri = format!("{base}{target}").parse::<Uri>().map_err(http::Error::from)?;
        head.version = http::Version::HTTP_11;
        strip_hops(&mut head.headers);
        head.headers.remove(EXPECT);
        head.headers.insert(HOST, self.authority.clone());
        if let Some(value) = self.authorization.as_ref().filter(|_| !head.headers.contains_key(AUTHORIZATION)) {
            head.headers.insert(AUTHORIZATION, value.clone());
        }
        Ok(Request::from_parts(head, body))
    }

    /// Sends over the connection in `slot`, or over a new one, and leaves it there for the next request.
    pub(super) async fn send(
        &self,
        slot: &mut Option<SendRequest<UpBody>>,
        mut request: Request<UpBody>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        if let Some(mut kept) = slot.take()
            && kept.ready().await.is_ok()
        {
            match kept.try_send_request(request).await {
                Ok(response) => {
                    *slot = Some(kept);
                    return Ok(response);
                }
                // Closed while it was idle: given back, it was not sent.
                Err(mut refused) => match refused.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(refused.into_error().into()),
                },
            }
        }
        let mut fresh = self.connect().await?;
        let response = fresh.send_request(request).await?;
        *slot = Some(fresh);
        Ok(response)
    }

    async fn connect(&self) -> Result<SendRequest<UpBody>, UpstreamError> {
        let dial = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
            tcp.set_nodelay(true)?;
            match &self.tls {
                None => handshake(tcp).await,
                Some((connector, name)) => handshake(connector.connect(name.clone(), tcp).await?).await,
            }
        };
        tokio::time::timeout(CONNECT_LIMIT, dial).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.url)
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<UpBody>, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the sender and the answer's body are dropped, or the upstream closes.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

fn connector(ca_pem: &str, identity: Option<&Identity>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("its CA is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("its CA is no usable certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("its CA holds no certificate; give PEM text".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(roots);
    let config = match identity.map_or(Ok(None), Identity::certificate)? {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            config.with_client_auth_cert(chain, key).map_err(|error| format!("the client certificate is unusable: {error}"))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Removes what is between two neighbours only; an upgrade is asked for anew.
pub(super) fn strip_hops(headers: &mut HeaderMap) {
    let upgrade = headers.get(UPGRADE).cloned();
    for name in [CONNECTION, UPGRADE, TE, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}
