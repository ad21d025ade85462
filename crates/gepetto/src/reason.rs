//! Why something was not placed, in one word.

use std::fmt;

/// Why a chute was not placed on a server, or why a GPU stands idle. Ordered from the farthest from a launch to the nearest, so
/// that the greatest of several reasons is the one worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A source of the snapshot is too old or incomplete to decide on.
    Blind,
    /// The policy says not to plan.
    PolicyPaused,
    /// The server is not proven, not complete or being removed.
    ServerNotReady,
    /// Whoever reports on the server has not been heard of lately.
    ReporterSilent,
    /// Somebody holds the server.
    ServerHeld,
    /// The GPU shows a fault.
    GpuUnhealthy,
    /// The validator has not proven the GPU.
    GpuUnproven,
    /// The validator says that something of unknown origin runs on the GPU.
    GpuOccupied,
    /// Its last deployment is not quite gone.
    Freeing,
    /// No chute is offered that fits.
    NoChuteFits,
    /// The validator withdrew the chute.
    ChuteWithdrawn,
    /// Asked for it, the validator answered that there is no such chute; its lists are behind, or say nothing.
    ChuteGone,
    /// The validator switched the chute off.
    ChuteDisabled,
    /// The chute only runs jobs.
    JobsOnly,
    /// The policy bans the chute.
    Banned,
    /// The chute's library is older than what we can launch.
    ChuteTooOld,
    /// The chute pays nothing, or its rate is unknown.
    NoValue,
    /// One of chute and server is confidential, the other is not.
    TeeMismatch,
    /// The chute does not run on GPUs of this model.
    ModelNotSupported,
    /// The expected gain is below what the policy asks for.
    BelowMinGain,
    /// Fewer free GPUs than the chute needs.
    TooFewFreeGpus,
    /// The validator has as many copies of the chute as it wants, ours that are on their way included.
    AtTarget,
    /// The chute, or the chute on this server, failed lately and waits.
    ChuteBackoff,
    /// A copy of it is just being asked for, and how many the validator wants is not known: its answer will tell.
    Asking,
    /// A limit of the policy is reached.
    LimitReached,
    /// Nothing stands in the way; something better took the place.
    Outbid,
}

impl Reason {
    /// The code as it stands in statuses and in the ledger.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Blind => "Blind",
            Self::PolicyPaused => "PolicyPaused",
            Self::ServerNotReady => "ServerNotReady",
            Self::ReporterSilent => "ReporterSilent",
            Self::ServerHeld => "ServerHeld",
            Self::GpuUnhealthy => "GpuUnhealthy",
            Self::GpuUnproven => "GpuUnproven",
            Self::GpuOccupied => "GpuOccupied",
            Self::Freeing => "Freeing",
            Self::NoChuteFits => "NoChuteFits",
            Self::ChuteWithdrawn => "ChuteWithdrawn",
            Self::ChuteGone => "ChuteGone",
            Self::ChuteDisabled => "ChuteDisabled",
            Self::JobsOnly => "JobsOnly",
            Self::Banned => "Banned",
            Self::ChuteTooOld => "ChuteTooOld",
            Self::NoValue => "NoValue",
            Self::TeeMismatch => "TeeMismatch",
            Self::ModelNotSupported => "ModelNotSupported",
            Self::BelowMinGain => "BelowMinGain",
            Self::TooFewFreeGpus => "TooFewFreeGpus",
            Self::AtTarget => "AtTarget",
            Self::ChuteBackoff => "ChuteBackoff",
            Self::Asking => "Asking",
            Self::LimitReached => "LimitReached",
            Self::Outbid => "Outbid",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
