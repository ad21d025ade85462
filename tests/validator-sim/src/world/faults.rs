//! Faults to order: which one, if any, a request or an event meets.

use super::World;
use crate::model::{EventFaultMode, FaultMode};

impl World {
    /// The fault for this request, used up by one.
    pub(crate) fn take_fault(&mut self, method: &str, path: &str) -> Option<FaultMode> {
        let at = self.faults.iter().position(|fault| {
            path.starts_with(&fault.path_prefix) && fault.method.as_deref().is_none_or(|only| only.eq_ignore_ascii_case(method))
        })?;
        let fault = &mut self.faults[at];
        let mode = fault.mode;
        if spent(&mut fault.times) {
            self.faults.remove(at);
        }
        Some(mode)
    }

    /// How often an event of this reason is sent: once, unless a fault fits.
    pub(super) fn copies(&mut self, reason: &str) -> usize {
        let Some(at) = self.event_faults.iter().position(|fault| fault.reason.as_deref().is_none_or(|only| only == reason)) else {
            return 1;
        };
        let fault = &mut self.event_faults[at];
        let copies = match fault.mode {
            EventFaultMode::Drop => 0,
            EventFaultMode::Duplicate => 2,
        };
        if spent(&mut fault.times) {
            self.event_faults.remove(at);
        }
        copies
    }
}

fn spent(times: &mut Option<u32>) -> bool {
    match times {
        None => false,
        Some(left) => {
            *left = left.saturating_sub(1);
            *left == 0
        }
    }
}
