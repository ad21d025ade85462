//! Reading an event stream: chunks in, messages out. Tolerant of comments, other fields, CRLF and split chunks.

use serde::Deserialize;

/// Longer lines are dropped; no miner API writes them.
const LONGEST: usize = 1 << 20;

/// One line of progress.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Event {
    #[serde(default)]
    pub(crate) timestamp: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    rest: Vec<u8>,
}

impl Reader {
    /// The events that a chunk completed.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in chunk {
            if *byte == b'\n' {
                events.extend(event(&std::mem::take(&mut self.rest)));
            } else if self.rest.len() < LONGEST {
                self.rest.push(*byte);
            }
        }
        events
    }

    /// What was left when the stream ended.
    pub(crate) fn finish(self) -> Option<Event> {
        event(&self.rest)
    }
}

fn event(line: &[u8]) -> Option<Event> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
    serde_json::from_str(line.strip_prefix("data:")?.trim_start()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_the_bytes_are_cut_the_events_are_the_same() {
        let stream = ": hello\r\ndata: {\"timestamp\":\"t\",\"message\":\"é\\n1\"}\n\nevent: x\ndata: nonsense\n\ndata:{\"message\":\"2\"}";
        let read = |size: usize| {
            let mut reader = Reader::default();
            let mut events: Vec<Event> = stream.as_bytes().chunks(size).flat_map(|chunk| reader.feed(chunk)).collect();
            events.extend(reader.finish());
            events
        };
        let whole = read(1000);
        assert_eq!(whole.iter().map(|event| event.message.as_str()).collect::<Vec<_>>(), ["é\n1", "2"]);
        for size in 1..20 {
            assert_eq!(read(size), whole, "{size}");
        }
    }
}
