//! Validation of body fields, with errors in the form of pydantic 2, all of them at once.

use super::error::ApiError;
use serde_json::{Map, Value, json};

/// Reads fields and collects what is wrong with them.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    errors: Vec<Value>,
}

impl<'a> Fields<'a> {
    /// Over a body's fields.
    #[must_use]
    pub fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, errors: Vec::new() }
    }

    /// Notes that a field is wrong. The value itself is never echoed: it may be a kubeconfig.
    pub fn wrong(&mut self, name: &str, kind: &str, message: impl Into<String>) {
        self.errors.push(json!({ "type": kind, "loc": ["body", name], "msg": message.into(), "input": null }));
    }

    /// Whether a field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    /// The field `agent_api`: the agent's base URL without a slash at its end. Empty counts as absent.
    pub fn agent_api(&mut self) -> Option<String> {
        let url = self.optional_text("agent_api").map(|url| url.trim().trim_end_matches('/')).filter(|url| !url.is_empty())?;
        if !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            self.wrong("agent_api", "value_error", "Input should be a URL such as http://203.0.113.10:32000");
        }
        Some(url.to_owned())
    }

    fn given(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn required(&mut self, name: &str) -> Option<&'a Value> {
        if self.map.get(name).is_none() {
            self.wrong(name, "missing", "Field required");
        }
        self.map.get(name)
    }

    fn as_text(&mut self, name: &str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong(name, "string_type", "Input should be a valid string");
        }
        text
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.required(name)?;
        self.as_text(name, value)
    }

    /// A text that may be absent or null.
    pub fn optional_text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.given(name)?;
        self.as_text(name, value)
    }

    /// A text that must be there and must parse.
    pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, "value_error", error.to_string());
                None
            }
        }
    }

    /// A number that must be there; a numeric string will do, as the existing miner takes it.
    pub fn number(&mut self, name: &str) -> Option<f64> {
        let value = self.required(name)?;
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => {
                let number = text.trim().parse().ok();
                if number.is_none() {
                    self.wrong(name, "float_parsing", "Input should be a valid number, unable to parse string as a number");
                    return None;
                }
                number
            }
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Some(number),
            None => {
                self.wrong(name, "float_type", "Input should be a valid number");
                None
            }
        }
    }

    /// A whole number within bounds that may be absent.
    pub fn optional_integer(&mut self, name: &str, from: u64, to: u64) -> Option<u64> {
        let value = self.given(name)?;
        let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
        let number = number.filter(|number| (from..=to).contains(number));
        if number.is_none() {
            self.wrong(name, "int_type", format!("Input should be a whole number from {from} to {to}"));
        }
        number
    }

    /// One of a few words, matched without regard to case; the first is the default.
    pub fn word(&mut self, name: &str, words: &[&'static str]) -> &'static str {
        let default = words.first().copied().unwrap_or_default();
        let Some(text) = self.optional_text(name) else { return default };
        match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => word,
            None => {
                self.wrong(name, "enum", format!("Input should be one of {}", words.join(", ")));
                default
            }
        }
    }

    /// Everything that was wrong, as one refusal.
    ///
    /// # Errors
    /// Anything was wrong.
    pub fn done(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::unprocessable(self.errors)) }
    }
}
