//! Starting a fleet, part by part.

use super::{Driver, Facts, Fleet, FleetOptions, Form, MARK, Program, accounts, images, programs, scenario};
use crate::wait;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use kubelab::{Lab, Nodes, Options, SimulatedNode};
use protocol::key::{Keypair, Seed};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The name of the one server.
const SERVER: &str = "gpu-0";
/// How long one of our programs may take to listen.
const START_LIMIT: Duration = Duration::from_secs(40);

/// See [`Fleet::up`].
pub(super) fn up(options: &FleetOptions, say: &mut dyn FnMut(&str)) -> Result<Fleet> {
    let (dir, _starting) = prepare(&options.dir, say)?;
    start(options, &dir, say).with_context(|| {
        let logs = dir.join("logs");
        format!(
            "not everything started; logs are in {}, and of the clusters in folders like it beside. What did start still runs: \
             `make demo-down` ends it, and another start ends it first",
            logs.display()
        )
    })
}

fn start(options: &FleetOptions, dir: &Path, say: &mut dyn FnMut(&str)) -> Result<Fleet> {
    let mut clock = Clock(Instant::now());

    let (control, node) = clusters(options, dir)?;
    say(&clock.lap(&match options.form {
        Form::Own => "two Kubernetes clusters: the control cluster, and the GPU server's own with a real kubelet".to_owned(),
        Form::Shared => "a Kubernetes cluster that the GPU server is a node of".to_owned(),
    }));

    let database_url = testkit::postgres::start_detached(&dir.join("postgres"), testkit::child::free_port()?, "fleet")?;
    let redis_url = testkit::redis::start_detached(&dir.join("redis"), testkit::child::free_port()?)?;
    say(&clock.lap("Postgres and Redis"));

    if options.real {
        images::note_caches(dir)?;
        images::push(&node)?;
        say(&clock.lap("images of the chutes and the cache cleaner, pushed to a registry of this machine"));
    }
    accounts::install_control(&control)?;
    accounts::install_node(&node, options.form)?;
    say(&clock.lap("custom resources, accounts and admission policies"));

    let mut parts = Parts { dir, options, control: &control, node: &node, programs: BTreeMap::new() };
    let (hotkey_file, hotkey) = parts.hotkey()?;
    let validator = parts.validator(&hotkey)?;
    parts.validator_resource(&validator)?;
    say(&clock.lap(&format!("a validator (simulated) that offers {}", if options.chutes { "three chutes" } else { "nothing yet" })));

    let miner_api = parts.miner_api(&database_url, &redis_url, &hotkey_file)?;
    say(&clock.lap("miner API"));
    let agent_api = parts.agent(&hotkey)?;
    say(&clock.lap(match options.driver {
        Driver::Agent => "agent of server gpu-0, with 8 simulated H100s",
        Driver::Remote => "attestation service of sealed worker gpu-0, with 8 simulated H100s",
    }));
    parts.operator(&database_url, &redis_url, &hotkey_file)?;
    say(&clock.lap("operator"));

    let server_address = parts.server_address();
    let programs = std::mem::take(&mut parts.programs);
    let facts = Facts {
        form: options.form,
        driver: options.driver,
        database_url,
        redis_url,
        validator_url: validator.url,
        validator_admin: validator.admin,
        validator_hotkey: validator.hotkey,
        miner_api,
        agent_api,
        hotkey_file,
        hotkey,
        server: SERVER.to_owned(),
        server_address,
        programs,
    };
    fs::write(dir.join("fleet.json"), serde_json::to_vec_pretty(&facts)?)?;
    Ok(Fleet { dir: dir.to_owned(), facts, control, node, eyes: super::eyes::Eyes::default() })
}

/// Says how long each part took.
struct Clock(Instant);

impl Clock {
    fn lap(&mut self, what: &str) -> String {
        let took = self.0.elapsed().as_secs_f64();
        self.0 = Instant::now();
        format!("{took:5.1} s  {what}")
    }
}

