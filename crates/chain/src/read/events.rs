//! What happened in a block.

use super::Runtime;
use super::scale::{ScaleError, Value, record};

/// Where in a block an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// While an extrinsic, counted from 0, was applied.
    Extrinsic(u32),
    /// Before the first extrinsic.
    Initialization,
    /// After the last extrinsic.
    Finalization,
}

/// One event.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    /// When.
    pub phase: Phase,
    /// Which pallet says so, such as `SubtensorModule`.
    pub pallet: String,
    /// What, such as `NeuronRegistered`.
    pub name: String,
    /// Its fields: a record, or a list where the runtime gives them no names.
    pub fields: Value,
}

record! {
    /// `frame_system::EventRecord`.
    struct EventRecord {
        /// When.
        pub phase: Value,
        /// The pallet, in it the event.
        pub event: Value,
    }
}

pub(super) fn events(runtime: &Runtime, bytes: &[u8]) -> Result<Vec<Event>, ScaleError> {
    let records: Vec<EventRecord> = runtime.storage_value("System", "Events", Some(bytes))?.unwrap_or_default();
    let strange = |why: &str| ScaleError::Mismatch { what: "an event".to_owned(), why: why.to_owned() };
    records
        .into_iter()
        .map(|record| {
            let Value::Variant(pallet, event) = record.event else { return Err(strange("it names no pallet")) };
            // `RuntimeEvent::SubtensorModule(pallet_subtensor::Event)`
            let event = match *event {
                Value::List(items) => items.into_iter().next(),
                other => Some(other),
            };
            let Some(Value::Variant(name, fields)) = event else { return Err(strange("it has no name")) };
            Ok(Event { phase: phase(&record.phase).ok_or_else(|| strange("its phase is unknown"))?, pallet, name, fields: *fields })
        })
        .collect()
}

fn phase(value: &Value) -> Option<Phase> {
    let Value::Variant(name, fields) = value else { return None };
    match name.as_str() {
        "ApplyExtrinsic" => fields.item(0)?.as_u64().and_then(|n| u32::try_from(n).ok()).map(Phase::Extrinsic),
        "Initialization" => Some(Phase::Initialization),
        "Finalization" => Some(Phase::Finalization),
        _ => None,
    }
}
