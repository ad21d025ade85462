//! What cannot be rendered, found before anything is written anywhere.

use crd::chute_deployment::ChuteDeploymentSpec;
use protocol::version::LibraryVersion;

/// Why a deployment cannot be made real.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its library is so old that the code would have to be mounted from a ConfigMap.
    #[error("the chute's library is {version}; chutes before 0.3.61 are not supported, ask the chute's owner to rebuild it")]
    ChuteTooOld {
        /// The version as the validator wrote it.
        version: String,
    },
    /// A value of the validator's cannot be a label.
    #[error(
        "{what} {value:?} cannot be a Kubernetes label: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
    )]
    NotALabel {
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// Two ports of the deployment are one.
    #[error("port {port} is wanted twice; a job may not ask for 8000 to 8002, nor for one port in two ways")]
    PortTwice {
        /// The port.
        port: u16,
    },
    /// The Service does not name the node port of a container port.
    #[error("the Service has no node port for port {port} yet")]
    NoNodePort {
        /// The container port.
        port: u16,
    },
    /// The launch token has to stand in the Job and was not given.
    #[error("the node admits no Secrets, so the launch token must be given with the Job")]
    NoToken,
}

impl Refusal {
    /// A machine-readable reason for a status.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ChuteTooOld { .. } => "ChuteTooOld",
            Self::NotALabel { .. } => "NotALabel",
            Self::PortTwice { .. } => "PortTwice",
            Self::NoNodePort { .. } => "NoNodePort",
            Self::NoToken => "NoToken",
        }
    }
}

/// The version that decides about ports, probes and volumes: the library's, or the chute's own if the validator named none.
pub(crate) fn library(spec: &ChuteDeploymentSpec) -> LibraryVersion {
    let text = if spec.chute.chutes_version.is_empty() { spec.chute.version.as_str() } else { &spec.chute.chutes_version };
    LibraryVersion::parse(text)
}

/// Whether a deployment can be made real at all.
///
/// # Errors
/// The first thing that stands in the way.
pub fn check(spec: &ChuteDeploymentSpec) -> Result<(), Refusal> {
    if !spec.chute.tee && !library(spec).at_least("0.3.61") {
        return Err(Refusal::ChuteTooOld { version: spec.chute.chutes_version.clone() });
    }
    label("chute id", spec.chute.id.as_str())?;
    label("chute version", spec.chute.version.as_str())?;
    if let Some(job) = &spec.job {
        label("job id", job.id.as_str())?;
    }
    let mut ports = crate::ports::wanted(spec).into_iter().map(|port| port.port).collect::<Vec<_>>();
    ports.sort_unstable();
    match ports.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refusal::PortTwice { port: pair[0] }),
        None => Ok(()),
    }
}

/// Whether a value can be a label; a chute's id, which also names a directory on the node, then holds no slash either.
pub(crate) fn label(what: &'static str, value: &str) -> Result<(), Refusal> {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = value.len() <= 63
        && end(value.chars().next())
        && end(value.chars().last())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits { Ok(()) } else { Err(Refusal::NotALabel { what, value: value.to_owned() }) }
}
