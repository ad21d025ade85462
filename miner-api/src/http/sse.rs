//! The event stream of `POST /servers/`, byte for byte what the official command line can read.
//!
//! One line `data: ` + compact JSON + two newlines, and nothing else: no keep-alive, no `event:` line, no content type.
//! Any other line crashes that command line, and so does one longer than 128 KiB.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

/// Well below what the reader's line buffer holds, after JSON escaping doubled every character.
const LONGEST_CHARS: usize = 16_000;

#[derive(Serialize)]
struct Event<'a> {
    timestamp: String,
    message: &'a str,
}

/// One event.
#[must_use]
pub fn event(at: Timestamp, message: &str) -> Bytes {
    let message = match message.char_indices().nth(LONGEST_CHARS) {
        Some((end, _)) => &message[..end],
        None => message,
    };
    // Naive UTC with microseconds, as Python's isoformat writes it.
    let timestamp = at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    let json = serde_json::to_string(&Event { timestamp, message }).expect("two strings always serialise");
    Bytes::from(format!("data: {json}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_data_line_that_parses_after_six_characters() {
        let bytes = event(Timestamp::from_second(1_700_000_000).unwrap(), "a\n\"b\" ü\ndata: x");
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with(r#"data: {"timestamp":"2023-11-14T22:13:20.000000","message":"a\n"#), "{text}");
        assert!(text.ends_with("}\n\n") && text.matches('\n').count() == 2, "{text}");
        let value: serde_json::Value = serde_json::from_str(text.trim_end()[6..].trim()).unwrap();
        assert_eq!(value["message"], "a\n\"b\" ü\ndata: x");
    }

    #[test]
    fn a_long_message_is_cut_below_the_readers_line_limit() {
        let bytes = event(Timestamp::UNIX_EPOCH, &"\u{1}".repeat(500_000));
        assert!(bytes.len() < 128 * 1024, "{}", bytes.len());
    }
}