/// The folder, marked as a fleet's and locked as long as the file is open. What a start that did not come to its end left there is
/// ended.
fn prepare(dir: &Path, say: &mut dyn FnMut(&str)) -> Result<(PathBuf, fs::File)> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let dir = fs::canonicalize(dir)?;
    ensure!(!dir.join("fleet.json").exists(), "a fleet runs in {} already; end it first (`make demo-down`)", dir.display());
    let empty = fs::read_dir(&dir)?.next().is_none();
    let marked = dir.join(MARK).exists();
    ensure!(empty || marked, "{} is not empty and not a fleet's; choose another folder", dir.display());
    let lock = lock(&dir)?;
    if !marked {
        return Ok((dir, lock));
    }
    say("an earlier start did not come to its end: ending what it left");
    Fleet::down(&dir).context("ending what an earlier start left")?;
    fs::create_dir_all(&dir)?;
    let lock = self::lock(&dir)?;
    Ok((dir, lock))
}

/// Only one process starts a fleet in a folder; the lock ends with it, however it ends.
fn lock(dir: &Path) -> Result<fs::File> {
    let mark = fs::File::create(dir.join(MARK))?;
    mark.try_lock().map_err(|_| anyhow!("another process is just starting a fleet in {}; wait for it", dir.display()))?;
    Ok(mark)
}

fn clusters(options: &FleetOptions, dir: &Path) -> Result<(Lab, Lab)> {
    let nodes = if options.real { Nodes::real(SERVER) } else { Nodes::Simulated { count: 0, gpus: 8 } };
    let control = Options::new(dir.join("control")).name("control").expose();
    let (control, node) = match options.form {
        Form::Shared => {
            let lab = Lab::up(big(control.nodes(nodes)), |_| ())?;
            (lab.clone(), lab)
        }
        Form::Own => {
            let node = big(Options::new(dir.join("node")).name(SERVER).nodes(nodes));
            // Two starts at once: each mostly waits.
            let node = std::thread::spawn(move || Lab::up(node, |_| ()));
            let control = Lab::up(control, |_| ());
            // Waited for in any case: nothing may start any more once this has failed.
            let Ok(node) = node.join() else { bail!("the thread that starts the node cluster panicked") };
            (control?, node?)
        }
    };
    if !options.real {
        let address = Some(Ipv4Addr::LOCALHOST.to_string());
        node.add_simulated_node(&SimulatedNode { name: SERVER.to_owned(), address, gpus: 8, ..SimulatedNode::default() })?;
    }
    Ok((control, node))
}

/// What a server with eight H100s has beside them; this machine is smaller, and its kubelet would refuse the pods.
fn big(options: Options) -> Options {
    options.claim("cpu", "192").claim("memory", "1900Gi")
}

/// What is known of the validator.
struct Validator {
    url: String,
    admin: String,
    hotkey: String,
}

/// What the starts of our programs share.
struct Parts<'a> {
    dir: &'a Path,
    options: &'a FleetOptions,
    control: &'a Lab,
    node: &'a Lab,
    programs: BTreeMap<String, Program>,
}

