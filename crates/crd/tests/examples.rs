//! The examples of `crds/examples` against the Rust types.

#![allow(clippy::unwrap_used, reason = "a test")]

use kube::core::ResourceExt as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

fn examples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            found.push((path.file_name().unwrap().to_string_lossy().into_owned(), value));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Paths of everything in `wanted` that `got` lacks or holds otherwise.
fn lost(at: &str, wanted: &Value, got: &Value, found: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                lost(&format!("{at}.{key}"), value, got.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            for (index, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                lost(&format!("{at}[{index}]"), wanted, got, found);
            }
        }
        (Value::Number(wanted), Value::Number(got)) if wanted.as_f64() == got.as_f64() => {}
        _ if wanted == got => {}
        // The empty list and the absent one are the same.
        (Value::Array(wanted), Value::Null) if wanted.is_empty() => {}
        _ => found.push(format!("{at}: {wanted} became {got}")),
    }
}

fn through<K: DeserializeOwned + Serialize + kube::Resource>(file: &str, example: &Value) -> Value {
    let object: K = serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(object.namespace().is_some(), example["metadata"]["namespace"].is_string());
    serde_json::to_value(object).unwrap()
}

#[test]
fn every_example_decodes_without_loss_and_every_kind_has_one() {
    let mut kinds = BTreeSet::new();
    for (file, example) in examples() {
        let kind = example["kind"].as_str().unwrap().to_owned();
        let got = match kind.as_str() {
            "Validator" => through::<crd::Validator>(&file, &example),
            "GpuServer" => through::<crd::GpuServer>(&file, &example),
            "Chute" => through::<crd::Chute>(&file, &example),
            "ChuteDeployment" => through::<crd::ChuteDeployment>(&file, &example),
            "GepettoPolicy" => through::<crd::GepettoPolicy>(&file, &example),
            other => panic!("{file}: no kind {other}"),
        };
        let mut found = Vec::new();
        lost("", &example, &got, &mut found);
        assert!(found.is_empty(), "{file}: {}", found.join("; "));
        assert!(!got.to_string().contains("\"Unknown\""), "{file} holds a value this release does not know");
        kinds.insert(kind);
    }
    let all: BTreeSet<String> = crd::all().into_iter().map(|definition| definition.spec.names.kind).collect();
    assert_eq!(kinds, all);
}
