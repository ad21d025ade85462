//! The shape of an object: which keys it has, not which values. Two Jobs of one shape differ in values only, so what is learned
//! from one (by a test, in a demonstration) holds for the other.

use serde_json::Value;

/// The shape of a value: leaves become the name of their type, lists the shapes of their elements without repetition. The `name`
/// of a list's element stays, since Kubernetes merges such lists by it.
#[must_use]
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(items) => {
            let mut shapes: Vec<Value> = Vec::new();
            for item in items {
                let mut of_item = shape(item);
                if let (Some(name), Some(fields)) = (item.get("name"), of_item.as_object_mut()) {
                    fields.insert("name".to_owned(), name.clone());
                }
                if !shapes.contains(&of_item) {
                    shapes.push(of_item);
                }
            }
            shapes.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_and_repetitions_do_not_matter_keys_and_names_do() {
        let one = json!({"a": 1, "list": [{"name": "x", "value": "1"}], "args": ["p", "q"]});
        assert_eq!(shape(&one), shape(&json!({"a": 7, "list": [{"name": "x", "value": "9"}], "args": ["p"]})));
        assert_ne!(shape(&one), shape(&json!({"a": 1, "list": [{"name": "y", "value": "1"}], "args": ["p", "q"]})));
        assert_ne!(shape(&one), shape(&json!({"a": 1, "b": 2, "list": [{"name": "x", "value": "1"}], "args": ["p", "q"]})));
        assert_ne!(shape(&one), shape(&json!({"a": "1", "list": [{"name": "x", "value": "1"}], "args": ["p", "q"]})));
    }
}
