//! `docs/crds.md`: every field of every kind, from the schemas' own descriptions.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;

/// The reference, in Markdown.
pub(crate) fn reference() -> Result<String> {
    let mut page = String::from(
        "<!-- Generated from crates/crd by `cargo run -p xtask -- generate`. Do not edit. -->\n\n# Custom resources\n\n\
         Group `gepetto.fleet`, version `v1alpha1`. `kubectl explain <kind>.spec` says the same at a terminal; \
         [`crds/examples/`](../crds/examples) holds one of each.\n",
    );
    for definition in crd::all() {
        let names = &definition.spec.names;
        let value = serde_json::to_value(&definition)?;
        let schema = value.pointer("/spec/versions/0/schema/openAPIV3Schema").context("a definition without a schema")?;
        write!(page, "\n## {}\n\n{}\n", names.kind, text(schema))?;
        let short = names.short_names.clone().unwrap_or_default().join("`, `");
        if !short.is_empty() {
            write!(page, "\nShort name: `{short}`.\n")?;
        }
        for part in ["spec", "status"] {
            if let Some(section) = schema.pointer(&format!("/properties/{part}")) {
                write!(page, "\n### {}.{part}\n\n{}\n\n| field | type | meaning |\n| --- | --- | --- |\n", names.kind, text(section))?;
                rows(&mut page, section, "")?;
                rules(&mut page, section)?;
            }
        }
        rules(&mut page, schema)?;
    }
    Ok(page)
}

fn rows(page: &mut String, schema: &Value, prefix: &str) -> Result<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).map(|r| r.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    for (name, field) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let must = if required.contains(&name.as_str()) { " *" } else { "" };
        writeln!(page, "| `{path}`{must} | {} | {} |", kind(field), text(field).replace('|', "\\|").replace('\n', " "))?;
        rows(page, field, &path)?;
        if let Some(items) = field.get("items") {
            rows(page, items, &format!("{path}[]"))?;
        }
    }
    Ok(())
}

fn rules(page: &mut String, schema: &Value) -> Result<()> {
    let Some(rules) = schema.get("x-kubernetes-validations").and_then(Value::as_array) else { return Ok(()) };
    writeln!(page, "\nRefused by the API server:\n")?;
    for rule in rules {
        writeln!(page, "- {}", rule.get("message").and_then(Value::as_str).unwrap_or("(no message)"))?;
    }
    Ok(())
}

fn kind(field: &Value) -> String {
    let base = field.get("type").and_then(Value::as_str).unwrap_or("any");
    match field.get("enum").and_then(Value::as_array) {
        Some(values) => values.iter().filter_map(Value::as_str).map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", "),
        None => match (base, field.get("items").and_then(|i| i.get("type")).and_then(Value::as_str)) {
            ("array", Some(item)) => format!("list of {item}"),
            _ => base.to_owned(),
        },
    }
}

fn text(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or("").trim().to_owned()
}
