//! What an extrinsic would cost and do, before it is sent.

use std::fmt;

use super::outcome::path;
use super::{DispatchFailure, undescribed};
use crate::read::scale::{ScaleError, Value};
use crate::read::{ReadError, Runtime};

/// Rao, from the bytes of `RuntimeDispatchInfo`.
pub(super) fn fee(bytes: &[u8], runtime: &Runtime) -> Result<u64, ScaleError> {
    let (api, method) = ("TransactionPaymentApi", "query_info");
    let info: Value = if runtime.has_call(api, method) { runtime.call_answer(api, method, bytes)? } else { undescribed::info(bytes)? };
    let fee = info.field("partial_fee").and_then(Value::as_u64);
    fee.ok_or_else(|| ScaleError::Unknown("partial_fee in RuntimeDispatchInfo".to_owned()))
}

/// What the runtime would say to an extrinsic at the newest block.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DryRun {
    /// It would do what it is to do.
    Succeeds,
    /// It would be included and cost its fee, but change nothing.
    Fails(DispatchFailure),
    /// No block would include it.
    Refused(Refusal),
}

impl DryRun {
    /// From the bytes of `ApplyExtrinsicResult`.
    pub(super) fn read(bytes: &[u8], runtime: &Runtime) -> Result<Self, ReadError> {
        let (api, method) = ("BlockBuilder", "apply_extrinsic");
        let misfit = |source| ReadError::Scale { source, spec_version: runtime.spec_version() };
        if runtime.has_call(api, method) {
            Self::of(&runtime.call_answer(api, method, bytes).map_err(misfit)?, runtime)
        } else {
            undescribed::applied(bytes, runtime).map_err(misfit)
        }
    }

    /// From `ApplyExtrinsicResult`.
    fn of(result: &Value, runtime: &Runtime) -> Result<Self, ReadError> {
        let strange = || ReadError::Malformed { method: "system_dryRun", why: "a result was expected".to_owned() };
        let case = |value: &Value| match value {
            Value::Variant(name, fields) => Some((name == "Ok", fields.item(0).cloned())),
            _ => None,
        };
        match case(result).ok_or_else(strange)? {
            (true, Some(inner)) => match case(&inner).ok_or_else(strange)? {
                (true, _) => Ok(Self::Succeeds),
                (false, error) => Ok(Self::Fails(DispatchFailure::of(&error.ok_or_else(strange)?, runtime))),
            },
            (false, Some(error)) => Ok(Self::Refused(Refusal::of(&error))),
            _ => Err(strange()),
        }
    }
}

/// Why an extrinsic is not included at all.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// The runtime's or the node's words, such as `Invalid.Custom(6)`.
    pub words: String,
    /// What they mean, where we know.
    pub meaning: Option<&'static str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        self.meaning.map_or(Ok(()), |meaning| write!(f, " ({meaning})"))
    }
}

impl Refusal {
    /// From a decoded `TransactionValidityError`.
    pub(super) fn of(error: &Value) -> Self {
        let words = path(error);
        let code = words.split_once("Custom(").and_then(|(_, rest)| rest.split_once(')')?.0.parse().ok());
        let meaning = code.map_or_else(|| words.rsplit('.').next().and_then(known), custom);
        Self { words, meaning }
    }

    /// From what a node says to `author_submitExtrinsic`.
    pub(super) fn of_node(message: &str) -> Self {
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
        let code = ["Custom error: ", "\"custom\":"].iter().find_map(|sign| digits(message.split_once(sign)?.1));
        let meaning = code.map_or_else(|| phrases(message), custom);
        Self { words: message.to_owned(), meaning }
    }

    /// Whether another extrinsic of the same signer took the nonce.
    pub(super) fn is_stale(&self) -> bool {
        self.meaning == known("Stale")
    }
}

/// `sp_runtime::transaction_validity::InvalidTransaction`
fn known(name: &str) -> Option<&'static str> {
    Some(match name {
        "Payment" => "the account cannot pay the fee",
        "Stale" => "the nonce was used already",
        "Future" => "an earlier extrinsic of the key still waits, or is missing",
        "BadProof" => "the signature is not right for this chain and runtime",
        "AncientBirthBlock" => "it is too old",
        "ExhaustsResources" => "the block is full",
        _ => return None,
    })
}

