//! Leases in namespace `chutes`: the operator's signs of life. No heartbeat stands in a status.

/// Which replica of the operator leads; renewed as long as its process lives.
pub const LEADER: &str = "gepetto-operator";

/// Renewed by the leader after each round of planning, also one that came to nothing. A leader that lives and does not plan is seen
/// here, whatever keeps it: Postgres, what it cannot see, or itself.
pub const PLANNER: &str = "gepetto-planner";

/// On [`PLANNER`]: `True` if plans are made, `False` if not.
pub const PLANNING: &str = "gepetto.fleet/planning";

/// On [`PLANNER`]: the reason code of that.
pub const PLANNING_REASON: &str = "gepetto.fleet/planning-reason";

/// On [`PLANNER`]: the same for people.
pub const PLANNING_MESSAGE: &str = "gepetto.fleet/planning-message";