impl Parts<'_> {
    fn server_address(&self) -> String {
        self.node.real_node.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |n| n.ip.to_string())
    }

    /// The control cluster's API server as a program is told.
    fn control_url(&self, program: &str) -> String {
        let lab = self.control;
        self.options.between.control.as_ref().map_or_else(|| lab.api_url.clone(), |between| between(program, &lab.api_url, &lab.ca_pem))
    }

    /// The node cluster's API server as its driver is told.
    fn node_url(&self) -> String {
        let lab = self.node;
        self.options.between.node.as_ref().map_or_else(|| lab.api_url.clone(), |between| between(&lab.api_url, &lab.ca_pem))
    }

    /// Postgres as a program is told.
    fn database(&self, program: &str, url: &str) -> String {
        let Some(between) = &self.options.between.postgres else { return url.to_owned() };
        let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        port.map_or_else(|| url.to_owned(), |port: u16| url.replacen(&format!(":{port}/"), &format!(":{}/", between(program, port)), 1))
    }

    /// This machine as pods reach it.
    fn host_ip(&self) -> Ipv4Addr {
        self.node.real_node.as_ref().map_or(Ipv4Addr::LOCALHOST, |n| n.host_ip)
    }

    /// Starts a program and waits until it listens.
    fn start(&mut self, name: &str, args: Vec<String>, env: &[(&str, String)], listen: &str) -> Result<()> {
        let binary = match name {
            "validator" => programs::binary("validator-sim"),
            other => programs::binary(other),
        };
        let mut env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        env.extend(self.options.env.get(name).into_iter().flatten().cloned());
        let how = Program { binary, args, env };
        programs::start(self.dir, name, &how)?;
        self.programs.insert(name.to_owned(), how);
        let dir = self.dir;
        wait::until(&format!("{name} to listen on {listen}"), START_LIMIT, || {
            if !programs::runs(dir, name) {
                bail!("{name} ended; the last of its log: {}", programs::tail(&programs::log(dir, name)));
            }
            Ok(TcpStream::connect(listen).ok())
        })
        .map(drop)
    }

    /// A miner's hotkey, in the file format of the ecosystem.
    fn hotkey(&self) -> Result<(PathBuf, String)> {
        let mut bytes = [0_u8; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let address = Keypair::from_seed(&Seed::from_bytes(bytes)).address().to_string();
        let seed: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let path = self.dir.join("hotkey.json");
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        let content = serde_json::json!({ "ss58Address": address, "secretSeed": format!("0x{seed}") });
        std::io::Write::write_all(&mut file, content.to_string().as_bytes())?;
        Ok((path, address))
    }

    fn validator(&mut self, miner: &str) -> Result<Validator> {
        let scenario = self.dir.join("scenario.yaml");
        fs::write(&scenario, scenario::yaml(miner, self.options.chutes))?;
        let host = self.host_ip();
        let (port, admin_port) = (testkit::child::free_port()?, testkit::child::free_port()?);
        let url = format!("http://{host}:{port}");
        let listen = format!("{host}:{port}");
        let args = [
            "--listen",
            &listen,
            "--admin-listen",
            &format!("127.0.0.1:{admin_port}"),
            "--public-url",
            &url,
            "--scenario",
            &scenario.display().to_string(),
            "--node-verify-seconds",
            &self.options.verify_seconds.to_string(),
            "--allow-plain-http",
            "--allow-private-hosts",
        ];
        let mut args = args.map(str::to_owned).to_vec();
        if self.options.driver == Driver::Remote {
            args.extend(["--profile", "mar26"].map(str::to_owned));
        }
        if self.options.hasty {
            args.push("--simple-capacity".to_owned());
        }
        self.start("validator", args, &[], &listen)?;
        let log = programs::log(self.dir, "validator");
        let hotkey = wait::until("the validator's hotkey", START_LIMIT, || {
            let text = fs::read_to_string(&log)?;
            Ok(text.lines().find_map(|l| l.strip_prefix("validator hotkey ")).map(str::to_owned))
        })?;
        Ok(Validator { url, admin: format!("http://127.0.0.1:{admin_port}"), hotkey })
    }

    /// What a person writes to say whom the fleet earns from.
    fn validator_resource(&self, validator: &Validator) -> Result<()> {
        let told = self.options.between.validator.as_ref().map_or_else(|| validator.url.clone(), |between| between(&validator.url));
        let socket = told.replacen("http", "ws", 1);
        self.control.apply(&serde_json::json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Validator",
            "metadata": { "name": "demo", "namespace": "chutes" },
            "spec": { "hotkey": validator.hotkey, "api": told, "socket": socket },
        }))?;
        Ok(())
    }

    fn miner_api(&mut self, database: &str, redis: &str, hotkey: &Path) -> Result<String> {
        let kubeconfig = self.dir.join("miner-api.kubeconfig");
        accounts::kubeconfig(self.control, &self.control_url("miner-api"), "chutes", "miner-api", &kubeconfig)?;
        let (plain, tls) = (testkit::child::free_port()?, testkit::child::free_port()?);
        let listen = format!("127.0.0.1:{plain}");
        let admin = loopback()?;
        let args = [
            "--listen",
            &listen,
            "--listen-tls",
            &format!("0.0.0.0:{tls}"),
            "--public-url",
            &format!("https://127.0.0.1:{tls}"),
            "--api-server-url",
            &self.control_url("agent"),
            "--state-dir",
            &self.dir.join("miner-api").display().to_string(),
            "--admin-listen",
            &admin,
        ];
        let mut args = args.map(str::to_owned).to_vec();
        if self.options.hasty {
            args.extend(["--list-seconds=5", "--withdrawn-seconds=1"].map(str::to_owned));
        }
        let database = self.database("miner-api", database);
        self.start("miner-api", args, &common(&kubeconfig, &database, redis, hotkey), &listen)?;
        Ok(format!("http://{listen}"))
    }

    fn operator(&mut self, database: &str, redis: &str, hotkey: &Path) -> Result<()> {
        let kubeconfig = self.dir.join("operator.kubeconfig");
        accounts::kubeconfig(self.control, &self.control_url("operator"), "chutes", "operator", &kubeconfig)?;
        let admin = loopback()?;
        let mut args = vec!["--admin-listen".to_owned(), admin.clone()];
        if self.options.hasty {
            let hasty = [
                "--plan-interval=1s",
                "--poll-interval=1s",
                "--chutes-poll-interval=2s",
                "--retention=2s",
                "--recheck-interval=2s",
                "--landslide=60s",
            ];
            args.extend(hasty.map(str::to_owned));
        }
        let database = self.database("operator", database);
        self.start("operator", args, &common(&kubeconfig, &database, redis, hotkey), &admin)
    }

    fn agent(&mut self, miner: &str) -> Result<String> {
        let kubeconfig = self.dir.join("agent.kubeconfig");
        accounts::kubeconfig(self.node, &self.node_url(), "chutes", "gepetto-agent", &kubeconfig)?;
        if self.options.driver == Driver::Remote {
            // A sealed worker admits no agent of ours; what answers there is the platform's attestation service.
            let listen = format!("{}:30443", self.server_address());
            let args = ["--listen", &listen, "--miner", miner, "--seed", SERVER];
            self.start("attestation-proxy", args.map(str::to_owned).to_vec(), &[], &listen)?;
            return Ok(String::new());
        }
        let listen = loopback()?;
        let library = programs::binary("libfake_nvml.so");
        let profile = accounts::root().join("crates/fake-nvml/profiles/8xh100.json");
        let args = [
            "--node-name",
            SERVER,
            "--node-kubeconfig",
            &kubeconfig.display().to_string(),
            "--miner",
            miner,
            "--address",
            &self.server_address(),
            "--state-dir",
            &self.dir.join("agent").display().to_string(),
            "--nvml-library",
            &library.display().to_string(),
            "--listen",
            &listen,
            "--admin-listen",
            &loopback()?,
        ];
        let env = [("FAKE_NVML_PROFILE", profile.display().to_string()), ("FAKE_NVML_SEED", SERVER.to_owned())];
        self.start("agent", args.map(str::to_owned).to_vec(), &env, &listen)?;
        Ok(format!("http://{listen}"))
    }
}

fn common(kubeconfig: &Path, database: &str, redis: &str, hotkey: &Path) -> [(&'static str, String); 4] {
    [
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("DATABASE_URL", database.to_owned()),
        ("REDIS_URL", redis.to_owned()),
        ("HOTKEY_FILE", hotkey.display().to_string()),
    ]
}

/// A free address of this machine that nobody else reaches.
fn loopback() -> Result<String> {
    Ok(format!("127.0.0.1:{}", testkit::child::free_port()?))
}