/// How nodes word the same.
fn phrases(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let signs = [
        ("inability to pay", "Payment"),
        ("payment", "Payment"),
        ("outdated", "Stale"),
        ("stale", "Stale"),
        ("will be valid in the future", "Future"),
        ("bad signature", "BadProof"),
        ("badproof", "BadProof"),
        ("ancient birth block", "AncientBirthBlock"),
        ("exhaust", "ExhaustsResources"),
    ];
    signs.iter().find(|(sign, _)| message.contains(sign)).and_then(|(_, name)| known(name))
}

/// Numbers of the pallet's own (`CustomTransactionError`).
fn custom(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "a swap of the coldkey is announced",
        1 => "the stake is too low",
        2 => "the balance is too low",
        3 => "there is no such subnet",
        4 => "the chain does not know the hotkey",
        5 => "the stake is too low to withdraw that",
        6 => "too often; wait some blocks",
        9 => "transfers are not allowed",
        10 => "the hotkey is not registered on the subnet",
        11 => "the IP address cannot be",
        12 => "the axon was announced a short while ago; wait some blocks",
        13 => "the port cannot be",
        15 => "the round of the reveal is not right now",
        16 => "no such commit is known",
        17 => "it is not the time to reveal the commit",
        18 => "there are not as many weights as UIDs",
        19 => "there is no such UID",
        21 => "a swap of the coldkey is disputed",
        25 => "the hotkey does not belong to the coldkey",
        255 => "the request makes no sense",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, inner: Option<Value>) -> Value {
        Value::Variant(name.to_owned(), Box::new(Value::List(inner.into_iter().collect())))
    }

    #[test]
    fn refusals_are_put_into_words() {
        let custom = case("Invalid", Some(case("Custom", Some(Value::Unsigned(6)))));
        assert_eq!(Refusal::of(&custom).to_string(), "Invalid.Custom(6) (too often; wait some blocks)");
        assert_eq!(Refusal::of(&case("Invalid", Some(case("Stale", None)))).meaning, known("Stale"));
        assert!(Refusal::of(&case("Invalid", Some(case("Stale", None)))).is_stale());
        assert_eq!(Refusal::of(&case("Unknown", Some(case("CannotLookup", None)))).to_string(), "Unknown.CannotLookup");
    }

    #[test]
    fn what_nodes_say_means_the_same() {
        let of = |message: &str| Refusal::of_node(message);
        assert_eq!(of("Invalid Transaction: Custom error: 12").meaning, custom(12));
        assert_eq!(of("Invalid Transaction: Custom error: 77").meaning, None);
        assert!(of("Invalid Transaction: Transaction is outdated").is_stale());
        let payment = of("Invalid Transaction: Inability to pay some fees (e.g. account balance too low)");
        assert_eq!(payment.meaning, known("Payment"));
        assert!(!payment.is_stale());
        assert_eq!(of("1010: something new").meaning, None);
    }

    #[test]
    fn a_result_is_told_from_what_is_none() {
        let mut bytes = Vec::new();
        let packed: &[u8] = include_bytes!("../../testdata/metadata-v15-spec343.scale.gz");
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
        let runtime = Runtime::new(343, &bytes).unwrap();
        let of = |bytes: &[u8]| DryRun::read(bytes, &runtime).unwrap();
        assert_eq!(of(&[0, 0]), DryRun::Succeeds);
        let DryRun::Fails(failure) = of(&[0, 1, 3, 7, 1, 0, 0, 0]) else { panic!("a module's error") };
        assert_eq!(failure.name, "SubtensorModule.InvalidIpType");
        let DryRun::Refused(refusal) = of(&[1, 0, 7, 12]) else { panic!("an invalid extrinsic") };
        assert_eq!(refusal.meaning, custom(12));
        let DryRun::Refused(refusal) = of(&[1, 0, 1]) else { panic!("an invalid extrinsic") };
        assert_eq!(refusal.to_string(), "Invalid.Payment (the account cannot pay the fee)");
        for nonsense in [Value::Bool(true), case("Ok", None), case("Ok", Some(Value::Unsigned(1))), case("Err", None)] {
            assert!(DryRun::of(&nonsense, &runtime).is_err(), "{nonsense:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_words_of_a_node_panic(head: String, digits in "[0-9]{0,40}", tail: String) {
            Refusal::of_node(&format!("{head}Custom error: {digits}{tail}"));
            Refusal::of_node(&head);
        }
    }
}
