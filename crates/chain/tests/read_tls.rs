//! Nodes behind TLS: whom a reader believes to be who they are, and what it says of the others.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::read::{Chain, ChainConfig};
use chain_sim::Sim;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{BLOCK, options, world};

const URL: &str = "CHAIN_TLS_TEST_URL";

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a server of this name shows, valid in these years.
    fn server(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }
}

/// Puts TLS in front of a node; its port.
async fn front(node: &Sim, config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, node) = (listener.local_addr().unwrap().port(), node.url().trim_start_matches("ws://").to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, node) = (TlsAcceptor::from(Arc::clone(&config)), node.clone());
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(node).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

/// What a program says that reads from there: variables of the environment count for a whole process.
async fn says(url: &str, environment: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["the_program_that_reads", "--exact", "--nocapture"]).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command.env(URL, url).envs(environment.iter().copied());
    let start = Instant::now();
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "it hangs for {:?}", start.elapsed());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find_map(|line| line.split_once("it says: ")).map(|(_, words)| words.to_owned()).unwrap_or(said)
}

/// Not a test but what [`says`] runs; alone, it does nothing.
#[tokio::test]
async fn the_program_that_reads() {
    let Ok(url) = std::env::var(URL) else { return };
    aws_lc_rs::default_provider().install_default().unwrap();
    let chain = Chain::new(ChainConfig { options: options(), ..ChainConfig::parse(&url).unwrap() });
    match chain.finalized().await {
        Ok(block) => println!("it says: block {}", block.number),
        Err(error) => println!("it says: {error}"),
    }
}

#[tokio::test]
async fn a_node_of_ones_own_is_read_once_its_authority_is_named_and_not_before() {
    let node = Sim::start(world(&[])).await.unwrap();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let url = format!("wss://localhost:{}", front(&node, ours.server("localhost", (2020, 2100))).await);
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (file, wrong, namesake, missing) = (place("ours.pem"), place("other.pem"), place("namesake.pem"), place("missing.pem"));
    ours.write(&file);
    other.write(&wrong);
    Authority::new("ours").write(&namesake);
    let block = format!("block {}", BLOCK - 2);
    assert_eq!(says(&url, &[("SSL_CERT_FILE", &file)]).await, block);
    let certificates = folder.path().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    ours.write(&certificates.join("ours.pem"));
    assert_eq!(says(&url, &[("SSL_CERT_DIR", &certificates)]).await, block);
    for environment in [&[][..], &[("SSL_CERT_FILE", wrong.as_path())], &[("SSL_CERT_FILE", namesake.as_path())]] {
        let said = says(&url, environment).await;
        assert!(said.contains("nobody who is trusted vouches") && said.contains("SSL_CERT_FILE"), "{said}");
    }
    let said = says(&url, &[("SSL_CERT_FILE", &missing)]).await;
    assert!(said.contains("SSL_CERT_FILE names none that can be read") && said.contains("missing.pem"), "{said}");
    std::fs::write(&missing, "no certificate").unwrap();
    let said = says(&url, &[("SSL_CERT_FILE", &missing)]).await;
    assert!(said.contains("SSL_CERT_FILE names none that can be read"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let node = Sim::start(world(&[])).await.unwrap();
    let ours = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.pem");
    ours.write(&file);
    for (name, years, words) in [
        ("localhost", (2020, 2021), "has expired"),
        ("localhost", (2090, 2100), "not valid yet"),
        ("node.example", (2020, 2100), "for another name"),
    ] {
        let url = format!("wss://localhost:{}", front(&node, ours.server(name, years)).await);
        let said = says(&url, &[("SSL_CERT_FILE", &file)]).await;
        assert!(said.contains(words) && said.contains("wss://localhost"), "{said}");
    }
    // No TLS at all.
    let said = says(&node.url().replace("ws://", "wss://"), &[("SSL_CERT_FILE", &file)]).await;
    assert!(said.contains("cannot connect"), "{said}");
    // Somebody who takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = says(&format!("wss://localhost:{}", silent.local_addr().unwrap().port()), &[("SSL_CERT_FILE", &file)]).await;
    assert!(said.contains("within"), "{said}");
}
