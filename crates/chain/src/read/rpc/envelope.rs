//! What a node says: answers by number, notifications by the name of their subscription.

use serde_json::Value;

/// Values in one message. In memory each takes tens of bytes, and in the message two or three. Answers that we ask for are one text, or
/// a few hundred; the largest block has some thousand extrinsics.
const MAX_VALUES: usize = 1 << 18;

/// A message.
#[derive(Debug, PartialEq)]
pub(in crate::read) enum Said {
    /// To the request of this number.
    Answer {
        /// The number.
        id: u64,
        /// The result, or code and words of an error.
        result: Result<Value, (i64, String)>,
    },
    /// News of a subscription.
    News {
        /// Its name.
        subscription: Value,
        /// What is new.
        result: Value,
    },
}

/// Reads a message; `None` for what is neither answer nor notification.
///
/// # Errors
///
/// Why this is no message that an honest node sends.
pub(in crate::read) fn read(text: &str) -> Result<Option<Said>, String> {
    // Each value but the outermost has one of these before it. Those within texts count, too: the bound is wide enough.
    if text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count() > MAX_VALUES {
        return Err(format!("it sends a message of more than {MAX_VALUES} values"));
    }
    let Ok(mut message) = serde_json::from_str::<Value>(text) else { return Ok(None) };
    let Some(id) = message.get("id").and_then(Value::as_u64) else { return Ok(news(&mut message)) };
    let result = match message.get("error") {
        Some(error) => {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            let mut words = error.get("message").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
            if let Some(data) = error.get("data").and_then(Value::as_str) {
                words = format!("{words}: {data}");
            }
            Err((code, words.chars().take(400).collect()))
        }
        None => Ok(message.get_mut("result").map_or(Value::Null, Value::take)),
    };
    Ok(Some(Said::Answer { id, result }))
}

fn news(message: &mut Value) -> Option<Said> {
    let params = message.get_mut("params")?;
    let subscription = params.get("subscription")?.clone();
    Some(Said::News { subscription, result: params.get_mut("result").map_or(Value::Null, Value::take) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_errors_and_news_are_told_apart() {
        let said = |value: Value| read(&value.to_string()).unwrap();
        assert_eq!(said(json!({"id": 7, "result": "0x01"})), Some(Said::Answer { id: 7, result: Ok(json!("0x01")) }));
        assert_eq!(said(json!({"id": 7})), Some(Said::Answer { id: 7, result: Ok(Value::Null) }));
        let error = said(json!({"id": 7, "error": {"code": -5, "message": "no", "data": "never"}, "result": 1}));
        assert_eq!(error, Some(Said::Answer { id: 7, result: Err((-5, "no: never".to_owned())) }));
        let news = said(json!({"method": "m", "params": {"subscription": "a", "result": 3}}));
        assert_eq!(news, Some(Said::News { subscription: json!("a"), result: json!(3) }));
        for nothing in [json!([]), json!({"id": "7"}), json!({"id": -1}), json!({"params": []}), json!(null)] {
            assert_eq!(said(nothing), None);
        }
        assert_eq!(read("{\"id\": 7,"), Ok(None));
        // As deep as a parser that calls itself may not go.
        assert_eq!(read(&"[".repeat(100_000)), Ok(None));
    }

    #[test]
    fn a_message_of_very_many_values_is_refused_before_it_is_read() {
        let list = |items: usize| format!("{{\"id\": 1, \"result\": [{}0]}}", "[0],".repeat(items));
        assert!(read(&list(100_000)).is_ok());
        let error = read(&list(1_000_000)).unwrap_err();
        assert!(error.contains("more than 262144 values"), "{error}");
    }
}
