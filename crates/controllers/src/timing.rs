//! Every interval and deadline in one place, so that tests can run in seconds what takes hours in a fleet.

use std::time::Duration;

/// Intervals and deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two plans, if nothing wakes the planner earlier.
    pub plan: Duration,
    /// Between two looks at the validator's instances, GPUs and inventory.
    pub poll: Duration,
    /// Between two looks at the validator's chutes, whose rates change every minute.
    pub poll_chutes: Duration,
    /// No list may be older than this to decide on.
    pub oldest_list: Duration,
    /// For so long lists must agree before it is believed that most of our instances ended at once.
    pub landslide: Duration,
    /// No watch may have been silent for longer to decide on; API servers speak about every minute.
    pub oldest_watch: Duration,
    /// An agent's heartbeat is believed for so long.
    pub heartbeat: Duration,
    /// From the decision until the launch token is there.
    pub grant: Duration,
    /// From the launch token until the validator knows the instance.
    pub start: Duration,
    /// From then until the validator verified it.
    pub verify: Duration,
    /// From the validator's first knowledge until it is paid.
    pub activate: Duration,
    /// How long an ended ChuteDeployment stays to be looked at.
    pub retention: Duration,
    /// How long the validator may take to prove advertised GPUs.
    pub proof: Duration,
    /// How long to wait before GPUs that the validator refused are advertised again.
    pub readvertise: Duration,
    /// How often a saga that waits for somebody looks again.
    pub recheck: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            plan: Duration::from_secs(10),
            poll: Duration::from_secs(15),
            poll_chutes: Duration::from_secs(30),
            oldest_list: Duration::from_secs(90),
            landslide: minutes(10),
            oldest_watch: minutes(4),
            heartbeat: Duration::from_secs(40),
            grant: minutes(5),
            start: minutes(30),
            verify: minutes(210),
            activate: minutes(210),
            retention: minutes(1),
            proof: minutes(15),
            readvertise: minutes(5),
            recheck: Duration::from_secs(15),
        }
    }
}
