//! No message of a node panics: answers of every recorded method, spoilt, and rubbish, through the envelope and every form of the wire.
//!
//! `CHAIN_FUZZ_CASES=1000000` runs a million. What stands in the bytes is tried by `tests/read_fuzz`.

use chain_sim::Recording;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::wire;
use crate::read::rpc::envelope::{self, Said};

fn cases() -> u32 {
    std::env::var("CHAIN_FUZZ_CASES").map_or(2_000, |text| text.parse().expect("CHAIN_FUZZ_CASES is a number"))
}

/// Messages as they were recorded, one of each kind and length; the long ones with their texts cut.
fn corpus() -> Vec<String> {
    let recording = Recording::shipped().unwrap();
    let scenarios: Vec<String> = recording.scenarios().map(str::to_owned).collect();
    let mut corpus = vec![
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 4003, "message": "Client error: UnknownBlock", "data": "0x00"}}),
        json!({"jsonrpc": "2.0", "method": "chain_finalizedHead", "params": {"subscription": "sub-1", "result": {"number": "0x1"}}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": "0x010c000000"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": null}),
    ];
    for (_, _, mut response) in scenarios.iter().flat_map(|scenario| recording.exchanges(scenario).unwrap()) {
        shorten(&mut response);
        response["id"] = json!(1);
        corpus.push(response);
    }
    let mut texts: Vec<String> = corpus.iter().map(Value::to_string).filter(|text| text.len() < 2048).collect();
    texts.sort_unstable_by_key(String::len);
    texts.dedup_by_key(|text| text.len());
    texts
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => text.truncate(512),
        Value::Array(items) => {
            items.truncate(4);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// What the messages put in: signs of JSON, hexadecimal digits and what is neither.
const SIGNS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0x",
    "0",
    "f",
    "-",
    "1e999",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "é",
    "",
    "99999999999999999999",
];

/// Reads as the connection does, and the result as every method does.
fn read(text: &str) -> usize {
    let Ok(Some(said)) = envelope::read(text) else { return 0 };
    let (Said::Answer { result: Ok(result), .. } | Said::News { result, .. }) = said else { return 1 };
    let inner = result.as_array().into_iter().flatten().chain(result.as_object().into_iter().flat_map(|fields| fields.values()));
    let mut right = 1;
    for value in std::iter::once(&result).chain(inner) {
        right += usize::from(wire::bytes("m", value).is_ok());
        right += usize::from(wire::value("m", value).is_ok());
        right += usize::from(wire::optional_bytes("m", value).is_ok());
        right += usize::from(wire::hash("m", value).is_ok());
        right += usize::from(wire::header("m", value).is_ok());
    }
    right
}

#[test]
fn the_corpus_is_read() {
    let corpus = corpus();
    assert!(corpus.len() > 30, "{}", corpus.len());
    for text in &corpus {
        assert!(read(text) > 0, "{text}");
    }
}

#[test]
fn no_message_of_a_node_panics() {
    let corpus = corpus();
    let place = (any::<Index>(), 0..4usize, any::<Index>());
    let spoilt = (any::<Index>(), prop::collection::vec(place, 0..5));
    proptest!(ProptestConfig::with_cases(cases()), |((one, places) in spoilt, rubbish in prop::collection::vec(any::<u8>(), 0..64))| {
        let mut bytes = one.get(&corpus).clone().into_bytes();
        for (at, kind, with) in places {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 if at < bytes.len() => bytes[at] = with.index(256) as u8,
                _ => drop(bytes.splice(at..at, with.get(SIGNS).bytes())),
            }
        }
        read(&String::from_utf8_lossy(&bytes));
        read(&String::from_utf8_lossy(&rubbish));
    });
}
