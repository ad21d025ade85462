//! Numbers of 128 bits in JSON: texts beyond 64 bits, as [`Value`](crate::read::scale::Value) writes them. Of larger numbers most readers of
//! JSON keep 53 bits, and `serde_json`'s own documents refuse them.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// A number up to 64 bits, else a text.
pub(super) fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    match u64::try_from(*number) {
        Ok(small) => serializer.serialize_u64(small),
        Err(_) => serializer.collect_str(number),
    }
}

/// Reads both.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "a whole number up to 64 bits, or a text of one up to 128 bits")]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(small) => Ok(small.into()),
        Written::Text(text) => text.parse().map_err(|_| D::Error::custom("no whole number of up to 128 bits")),
    }
}
