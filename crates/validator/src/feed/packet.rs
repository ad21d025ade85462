//! The text of Engine.IO and Socket.IO packets. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A packet from the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Packet {
    /// `0{..}`: the connection is open.
    Open(Handshake),
    /// `1`: the server ends the connection.
    Close,
    /// `2`: are you there?
    Ping,
    /// `40{..}`: in the namespace.
    Joined,
    /// `44..`: not let into the namespace.
    JoinRefused(String),
    /// `41`: thrown out of the namespace.
    Left,
    /// `42[..]`: an event, perhaps with a wish for an acknowledgement.
    Event {
        /// Its name.
        name: String,
        /// Its first argument.
        data: Value,
        /// What to acknowledge it with.
        ack: Option<u64>,
    },
    /// `43n[..]`: an acknowledgement of ours.
    Ack {
        /// Number of what is acknowledged.
        id: u64,
        /// First argument.
        data: Value,
    },
    /// Anything else, which does not concern us.
    Other,
}

/// What the server says about its timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handshake {
    /// Milliseconds between its pings.
    #[serde(default = "default_ping_interval")]
    ping_interval: u64,
    /// Milliseconds it waits for an answer.
    #[serde(default = "default_ping_timeout")]
    ping_timeout: u64,
}

fn default_ping_interval() -> u64 {
    25_000
}

fn default_ping_timeout() -> u64 {
    20_000
}

impl Handshake {
    /// Silence after which the connection is dead. A server that names absurd times is not believed.
    pub(super) fn longest_silence(self) -> Duration {
        Duration::from_millis(self.ping_interval.saturating_add(self.ping_timeout).clamp(100, 600_000))
    }
}

/// Reads a packet; never fails.
pub(super) fn parse(text: &str) -> Packet {
    let Some(kind) = text.get(..1) else { return Packet::Other };
    let rest = &text[1..];
    match kind {
        "0" => serde_json::from_str(rest).map_or(Packet::Other, Packet::Open),
        "1" => Packet::Close,
        "2" => Packet::Ping,
        "4" => parse_message(rest),
        _ => Packet::Other,
    }
}

fn parse_message(text: &str) -> Packet {
    let Some(kind) = text.get(..1) else { return Packet::Other };
    let Some(rest) = without_namespace(&text[1..]) else { return Packet::Other };
    match kind {
        "0" => Packet::Joined,
        "1" => Packet::Left,
        "2" => parse_event(rest).unwrap_or(Packet::Other),
        "3" => parse_ack(rest).unwrap_or(Packet::Other),
        "4" => Packet::JoinRefused(rest.to_owned()),
        _ => Packet::Other,
    }
}

/// What follows the namespace, if it is the default one: absent, or spelled `/,`.
fn without_namespace(text: &str) -> Option<&str> {
    if !text.starts_with('/') {
        return Some(text);
    }
    match text.split_once(',') {
        Some(("/", rest)) => Some(rest),
        _ => None,
    }
}

fn parse_event(text: &str) -> Option<Packet> {
    let (ack, arguments) = numbered(text)?;
    let mut arguments = arguments.into_iter();
    let Some(Value::String(name)) = arguments.next() else { return None };
    Some(Packet::Event { name, data: arguments.next().unwrap_or_default(), ack })
}

fn parse_ack(text: &str) -> Option<Packet> {
    let (id, arguments) = numbered(text)?;
    Some(Packet::Ack { id: id?, data: arguments.into_iter().next().unwrap_or_default() })
}

/// `12[..]` or `[..]`.
fn numbered(text: &str) -> Option<(Option<u64>, Vec<Value>)> {
    let at = text.find('[')?;
    let id = match &text[..at] {
        "" => None,
        digits => Some(digits.parse().ok()?),
    };
    Some((id, serde_json::from_str(&text[at..]).ok()?))
}

/// An answer to [`Packet::Ping`].
pub(super) const PONG: &str = "3";
/// The wish to join the default namespace.
pub(super) const JOIN: &str = "40{}";

/// An event of ours that wants an acknowledgement.
pub(super) fn event(name: &str, data: &Value, ack: u64) -> String {
    format!("42{ack}{}", Value::Array(vec![Value::from(name), data.clone()]))
}

/// An empty acknowledgement.
pub(super) fn ack(id: u64) -> String {
    format!("43{id}[]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_frames_of_a_login_are_understood() {
        let open = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let Packet::Open(handshake) = parse(open) else { panic!("no handshake") };
        assert_eq!(handshake.longest_silence(), Duration::from_secs(45));
        assert_eq!(parse(r#"40{"sid":"b"}"#), Packet::Joined);
        assert_eq!(
            parse(r#"42["auth_success",{"message":"Authenticated"}]"#),
            Packet::Event { name: "auth_success".into(), data: json!({ "message": "Authenticated" }), ack: None }
        );
        assert_eq!(parse("431[true]"), Packet::Ack { id: 1, data: json!(true) });
        assert_eq!(parse("2"), Packet::Ping);
    }

    #[test]
    fn the_default_namespace_may_be_spelled_out_and_others_are_not_ours() {
        let event = Packet::Event { name: "e".into(), data: json!(1), ack: Some(7) };
        assert_eq!(parse(r#"42/,7["e",1]"#), event);
        assert_eq!(parse(r#"427["e",1]"#), event);
        assert_eq!(parse(r#"42/admin,7["e",1]"#), Packet::Other);
    }

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(parse("1"), Packet::Close);
        assert_eq!(parse("41"), Packet::Left);
        assert_eq!(parse(r#"44{"message":"no"}"#), Packet::JoinRefused(r#"{"message":"no"}"#.into()));
    }

    #[test]
    fn what_we_send_is_what_a_server_reads() {
        assert_eq!(event("authenticate", &json!({ "a": "b" }), 3), r#"423["authenticate",{"a":"b"}]"#);
        assert_eq!(ack(12), "4312[]");
    }

    #[test]
    fn an_event_needs_a_name_but_no_data() {
        assert_eq!(parse(r#"42["e"]"#), Packet::Event { name: "e".into(), data: Value::Null, ack: None });
        for rubbish in ["", "42", "42[]", "42[1]", "42x[\"e\"]", "43[true]", "451-[\"e\"]", "é"] {
            assert_eq!(parse(rubbish), Packet::Other, "{rubbish}");
        }
    }

    #[test]
    fn absurd_times_are_not_believed() {
        let silence = |open: &str| match parse(open) {
            Packet::Open(handshake) => handshake.longest_silence(),
            other => panic!("{other:?}"),
        };
        assert_eq!(silence(r#"0{"pingInterval":18446744073709551615,"pingTimeout":1}"#), Duration::from_secs(600));
        assert_eq!(silence(r#"0{"pingInterval":0,"pingTimeout":0}"#), Duration::from_millis(100));
        assert_eq!(silence("0{}"), Duration::from_secs(45));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*", number in "[0-6]{1,3}", rest in ".*") {
            let _ = parse(&text);
            let _ = parse(&format!("{number}{rest}"));
        }
    }
}
