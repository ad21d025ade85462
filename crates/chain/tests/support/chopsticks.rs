//! A chain of its own: a real runtime on a chain spec, in a process that makes a block for each extrinsic.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chain::read::rpc::{Pool, RpcOptions};
use chain::read::{Chain, ChainConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The version that is known to work.
const VERSION: &str = "1.5.1";
/// Until the first block, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running node. It ends when this is dropped.
pub(crate) struct Node {
    process: Child,
    url: String,
    rpc: Pool,
    /// Its configuration and its log.
    folder: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    /// Starts one; `None` where it is not to be had and need not be.
    pub(crate) async fn start() -> Option<Self> {
        let program = program();
        let needs = format!("node and npm, and the npm registry to install @acala-network/chopsticks {VERSION} from");
        if !testkit::level::beyond(2, program.is_some(), &needs) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut spec = flate2::read::GzDecoder::new(include_bytes!("../../testdata/raonet/raonet.json.gz").as_slice());
        std::io::copy(&mut spec, &mut File::create(folder.path().join("raonet.json")).unwrap()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({
            "genesis": "./raonet.json",
            "host": "127.0.0.1",
            "port": port,
            "build-block-mode": "Instant",
            // Parts of the runtime that no extrinsic of ours reaches call what only subtensor's own node has.
            "allow-unresolved-imports": true,
            "mock-signature-host": false,
        });
        std::fs::write(folder.path().join("config.yml"), config.to_string()).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new("node")
            .arg(program.unwrap())
            .args(["--config", "config.yml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let url = format!("ws://127.0.0.1:{port}");
        let options = RpcOptions { backoff: (Duration::from_millis(100), Duration::from_secs(1)), ..RpcOptions::default() };
        let rpc = Pool::new(vec![url.parse().unwrap()], None, options);
        let node = Self { process, url, rpc, folder };
        let begun = Instant::now();
        while let Err(error) = node.rpc.call("chain_getHeader", json!([])).await {
            assert!(begun.elapsed() < PATIENCE, "{error}\n{}", node.log());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Some(node)
    }

    /// The chain it runs.
    pub(crate) fn chain(&self) -> Chain {
        Chain::new(ChainConfig::parse(&self.url).unwrap())
    }

    /// Asks what only this node knows.
    pub(crate) async fn ask(&self, method: &'static str, params: Value) -> Value {
        self.rpc.call(method, params).await.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The program, installed once for all runs that share a target folder.
fn program() -> Option<PathBuf> {
    succeeds(Command::new("node").arg("--version"))?;
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chopsticks-{VERSION}"));
    let program = kept.join("node_modules/@acala-network/chopsticks/chopsticks.cjs");
    if !program.exists() {
        let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = made.path().join("chopsticks");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("package.json"), r#"{"private": true}"#).unwrap();
        let package = format!("@acala-network/chopsticks@{VERSION}");
        // Its packages' own install scripts build a database that is not used here.
        let options = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000"];
        let mut npm = Command::new("npm");
        succeeds(npm.args(options).arg(package).current_dir(&folder))?;
        // Whole under its name or not at all; another run may have been faster.
        let _ = std::fs::rename(&folder, &kept);
    }
    program.exists().then_some(program)
}

fn succeeds(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then_some(())
}
