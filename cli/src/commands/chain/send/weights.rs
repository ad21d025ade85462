//! `chain set-weights`, and how weights are written down.

use super::{
    Act, Call, Role, Sending,
    session::{Session, session},
};
use crate::{
    failure::{Failure, Kind},
    hotkey::expand,
};
use chain::submit::{Mechanism, Weights};
use clap::Args as ClapArgs;
use serde_json::{Value, json};

/// Of a file with weights: 65,536 lines of some 20 bytes.
const LONGEST_BYTES: u64 = 4 << 20;

/// Set a validator's weights, signed by its hotkey.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain set-weights 2 7=1 9=0.5 --dry-run\n  \
        chutes-miner chain set-weights 2 --weights-file weights.txt\n\n\
        Weights count against each other. Whole numbers up to 65535 are sent as they\n\
        are, others in parts of the largest, without those that come to nothing. A file\n\
        has one UID=WEIGHT a line; what follows a # is passed over."
)]
pub(in crate::commands::chain) struct SetWeights {
    /// The subnet
    netuid: u16,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    sending: Sending,
}

/// Weights, as people give them.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(super) struct Given {
    /// A UID and what it weighs; may be repeated
    #[arg(value_name = "UID=WEIGHT", required_unless_present = "weights_file", conflicts_with = "weights_file")]
    weights: Vec<String>,
    /// File with them
    #[arg(long, value_name = "FILE")]
    weights_file: Option<String>,
    /// The version of weights that the subnet asks for
    #[arg(long, value_name = "N", default_value_t = 0)]
    version_key: u64,
    /// One of the subnet's mechanisms, where it has several
    #[arg(long, value_name = "N", default_value = "0", value_parser = mechanism)]
    pub(super) mechanism: Mechanism,
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    let number = text.parse::<u8>().map_err(|error| error.to_string())?;
    Mechanism::new(number).map_err(|error| error.to_string())
}

pub(in crate::commands::chain) async fn run(args: SetWeights) -> Result<(), Failure> {
    let (netuid, mechanism, weights) = (args.netuid, args.given.mechanism, args.given.weights()?);
    session(&args.sending, Role::Hotkey, async |session: &mut Session| {
        let act = Act {
            arguments: arguments(netuid, mechanism, &weights),
            call: if mechanism == Mechanism::MAIN {
                Call::SetWeights { netuid, weights }
            } else {
                Call::SetMechanismWeights { netuid, mechanism, weights }
            },
            balance: None,
            hidden: None,
        };
        session.plan(&act).await?;
        session.carry_out(&act, async || Ok(())).await.map(drop)
    })
    .await
}

/// What is shown of weights.
pub(super) fn arguments(netuid: u16, mechanism: Mechanism, weights: &Weights) -> Vec<(&'static str, String, Value)> {
    let pairs: Vec<String> = weights.uids().iter().zip(weights.values()).map(|(uid, value)| format!("{uid}={value}")).collect();
    let (number, version) = (mechanism.number(), weights.version_key());
    let mecid = (mechanism != Mechanism::MAIN).then(|| ("mecid", number.to_string(), json!(number)));
    let weights = json!({ "uids": weights.uids(), "values": weights.values() });
    [("netuid", netuid.to_string(), json!(netuid))]
        .into_iter()
        .chain(mecid)
        .chain([
            ("weights", format!("{} UIDs: {}", pairs.len(), pairs.join(" ")), weights),
            ("version_key", version.to_string(), json!(version)),
        ])
        .collect()
}

impl Given {
    pub(super) fn weights(&self) -> Result<Weights, Failure> {
        let wrong = |what: String| Failure::new(Kind::Usage, what);
        let text = match &self.weights_file {
            None => self.weights.join("\n"),
            Some(file) => {
                let path = expand(file);
                let unreadable = |error: std::io::Error| Failure::general(format!("cannot read {}: {error}", path.display()));
                if std::fs::metadata(&path).map_err(unreadable)?.len() > LONGEST_BYTES {
                    return Err(wrong(format!("{} is longer than weights can be", path.display())));
                }
                std::fs::read_to_string(&path).map_err(unreadable)?
            }
        };
        let pairs = parse(&text).map_err(wrong)?;
        let weights = match whole(&pairs) {
            Some(pairs) => Weights::new(pairs, self.version_key),
            None => Weights::scaled(pairs, self.version_key),
        };
        weights.map_err(|error| wrong(error.to_string()))
    }
}

fn parse(text: &str) -> Result<Vec<(u16, f64)>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let wrong = || format!("{line:?} is no UID=WEIGHT, such as 7=0.25");
            let (uid, weight) = line.split_once('=').ok_or_else(wrong)?;
            let weight = weight.trim().parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
            Ok((uid.trim().parse().map_err(|_| wrong())?, weight.ok_or_else(wrong)?))
        })
        .collect()
}

/// Where all are numbers as the chain has them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 0 to 65,535")]
fn whole(pairs: &[(u16, f64)]) -> Option<Vec<(u16, u16)>> {
    let own = |weight: f64| (weight.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&weight)).then_some(weight as u16);
    pairs.iter().map(|(uid, weight)| Some((*uid, own(*weight)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_people_write_them() {
        assert_eq!(parse("7=1\n # all\n 9 = 0.5 # half\n\n").unwrap(), [(7, 1.0), (9, 0.5)]);
        for bad in ["7", "7=", "=1", "x=1", "70000=1", "7=-1", "7=NaN", "7=inf", "7=1 9=2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_chains_numbers_are_kept_and_others_become_parts_of_the_largest() {
        assert_eq!(whole(&[(1, 1.0), (2, 65_535.0), (3, 0.0)]), Some(vec![(1, 1), (2, 65_535), (3, 0)]));
        for others in [[(1, 0.5), (2, 2.0)], [(1, 1e300), (2, 1.0)], [(1, 65_536.0), (2, 1.0)]] {
            assert_eq!(whole(&others), None);
        }
    }
}
