//! What must hold of the generated definitions, whatever fields they gain.

#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::Value;

/// Every schema below this one, with its path.
fn schemas<'a>(at: String, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((at.clone(), schema));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        schemas(format!("{at}.{name}"), property, found);
    }
    if let Some(items) = schema.get("items") {
        schemas(format!("{at}[]"), items, found);
    }
}

fn all() -> Vec<(String, Value)> {
    let definitions = crd::all().into_iter();
    let value = |definition: &_| serde_json::to_value(definition).unwrap();
    definitions.map(|definition| (definition.spec.names.kind.clone(), value(&definition)["spec"].clone())).collect()
}

fn schema(spec: &Value) -> &Value {
    &spec["versions"][0]["schema"]["openAPIV3Schema"]
}

fn rules(schema: &Value) -> Vec<(&str, &str)> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.map(|rule| (rule["rule"].as_str().unwrap_or_default(), rule["message"].as_str().unwrap_or_default())).collect()
}

#[test]
fn every_field_says_what_it_is() {
    for (kind, spec) in all() {
        let mut found = Vec::new();
        schemas(kind, schema(&spec), &mut found);
        assert!(found.len() > 5);
        for (path, schema) in found {
            // The API server describes the metadata of objects; the type of a list's elements may speak for itself.
            if path.ends_with("[]") || path.ends_with(".metadata") {
                continue;
            }
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty() && !description.contains("Auto-generated"), "{path} has no description");
        }
    }
}

#[test]
fn every_rule_says_what_to_write_instead() {
    for (kind, spec) in all() {
        let mut found = Vec::new();
        schemas(kind, schema(&spec), &mut found);
        for (path, schema) in found {
            for (rule, message) in rules(schema) {
                assert!(message.split(' ').count() >= 4, "{path}: the message of {rule} is only {message:?}");
            }
        }
    }
}

#[test]
fn a_deployment_is_immutable_in_every_field_but_its_run_state() {
    let (_, spec) = all().into_iter().find(|(kind, _)| kind == "ChuteDeployment").unwrap();
    let spec = &schema(&spec)["properties"]["spec"];
    let rules = rules(spec);
    let (rule, _) = rules.iter().find(|(_, message)| message.contains("immutable but for runState")).unwrap();
    for field in spec["properties"].as_object().unwrap().keys().filter(|field| *field != "runState") {
        assert!(rule.contains(&format!("self.{field} == oldSelf.{field}")), "{field} may change; add it to the rule");
    }
}

#[test]
fn conditions_are_lists_merged_by_type() {
    for (kind, spec) in all() {
        let conditions = &schema(&spec)["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
        assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type", "{kind}");
    }
}

#[test]
fn every_kind_has_a_short_name_a_category_and_a_status_of_its_own() {
    for (kind, spec) in all() {
        assert!(spec["names"]["shortNames"].as_array().is_some_and(|names| !names.is_empty()), "{kind}");
        // Not `chutes`: kubectl takes a category for the kind of the same name, and `kubectl delete chutes` would mean them all.
        assert_eq!(spec["names"]["categories"], serde_json::json!(["fleet"]), "{kind}");
        assert!(spec["versions"][0]["subresources"]["status"].is_object(), "{kind}");
    }
}

#[test]
fn what_a_node_writes_is_bounded() {
    for (kind, part) in [("GpuServer", "reported"), ("ChuteDeployment", "workload")] {
        let (_, spec) = all().into_iter().find(|(k, _)| k == kind).unwrap();
        let mut found = Vec::new();
        schemas(format!("status.{part}"), &schema(&spec)["properties"]["status"]["properties"][part], &mut found);
        assert!(found.len() > 5);
        for (path, schema) in found {
            let bounded = match schema["type"].as_str() {
                Some("string") => ["maxLength", "enum", "pattern"].iter().any(|limit| schema.get(limit).is_some()),
                Some("array") => schema.get("maxItems").is_some(),
                _ => true,
            };
            assert!(bounded, "{path} has no limit, and a node that was broken into writes what it likes");
        }
    }
}
