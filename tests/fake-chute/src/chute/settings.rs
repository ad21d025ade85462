//! Command line and environment of a chute's pod: validator-protocol 8.1 and 8.2, and the test hooks.
//! The hooks are optional: sealed nodes let no private variable into a pod.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Time between proof and activation when nothing is said: enough to be seen, too short to wait for.
const STARTUP: Duration = Duration::from_millis(500);

/// A step that a test can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Claim,
    Verify,
    Activate,
}

/// What a chute is told.
pub(super) struct Settings {
    pub(super) ref_str: String,
    pub(super) launch_jwt: String,
    pub(super) external_host: String,
    /// Internal and external port, protocol.
    pub(super) ports: Vec<(u16, u16, &'static str)>,
    pub(super) visible_devices: String,
    /// Everything the claim tells about the environment; never the token.
    pub(super) hostname: String,
    pub(super) bind: IpAddr,
    /// Where the two servers listen: the chute itself, and its logs.
    pub(super) listen: [u16; 2],
    pub(super) gpu_model: Option<String>,
    pub(super) startup: Duration,
    pub(super) claim_delay: Duration,
    fail_at: Option<Step>,
}

impl Settings {
    /// Reads both, and says what is missing.
    pub(super) fn read(args: &[String], env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (ref_str, flags) = arguments(args)?;
        let need = |name: &str| env(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is not set"));
        let number = |name: &str| env(name).map(|text| text.parse::<u16>().map_err(|_| format!("{name} is no port: {text}"))).transpose();
        let millis = |name: &str| {
            env(name).map(|text| text.parse().map(Duration::from_millis).map_err(|_| format!("{name} is no number: {text}"))).transpose()
        };
        let inner: u16 = flags["--port"].parse().map_err(|_| format!("--port is no port: {}", flags["--port"]))?;
        let mut ports = Vec::new();
        for (internal, name) in [(8000, "CHUTES_PORT_PRIMARY"), (8001, "CHUTES_PORT_LOGGING"), (8002, "CHUTES_PORT_ATTESTATION")] {
            match number(name)? {
                Some(external) => ports.push((internal, external, "tcp")),
                None if internal < 8002 => return Err(format!("{name} is not set")),
                None => {}
            }
        }
        let bind = env("FAKE_CHUTE_BIND").unwrap_or_else(|| "0.0.0.0".to_owned());
        let fail_at = match env("FAKE_CHUTE_FAIL_AT").as_deref() {
            None | Some("") => None,
            Some("start") => Some(Step::Start),
            Some("claim") => Some(Step::Claim),
            Some("verify") => Some(Step::Verify),
            Some("activate") => Some(Step::Activate),
            Some(other) => return Err(format!("FAKE_CHUTE_FAIL_AT is {other}; write start, claim, verify or activate")),
        };
        Ok(Self {
            ref_str,
            launch_jwt: need("CHUTES_LAUNCH_JWT")?,
            external_host: need("CHUTES_EXTERNAL_HOST")?,
            ports,
            visible_devices: need("NVIDIA_VISIBLE_DEVICES")?,
            hostname: env("HOSTNAME").unwrap_or_default(),
            bind: bind.parse().map_err(|_| format!("FAKE_CHUTE_BIND is no address: {bind}"))?,
            listen: [number("FAKE_CHUTE_PORT_8000")?.unwrap_or(inner), number("FAKE_CHUTE_PORT_8001")?.unwrap_or(8001)],
            gpu_model: env("FAKE_CHUTE_GPU_MODEL"),
            startup: millis("FAKE_CHUTE_DELAY_MS")?.unwrap_or(STARTUP),
            claim_delay: millis("FAKE_CHUTE_CLAIM_DELAY_MS")?.unwrap_or_default(),
            fail_at,
        })
    }

    /// Fails when a test asked for a failure at this step.
    pub(super) fn hook(&self, step: Step) -> Result<(), String> {
        match self.fail_at {
            Some(at) if at == step => Err(format!("told to fail at {step:?}")),
            _ => Ok(()),
        }
    }

    /// The deployment, from the pod's name.
    pub(super) fn deployment(&self) -> Option<&str> {
        let name = self.hostname.strip_prefix("chute-")?;
        Some(name.get(..36).unwrap_or(name))
    }
}

/// `run REF --port P --miner-ss58 M --validator-ss58 V [--graval-seed N]`.
fn arguments(args: &[String]) -> Result<(String, BTreeMap<&str, String>), String> {
    const KNOWN: [&str; 4] = ["--port", "--miner-ss58", "--validator-ss58", "--graval-seed"];
    let [run, ref_str, rest @ ..] = args else {
        return Err("usage: chutes run REF --port PORT --miner-ss58 SS58 --validator-ss58 SS58".to_owned());
    };
    if run != "run" || !ref_str.contains(':') {
        return Err(format!("expected `run module:variable`, not `{run} {ref_str}`"));
    }
    let mut flags = BTreeMap::new();
    for pair in rest.chunks(2) {
        let known = KNOWN.iter().find(|known| **known == pair[0]).ok_or_else(|| format!("unknown argument {}", pair[0]))?;
        let value = pair.get(1).ok_or_else(|| format!("{known} lacks its value"))?;
        flags.insert(*known, value.clone());
    }
    match KNOWN[..3].iter().find(|name| !flags.contains_key(*name)) {
        Some(missing) => Err(format!("{missing} is missing")),
        None => Ok((ref_str.clone(), flags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    const RUN: &str = "run chute:chute --port 8000 --miner-ss58 M --validator-ss58 V";

    fn env(name: &str) -> Option<String> {
        let value = match name {
            "CHUTES_LAUNCH_JWT" => "a.b.c",
            "CHUTES_EXTERNAL_HOST" => "203.0.113.10",
            "CHUTES_PORT_PRIMARY" => "31000",
            "CHUTES_PORT_LOGGING" => "31001",
            "NVIDIA_VISIBLE_DEVICES" => "GPU-x",
            "HOSTNAME" => "chute-7b0f1a52-5c0e-4d3e-9d55-111111111111-xyz12",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_pods_environment_is_enough() {
        let settings = Settings::read(&args(RUN), env).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(settings.ports, [(8000, 31000, "tcp"), (8001, 31001, "tcp")]);
        assert_eq!(settings.listen, [8000, 8001]);
        assert_eq!(settings.deployment(), Some("7b0f1a52-5c0e-4d3e-9d55-111111111111"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let why = |args: &[String], env: &dyn Fn(&str) -> Option<String>| Settings::read(args, env).err().unwrap_or_default();
        let without = |gone: &'static str| move |name: &str| if name == gone { None } else { env(name) };
        for name in ["CHUTES_LAUNCH_JWT", "CHUTES_EXTERNAL_HOST", "CHUTES_PORT_PRIMARY", "CHUTES_PORT_LOGGING", "NVIDIA_VISIBLE_DEVICES"] {
            assert_eq!(why(&args(RUN), &without(name)), format!("{name} is not set"));
        }
        assert_eq!(why(&args("run chute:chute --port 8000 --miner-ss58 M"), &env), "--validator-ss58 is missing");
        assert!(why(&args("serve chute:chute"), &env).contains("serve"));
        assert!(why(&args(&format!("{RUN} --what 1")), &env).contains("--what"));
    }
}
