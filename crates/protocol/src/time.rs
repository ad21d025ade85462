//! Timestamps as validators write them: with an offset, with `Z`, or with neither.

use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A moment reported by a validator. A text without an offset is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WireTime(pub Timestamp);

/// Why a text is no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ISO 8601 time")]
pub struct WireTimeError(String);

impl WireTime {
    /// The moment.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl FromStr for WireTime {
    type Err = WireTimeError;

    fn from_str(text: &str) -> Result<Self, WireTimeError> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Self(timestamp));
        }
        text.parse::<DateTime>()
            .and_then(|naive| naive.to_zoned(TimeZone::UTC))
            .map(|zoned| Self(zoned.timestamp()))
            .map_err(|_| WireTimeError(text.chars().take(60).collect()))
    }
}

impl TryFrom<String> for WireTime {
    type Error = WireTimeError;
    fn try_from(text: String) -> Result<Self, WireTimeError> {
        text.parse()
    }
}

impl From<WireTime> for String {
    fn from(time: WireTime) -> String {
        time.to_string()
    }
}

impl From<Timestamp> for WireTime {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl fmt::Display for WireTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_moment_are_the_same() {
        let offset: WireTime = "2026-11-20T23:52:07.859741+00:00".parse().unwrap();
        for spelling in ["2026-11-20T23:52:07.859741Z", "2026-11-20T23:52:07.859741", "2026-11-21T00:52:07.859741+01:00"] {
            assert_eq!(spelling.parse::<WireTime>().unwrap(), offset, "{spelling}");
        }
        assert!("yesterday".parse::<WireTime>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<WireTime>();
        }
    }
}
