//! Reasons of the moves of a deployment, and how a deployment ends for each.

use crd::chute_deployment::Phase;

/// GPUs are claimed.
pub const PLANNED: &str = "Planned";
/// The launch token is there.
pub const TOKEN_RECEIVED: &str = "TokenReceived";
/// Service and Job are applied.
pub const APPLIED: &str = "Applied";
/// The validator knows the instance.
pub const INSTANCE_CLAIMED: &str = "InstanceClaimed";
/// The validator verified the instance.
pub const INSTANCE_VERIFIED: &str = "InstanceVerified";
/// The validator activated the instance: it is paid.
pub const INSTANCE_ACTIVE: &str = "InstanceActive";

/// Somebody set `runState: Stopped`.
pub const STOP_REQUESTED: &str = "StopRequested";
/// A confirmed deletion of the ChuteDeployment.
pub const DELETED: &str = "Deleted";
/// A confirmed deletion of its server.
pub const SERVER_REMOVED: &str = "ServerRemoved";
/// The validator withdrew the chute.
pub const CHUTE_WITHDRAWN: &str = "ChuteWithdrawn";
/// The validator ended the instance.
pub const INSTANCE_DELETED: &str = "InstanceDeleted";
/// Decided, but nothing can be launched from the decision any more.
pub const OVERTAKEN: &str = "Overtaken";

/// 423: enough instances already.
pub const CAPACITY_REACHED: &str = "CapacityReached";
/// 403: not for this miner.
pub const LAUNCH_FORBIDDEN: &str = "LaunchForbidden";
/// 404: there is no such chute any more.
pub const CHUTE_GONE: &str = "ChuteGone";
/// 409: taken by somebody.
pub const LAUNCH_CONFLICT: &str = "LaunchConflict";
/// 401: the validator does not accept our signature or registration.
pub const UNAUTHORIZED: &str = "Unauthorized";
/// 400: this miner does not qualify.
pub const UNQUALIFIED: &str = "Unqualified";
/// Another refusal.
pub const LAUNCH_REFUSED: &str = "LaunchRefused";
/// No launch token in time.
pub const NO_TOKEN_IN_TIME: &str = "NoTokenInTime";
/// The validator did not know the instance in time.
pub const NOT_CLAIMED_IN_TIME: &str = "NotClaimedInTime";
/// The validator did not verify it in time.
pub const NOT_VERIFIED_IN_TIME: &str = "NotVerifiedInTime";
/// It was not paid in time.
pub const NOT_ACTIVE_IN_TIME: &str = "NotActiveInTime";
/// The workload vanished from the node.
pub const WORKLOAD_GONE: &str = "WorkloadGone";
/// The workload failed without saying why.
pub const WORKLOAD_FAILED: &str = "WorkloadFailed";

/// How a deployment that ends for this reason is remembered: as wanted, or as a failure.
#[must_use]
pub fn ends_as(reason: &str) -> Phase {
    match reason {
        STOP_REQUESTED | DELETED | SERVER_REMOVED | CHUTE_WITHDRAWN | INSTANCE_DELETED | OVERTAKEN => Phase::Stopped,
        _ => Phase::Failed,
    }
}

/// Whose doing a failure was, hence who has to wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The validator would refuse this chute anywhere.
    Chute,
    /// The validator would refuse us any chute.
    Ourselves,
    /// This chute on this server.
    Pair,
}

/// Who has to wait after a failure.
#[must_use]
pub fn blame(reason: &str) -> Blame {
    match reason {
        CAPACITY_REACHED | LAUNCH_FORBIDDEN | CHUTE_GONE | LAUNCH_CONFLICT | LAUNCH_REFUSED => Blame::Chute,
        UNAUTHORIZED | UNQUALIFIED | NO_TOKEN_IN_TIME => Blame::Ourselves,
        _ => Blame::Pair,
    }
}
