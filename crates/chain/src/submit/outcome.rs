//! What became of an extrinsic.

use std::fmt;

use crate::read::scale::Value;
use crate::read::{At, Block, Event, Phase, ReadError, Runtime};

/// An extrinsic in a final block.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// The block.
    pub block: Block,
    /// Its place among the block's extrinsics, from 0.
    pub index: u32,
    /// What was paid for inclusion, by the signer or its coldkey, in rao; `None` where the runtime does not say. A call that costs nothing has 0 or `None`.
    pub fee_rao: Option<u64>,
    /// Why it failed; `None` if it did what it was to do. A failed extrinsic changes nothing but costs its fee.
    pub failure: Option<DispatchFailure>,
    /// All that happened while it was applied.
    pub events: Vec<Event>,
}

impl Outcome {
    /// The first event of a name such as `NeuronRegistered`.
    pub fn event(&self, pallet: &str, name: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.pallet == pallet && event.name == name)
    }

    /// Reads what became of an extrinsic at a place in a block.
    ///
    /// # Errors
    ///
    /// As [`At::events`]; [`ReadError::Malformed`] where the block says neither that it succeeded nor that it failed.
    pub async fn read(at: &At, index: u32) -> Result<Self, ReadError> {
        let events = at.events().await?;
        // Numbers of errors are those of the runtime that ran the block: in its state may stand the next one already.
        let runtime = at.maker().await?;
        Self::of(at.block(), index, events, &runtime).ok_or_else(|| ReadError::Malformed {
            method: "state_getStorageAt",
            why: format!("the events do not tell of extrinsic {index}"),
        })
    }

    /// From all events of its block.
    fn of(block: Block, index: u32, events: Vec<Event>, runtime: &Runtime) -> Option<Self> {
        let events: Vec<_> = events.into_iter().filter(|event| event.phase == Phase::Extrinsic(index)).collect();
        let end = events.iter().rev().find(|event| event.pallet == "System" && event.name.starts_with("Extrinsic"))?;
        let failure = match end.name.as_str() {
            "ExtrinsicSuccess" => None,
            "ExtrinsicFailed" => {
                let error = end.fields.field("dispatch_error").or_else(|| end.fields.item(0))?;
                Some(DispatchFailure::of(error, runtime))
            }
            _ => return None,
        };
        let paid = events.iter().find(|event| event.pallet == "TransactionPayment" && event.name == "TransactionFeePaid");
        let fee_rao = paid.and_then(|event| event.fields.field("actual_fee")).and_then(Value::as_u64);
        Some(Self { block, index, fee_rao, failure, events })
    }
}

/// An error of the runtime.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DispatchFailure {
    /// `SubtensorModule.HotKeyAlreadyRegisteredInSubNet`, or `Token.FundsUnavailable` and the like for what is no pallet's.
    pub name: String,
    /// What the runtime's metadata says of it; may be empty.
    pub docs: String,
}

impl fmt::Display for DispatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.docs.is_empty() { Ok(()) } else { write!(f, ": {}", self.docs) }
    }
}

impl DispatchFailure {
    /// From a decoded `DispatchError`; a pallet's own errors are looked up in the metadata.
    pub(super) fn of(error: &Value, runtime: &Runtime) -> Self {
        Self::of_module(error, runtime)
            .unwrap_or_else(|| Self { name: unknown_module(error).unwrap_or_else(|| path(error)), docs: String::new() })
    }

    fn of_module(error: &Value, runtime: &Runtime) -> Option<Self> {
        let Value::Variant(kind, fields) = error else { return None };
        let module = fields.item(0).filter(|_| kind == "Module")?;
        let pallet = u8::try_from(module.field("index")?.as_u64()?).ok()?;
        let Value::Bytes(code) = module.field("error")? else { return None };
        let pallet = runtime.metadata().pallet_by_error_index(pallet)?;
        let error = pallet.error_variant_by_index(*code.first()?)?;
        Some(Self { name: format!("{}.{}", pallet.name(), error.name), docs: error.docs.join(" ").trim().to_owned() })
    }
}

