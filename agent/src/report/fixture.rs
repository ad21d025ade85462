//! A GPU for tests.

use gpu::{GpuFacts, GpuReading, Health, Live};

/// The H100 of this index, at so many degrees.
pub(super) fn h100(index: u32, health: Health, degrees: u32) -> GpuReading {
    GpuReading {
        facts: GpuFacts {
            uuid: format!("{index:032x}").parse().unwrap(),
            index,
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            memory_bytes: 85_520_809_984,
            major: Some(9),
            minor: Some(0),
            processors: Some(132),
            clock_mhz: Some(1980),
            ecc: Some(true),
        },
        health,
        detail: (health != Health::Ok).then(|| "a reason".to_owned()),
        live: Some(Live { temperature_c: Some(degrees), ..Live::default() }),
    }
}
