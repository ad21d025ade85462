//! Whether a GPU may be used. Pure.

use crate::facts::GpuFacts;

/// Whether a GPU may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers and shows no fault.
    Ok,
    /// It was there and no longer answers, or is no longer listed.
    Lost,
    /// It answers and shows a fault.
    Faulty,
    /// The driver did not say, this time. What was known before still stands.
    Unknown,
}

/// One GPU as it was read, or as it is remembered when it could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuReading {
    /// What it is.
    pub facts: GpuFacts,
    /// Whether it may be used.
    pub health: Health,
    /// What is wrong, for people.
    pub detail: Option<String>,
    /// Numbers that change all the time: for metrics, never for a status.
    pub live: Option<Live>,
}

/// Numbers that change all the time. Absent ones were not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Core temperature in °C.
    pub temperature_c: Option<u32>,
    /// Power draw in mW.
    pub power_mw: Option<u32>,
    /// Utilisation in percent.
    pub utilization: Option<u32>,
    /// Memory in use in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Number of processes that compute on it.
    pub processes: Option<u32>,
}

/// What the driver says of a GPU's condition. Absent values were not told and prove nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Uncorrectable memory errors since the driver was loaded. The lifetime count is left alone: a GPU that was
    /// repaired by remapping rows keeps it for ever.
    pub(crate) ecc_uncorrected: Option<u64>,
    pub(crate) remap_failed: Option<bool>,
    pub(crate) remap_pending: Option<bool>,
    /// NVML's recovery action, 0 for none.
    pub(crate) recovery_action: Option<u64>,
    pub(crate) mig: Option<bool>,
}

/// Judges a GPU that answers. The worst sign is the one named.
pub(crate) fn judge(signs: &Signs) -> (Health, Option<String>) {
    let faulty = |text: &str| (Health::Faulty, Some(text.to_owned()));
    if signs.remap_failed == Some(true) {
        return faulty("a memory row could not be remapped: reset the GPU, replace it if this comes back");
    }
    if let Some(errors) = signs.ecc_uncorrected.filter(|errors| *errors > 0) {
        // The number would change the text with every error; whether there are any is what counts.
        let many = if errors == 1 { "an uncorrectable memory error" } else { "uncorrectable memory errors" };
        return faulty(&format!("{many} since the driver was loaded: reset the GPU"));
    }
    match signs.recovery_action {
        None | Some(0) => {}
        Some(action) => return faulty(&format!("the driver asks for {}", recovery(action))),
    }
    if signs.mig == Some(true) {
        return faulty("it is divided (MIG mode): switch that off with nvidia-smi -mig 0");
    }
    if signs.remap_pending == Some(true) {
        return (Health::Ok, Some("a memory row waits to be remapped: reset the GPU when it is idle".to_owned()));
    }
    (Health::Ok, None)
}

/// What NVML's recovery action (field 230) means.
fn recovery(action: u64) -> String {
    match action {
        1 => "a reset of the GPU".to_owned(),
        2 | 7 => "a reboot of the server".to_owned(),
        3 => "its peers to be drained".to_owned(),
        4 => "it to be drained and reset".to_owned(),
        5 => "the memory exchange service to be restarted".to_owned(),
        6 => "a reset of its bus".to_owned(),
        other => format!("recovery action {other}, unknown to this release"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_tells_nothing_of_its_condition_is_ok() {
        assert_eq!(judge(&Signs::default()), (Health::Ok, None));
    }

    #[test]
    fn each_fatal_sign_alone_makes_it_faulty_and_says_what_to_do() {
        for signs in [
            Signs { ecc_uncorrected: Some(1), ..Signs::default() },
            Signs { remap_failed: Some(true), ..Signs::default() },
            Signs { recovery_action: Some(1), ..Signs::default() },
            Signs { mig: Some(true), ..Signs::default() },
        ] {
            let (health, detail) = judge(&signs);
            assert_eq!(health, Health::Faulty, "{signs:?}");
            assert!(detail.is_some_and(|text| text.contains("reset") || text.contains("switch")), "{signs:?}");
        }
    }

    #[test]
    fn a_pending_remap_is_told_and_does_not_stop_work() {
        let (health, detail) = judge(&Signs { remap_pending: Some(true), ..Signs::default() });
        assert_eq!(health, Health::Ok);
        assert!(detail.is_some());
    }

    #[test]
    fn further_errors_do_not_change_the_text() {
        let of = |count| judge(&Signs { ecc_uncorrected: Some(count), ..Signs::default() });
        assert_eq!(of(2), of(3));
    }
}