/// `Module(7, 250)` for an error that the metadata does not have.
fn unknown_module(error: &Value) -> Option<String> {
    let Value::Variant(kind, fields) = error else { return None };
    let module = fields.item(0).filter(|_| kind == "Module")?;
    let Value::Bytes(code) = module.field("error")? else { return None };
    Some(format!("Module({}, {})", module.field("index")?.as_u64()?, code.first()?))
}

/// `A.B` for a case within a case; numbers in brackets.
pub(super) fn path(value: &Value) -> String {
    match value {
        Value::Variant(name, fields) => match fields.item(0) {
            Some(inner @ Value::Variant(..)) => format!("{name}.{}", path(inner)),
            Some(Value::Unsigned(number)) => format!("{name}({number})"),
            _ => name.clone(),
        },
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn runtime() -> Runtime {
        let mut bytes = Vec::new();
        let packed: &[u8] = include_bytes!("../../testdata/metadata-v16-spec365.scale.gz");
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        Runtime::new(365, &bytes).unwrap()
    }

    fn case(name: &str, fields: Vec<Value>) -> Value {
        Value::Variant(name.to_owned(), Box::new(Value::List(fields)))
    }

    fn module(pallet: u8, code: u8) -> Value {
        let fields = vec![("index".to_owned(), Value::Unsigned(pallet.into())), ("error".to_owned(), Value::Bytes(vec![code, 0, 0, 0]))];
        case("Module", vec![Value::Record(fields)])
    }

    fn event(extrinsic: u32, pallet: &str, name: &str, fields: Vec<(&str, Value)>) -> Event {
        let fields = Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        Event { phase: Phase::Extrinsic(extrinsic), pallet: pallet.to_owned(), name: name.to_owned(), fields }
    }

    const BLOCK: Block = Block { number: 7, hash: [7; 32] };

    #[test]
    fn a_pallets_error_has_its_name_and_what_the_runtime_says_of_it() {
        let runtime = runtime();
        let failure = DispatchFailure::of(&module(7, 1), &runtime);
        assert_eq!(failure.name, "SubtensorModule.InvalidIpType");
        assert_eq!(failure.docs, "The user is trying to serve an axon which is not of type 4 (IPv4) or 6 (IPv6).");
        assert_eq!(failure.to_string(), format!("{}: {}", failure.name, failure.docs));
        let unknown = DispatchFailure::of(&module(7, 250), &runtime);
        assert_eq!((unknown.name.as_str(), unknown.docs.as_str()), ("Module(7, 250)", ""));
        assert_eq!(DispatchFailure::of(&case("Token", vec![case("FundsUnavailable", vec![])]), &runtime).name, "Token.FundsUnavailable");
        assert_eq!(DispatchFailure::of(&case("BadOrigin", vec![]), &runtime).name, "BadOrigin");
    }

    #[test]
    fn only_the_events_of_the_extrinsic_count() {
        let runtime = runtime();
        let fee = |rao: u128| vec![("actual_fee", Value::Unsigned(rao))];
        let events = vec![
            event(0, "System", "ExtrinsicSuccess", vec![]),
            event(1, "TransactionPayment", "TransactionFeePaid", fee(5)),
            event(1, "System", "ExtrinsicFailed", vec![("dispatch_error", case("BadOrigin", vec![]))]),
            event(2, "SubtensorModule", "NeuronRegistered", vec![]),
            event(2, "TransactionPayment", "TransactionFeePaid", fee(6)),
            event(2, "System", "ExtrinsicSuccess", vec![]),
        ];
        let of = |index: u32| Outcome::of(BLOCK, index, events.clone(), &runtime);
        let failed = of(1).unwrap();
        assert_eq!((failed.failure.unwrap().name.as_str(), failed.fee_rao), ("BadOrigin", Some(5)));
        let done = of(2).unwrap();
        assert_eq!((done.failure.is_none(), done.fee_rao, done.events.len()), (true, Some(6), 3));
        assert!(done.event("SubtensorModule", "NeuronRegistered").is_some());
        assert_eq!(of(3), None);
    }
}
