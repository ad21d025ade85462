//! Subnets and their parameters.

use crate::read::AccountId;
use crate::read::scale::{Text, Value, record};

record! {
    /// What a subnet's owner says of it.
    #[derive(Default, serde::Deserialize)]
    pub struct SubnetIdentity {
        /// Name.
        pub subnet_name: Text,
        /// Source code.
        pub github_repo: Text = Text::default(),
        /// Whom to ask.
        pub subnet_contact: Text = Text::default(),
        /// Home page.
        pub subnet_url: Text = Text::default(),
        /// Discord.
        pub discord: Text = Text::default(),
        /// What it is for.
        pub description: Text = Text::default(),
        /// Picture.
        pub logo_url: Text = Text::default(),
        /// Anything else.
        pub additional: Text = Text::default(),
    }
}

record! {
    /// A subnet with its main parameters.
    pub struct SubnetInfo {
        /// Its number.
        pub netuid: u16,
        /// Difficulty of registration by work.
        pub difficulty: u64,
        /// Blocks after registration during which a UID is pruned only when nothing else can be.
        pub immunity_period: u16,
        /// Most UIDs that may validate.
        pub max_allowed_validators: u16,
        /// UIDs in use.
        pub subnetwork_n: u16,
        /// UIDs there can be.
        pub max_allowed_uids: u16,
        /// Blocks since the last epoch.
        pub blocks_since_last_step: u64,
        /// Blocks between epochs, less one.
        pub tempo: u16,
        /// Rao to register a neuron now.
        pub burn: u64,
        /// Its owner's coldkey.
        pub owner: AccountId,
        /// What the owner says of it.
        pub identity: Option<SubnetIdentity> = None,
    }
}

/// All hyperparameters of a subnet, by the runtime's own names and in its order.
///
/// Each runtime has others, so they are not fields: `get("tempo")`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters(Vec<(String, Value)>);

impl Hyperparameters {
    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// One by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// From the answer of `get_subnet_hyperparams` (a record), or of its third version (pairs of name and typed value).
    pub(crate) fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Record(fields) => Some(Self(fields)),
            Value::List(pairs) => pairs.iter().map(pair).collect::<Option<Vec<_>>>().map(Self),
            _ => None,
        }
    }
}

/// A name and a value in whatever wrapping.
fn pair(value: &Value) -> Option<(String, Value)> {
    let (name, value) = (value.item(0)?, value.item(1)?);
    let name = match name {
        Value::Text(name) => name.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => return None,
    };
    // `HyperparamValue::U16(99)` is 99.
    let value = match value {
        Value::Variant(_, fields) => match &**fields {
            Value::List(items) if items.len() == 1 => items.first()?.clone(),
            _ => value.clone(),
        },
        other => other.clone(),
    };
    Some((name, value))
}

impl serde::Serialize for Hyperparameters {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_name_and_typed_value_are_read_like_fields() {
        let pair = |name: &str, case: &str, value: Value| {
            let typed = Value::Variant(case.to_owned(), Box::new(Value::List(vec![value])));
            Value::List(vec![Value::Bytes(name.as_bytes().to_vec()), typed])
        };
        let pairs = Value::List(vec![pair("tempo", "U16", Value::Unsigned(99)), pair("registration_allowed", "Bool", Value::Bool(true))]);
        let parameters = Hyperparameters::from_value(pairs).unwrap();
        assert_eq!(parameters.get("tempo").and_then(Value::as_u16), Some(99));
        assert_eq!(serde_json::to_string(&parameters).unwrap(), r#"{"tempo":99,"registration_allowed":true}"#);
        assert!(Hyperparameters::from_value(Value::List(vec![Value::Bool(true)])).is_none());
        assert!(Hyperparameters::from_value(Value::Bool(true)).is_none());
    }
}
