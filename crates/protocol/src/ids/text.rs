//! The plain identifiers, and the macro that gives every identifier the same conversions.

use super::IdError;

/// Gives a struct of a text with a `fn check(&str) -> Result<String, IdError>` everything an identifier needs.
macro_rules! id_traits {
    ($name:ident, $pattern:expr) => {
        impl $name {
            /// What the text looks like, as a regular expression (not all that is checked, but all that a schema can say).
            pub const PATTERN: &'static str = $pattern;

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::ids::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::check(text).map(|text| Self(text.into()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::ids::IdError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl TryFrom<&str> for $name {
            type Error = $crate::ids::IdError;
            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": Self::PATTERN })
            }
        }
    };
}

/// An identifier whose clones share one text: a plan names each chute and server thousands of times.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $pattern:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            fn check(text: &str) -> Result<String, IdError> {
                let check: fn(&str) -> Result<String, String> = $check;
                check(text).map_err(|why| IdError::new($kind, text, why))
            }
        }
        id_traits!($name, $pattern);
    };
}

const TOKEN_PATTERN: &str = "^[A-Za-z0-9_.:-]{1,128}$";
const UUID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const NAME_PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$";

fn token(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 128 {
        return Err(format!("write 1 to 128 characters, not {}", text.len()));
    }
    // In a URL's path a segment of dots would name another place.
    if text.bytes().all(|b| b == b'.') {
        return Err("it cannot be only dots".to_owned());
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "_.:-".contains(*c))) {
        Some(c) => Err(format!("{c:?} is not allowed, only letters, digits and _ . : -")),
        None => Ok(text.to_owned()),
    }
}

fn dashed_uuid(text: &str) -> Result<String, String> {
    let uuid = uuid::Uuid::try_parse(text).map_err(|_| "write a UUID, 8-4-4-4-12 hexadecimal digits".to_owned())?;
    Ok(uuid.hyphenated().to_string())
}

fn dns_label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 50 {
        return Err(format!("write 1 to 50 characters, not {}", text.len()));
    }
    if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err("only small letters, digits and - are allowed".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("it must begin and end with a letter or digit".to_owned());
    }
    Ok(text.to_owned())
}

id!(/// A deployable app, as the validator names it.
    ChuteId, "a chute id", TOKEN_PATTERN, token);
id!(/// One version of a chute: changes with its image or code.
    ChuteVersion, "a chute version", TOKEN_PATTERN, token);
id!(/// A container image, as the validator names it.
    ImageId, "an image id", TOKEN_PATTERN, token);
id!(/// A running copy of a chute, as the validator names it.
    InstanceId, "an instance id", TOKEN_PATTERN, token);
id!(/// A launch config: the permission to launch one instance. It joins our deployment, the pod and the instance.
    ConfigId, "a launch config id", TOKEN_PATTERN, token);
id!(/// A job of the validator.
    JobId, "a job id", TOKEN_PATTERN, token);
id!(/// The `metadata.uid` of a Kubernetes node, by which a validator knows a server.
    ServerId, "a server id", TOKEN_PATTERN, token);
id!(/// Our own id of a deployment: a UUID, always in small letters with dashes.
    DeploymentId, "a deployment id", UUID_PATTERN, dashed_uuid);
id!(/// The name of a server here: a DNS label of at most 50 characters, so that names derived from it fit too.
    ServerName, "a server name", NAME_PATTERN, dns_label);

impl From<uuid::Uuid> for DeploymentId {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().to_string().into())
    }
}

impl DeploymentId {
    /// The id as a UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::try_parse(&self.0).expect("checked when it was made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_bad_character_says_which() {
        let error = "chute/1".parse::<ChuteId>().unwrap_err();
        assert!(error.to_string().contains("'/' is not allowed"), "{error}");
        for bad in ["", ".", ".."] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(129).parse::<ConfigId>().is_err());
        assert_eq!("a".repeat(128).parse::<ConfigId>().unwrap().as_str().len(), 128);
    }

    #[test]
    fn a_deployment_id_has_one_spelling() {
        let shouted: DeploymentId = "0E5F5C3A-8B0B-4D35-9E6A-0B3A2B6D8F11".parse().unwrap();
        assert_eq!(shouted, "0e5f5c3a-8b0b-4d35-9e6a-0b3a2b6d8f11");
        assert_eq!(DeploymentId::from(shouted.uuid()), shouted);
        assert!("deployment-1".parse::<DeploymentId>().is_err());
    }

    #[test]
    fn a_server_name_is_a_short_dns_label() {
        for good in ["a", "gpu-0", "h100-rack-7"] {
            assert!(good.parse::<ServerName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "GPU", "a.b", &"x".repeat(51)] {
            assert!(bad.parse::<ServerName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn json_is_checked_like_text() {
        assert_eq!(serde_json::from_str::<ChuteId>("\"c-1\"").unwrap(), "c-1");
        assert!(serde_json::from_str::<ChuteId>("\"c 1\"").is_err());
        assert_eq!(serde_json::to_string(&"c-1".parse::<ChuteId>().unwrap()).unwrap(), "\"c-1\"");
    }
}
