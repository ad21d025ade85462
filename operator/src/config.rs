//! The operator's command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use cluster::client::ClientSource;
use controllers::Timing;

/// Reconciles the fleet: places chutes on GPUs, starts and stops them, proves servers, keeps the books. Several replicas may
/// run; one leads.
#[derive(Debug, Parser)]
#[command(name = "operator", version, override_usage = "operator --database-url <URL> --hotkey-file <FILE> [OPTIONS]")]
pub(crate) struct Config {
    /// Kubeconfig of the control cluster; without it the pod's service account is used.
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Postgres, as `postgres://user:password@host/database`.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// Redis, as `redis://host`. Only wakes; may be away.
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    pub(crate) redis_url: String,
    /// The miner's hotkey file (JSON with ss58Address and secretSeed); readable by this user only.
    #[arg(long, value_name = "FILE", env = "HOTKEY_FILE")]
    pub(crate) hotkey_file: PathBuf,
    /// The name of this replica; the host's name if absent.
    #[arg(long, value_name = "NAME", env = "IDENTITY")]
    pub(crate) identity: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, value_name = "ADDRESS", env = "ADMIN_LISTEN", default_value = "127.0.0.1:0")]
    pub(crate) admin_listen: SocketAddr,
    /// A registry (`host[:port]`) to pull images from in place of the validators' own.
    #[arg(long, value_name = "REGISTRY", env = "REGISTRY_OVERRIDE")]
    pub(crate) registry_override: Option<String>,
    /// How long the leader's lease is respected without renewal.
    #[arg(long, value_name = "TIME", env = "LEASE", default_value = "15s")]
    pub(crate) lease: Span,
    /// How often the lease is renewed.
    #[arg(long, value_name = "TIME", env = "LEASE_RENEW", default_value = "5s")]
    pub(crate) lease_renew: Span,
    /// Intervals and deadlines.
    #[command(flatten)]
    pub(crate) timing: TimingArgs,
}

/// Intervals and deadlines. The defaults are meant for fleets; shorter ones for tests.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Intervals and deadlines (such as 250ms, 10s, 5m, 2h; also as variables, such as PLAN_INTERVAL=10s)")]
pub(crate) struct TimingArgs {
    /// Between two plans, if nothing wakes the planner.
    #[arg(long, env = "PLAN_INTERVAL", hide_env = true, value_name = "TIME", default_value = "10s")]
    plan_interval: Span,
    /// Between two looks at the validator's instances, GPUs and inventory.
    #[arg(long, env = "POLL_INTERVAL", hide_env = true, value_name = "TIME", default_value = "15s")]
    poll_interval: Span,
    /// Between two looks at the validator's chutes.
    #[arg(long, env = "CHUTES_POLL_INTERVAL", hide_env = true, value_name = "TIME", default_value = "30s")]
    chutes_poll_interval: Span,
    /// A list older than this is no ground for a decision.
    #[arg(long, env = "OLDEST_LIST", hide_env = true, value_name = "TIME", default_value = "90s")]
    oldest_list: Span,
    /// Lists that lack most of our instances, of chutes still on offer, are believed once they agreed for so long.
    #[arg(long, env = "LANDSLIDE", hide_env = true, value_name = "TIME", default_value = "10m")]
    landslide: Span,
    /// A watch silent for longer is no ground for a decision; API servers speak about every minute.
    #[arg(long, env = "OLDEST_WATCH", hide_env = true, value_name = "TIME", default_value = "4m")]
    oldest_watch: Span,
    /// An agent whose heartbeat is older is silent.
    #[arg(long, env = "HEARTBEAT", hide_env = true, value_name = "TIME", default_value = "40s")]
    heartbeat: Span,
    /// Deadline for a launch token.
    #[arg(long, env = "GRANT_DEADLINE", hide_env = true, value_name = "TIME", default_value = "5m")]
    grant_deadline: Span,
    /// Deadline from the launch token until the validator knows the instance.
    #[arg(long, env = "START_DEADLINE", hide_env = true, value_name = "TIME", default_value = "30m")]
    start_deadline: Span,
    /// Deadline from then until the validator verified it.
    #[arg(long, env = "VERIFY_DEADLINE", hide_env = true, value_name = "TIME", default_value = "210m")]
    verify_deadline: Span,
    /// Deadline from the validator's first knowledge until it is paid.
    #[arg(long, env = "ACTIVATE_DEADLINE", hide_env = true, value_name = "TIME", default_value = "210m")]
    activate_deadline: Span,
    /// How long an ended ChuteDeployment is kept.
    #[arg(long, env = "RETENTION", hide_env = true, value_name = "TIME", default_value = "60s")]
    retention: Span,
    /// Deadline for the proof of advertised GPUs.
    #[arg(long, env = "PROOF_DEADLINE", hide_env = true, value_name = "TIME", default_value = "15m")]
    proof_deadline: Span,
    /// Pause before refused GPUs are advertised again.
    #[arg(long, env = "READVERTISE", hide_env = true, value_name = "TIME", default_value = "5m")]
    readvertise: Span,
    /// How often a server's saga looks again.
    #[arg(long, env = "RECHECK_INTERVAL", hide_env = true, value_name = "TIME", default_value = "15s")]
    recheck_interval: Span,
}

impl From<&TimingArgs> for Timing {
    fn from(args: &TimingArgs) -> Self {
        Self {
            plan: args.plan_interval.into(),
            poll: args.poll_interval.into(),
            poll_chutes: args.chutes_poll_interval.into(),
            oldest_list: args.oldest_list.into(),
            landslide: args.landslide.into(),
            oldest_watch: args.oldest_watch.into(),
            heartbeat: args.heartbeat.into(),
            grant: args.grant_deadline.into(),
            start: args.start_deadline.into(),
            verify: args.verify_deadline.into(),
            activate: args.activate_deadline.into(),
            retention: args.retention.into(),
            proof: args.proof_deadline.into(),
            readvertise: args.readvertise.into(),
            recheck: args.recheck_interval.into(),
        }
    }
}

impl Config {
    /// Where the access to the control cluster comes from.
    pub(crate) fn client_source(&self) -> ClientSource {
        match self.kubeconfig.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => ClientSource::Kubeconfig(path.clone()),
            None => ClientSource::InCluster,
        }
    }

    /// The name of this replica.
    pub(crate) fn identity(&self) -> String {
        let host = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
        self.identity.clone().or_else(|| std::env::var("HOSTNAME").ok()).or_else(host).unwrap_or_else(|| "operator".to_owned())
    }
}

/// A duration on the command line: `250ms`, `10s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(Duration);

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration: write a number and ms, s, m or h, such as 10s");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor_ms: u64 = match unit {
            "ms" => 1,
            "s" | "" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let ms = number.checked_mul(factor_ms).filter(|ms| (1..=366 * 86_400_000).contains(ms)).ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn durations_are_read_and_nonsense_is_named() {
        for (text, ms) in [("250ms", 250), ("10s", 10_000), ("7", 7_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(text.parse::<Span>().unwrap().0, Duration::from_millis(ms), "{text}");
        }
        for text in ["", "s", "0s", "-1s", "10 s", "1d", "99999999999999999999h"] {
            assert!(text.parse::<Span>().unwrap_err().contains("such as 10s"), "{text}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let config = Config::parse_from(["operator", "--database-url", "postgres://x", "--hotkey-file", "f"]);
        assert_eq!(Timing::from(&config.timing), Timing::default());
    }
}
