//! `chain set-weights`, and how weights are written down.

use super::{
    Act, Call, Role, Sending,
    session::{Session, session},
};
use crate::{
    failure::{Failure, Kind},
    hotkey::expand,
};
use chain::submit::Weights;
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
        are, others in parts of the largest. A file has one UID=WEIGHT a line; what\n\
        follows a # is passed over."
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
}

pub(in crate::commands::chain) async fn run(args: SetWeights) -> Result<(), Failure> {
    let (netuid, weights) = (args.netuid, args.given.weights()?);
    session(&args.sending, Role::Hotkey, async |session: &mut Session| {
        let act = Act {
            arguments: arguments(netuid, &weights),
            call: Call::SetWeights { netuid, weights },
            balance: None,
            look: format!("chutes-miner chain neuron {netuid} {}", session.signer),
        };
        session.plan(&act).await?;
        session.carry_out(&act, || Ok(())).await.map(drop)
    })
    .await
}

/// What is shown of weights.
pub(super) fn arguments(netuid: u16, weights: &Weights) -> Vec<(&'static str, String, Value)> {
    let pairs: Vec<String> = weights.uids().iter().zip(weights.values()).map(|(uid, value)| format!("{uid}={value}")).collect();
    vec![
        ("netuid", netuid.to_string(), json!(netuid)),
        ("weights", format!("{} UIDs: {}", pairs.len(), pairs.join(" ")), json!({ "uids": weights.uids(), "values": weights.values() })),
        ("version_key", weights.version_key().to_string(), json!(weights.version_key())),
    ]
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
        Weights::new(scaled(&pairs), self.version_key).map_err(|error| wrong(error.to_string()))
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

/// In the chain's numbers: as they are if they are such numbers, else in parts of the largest, which becomes 65,535.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 65,535")]
fn scaled(pairs: &[(u16, f64)]) -> Vec<(u16, u16)> {
    let most = f64::from(u16::MAX);
    let largest = pairs.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let exact = pairs.iter().all(|(_, weight)| weight.fract() == 0.0) && largest <= most;
    let value = |weight: f64| if exact || largest <= 0.0 { weight } else { (weight / largest * most).round() };
    pairs.iter().map(|(uid, weight)| (*uid, value(*weight) as u16)).collect()
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
        assert_eq!(scaled(&[(1, 1.0), (2, 65_535.0), (3, 0.0)]), [(1, 1), (2, 65_535), (3, 0)]);
        assert_eq!(scaled(&[(1, 0.5), (2, 0.25)]), [(1, 65_535), (2, 32_768)]);
        assert_eq!(scaled(&[(1, 1e300), (2, 1e299)]), [(1, 65_535), (2, 6554)]);
        assert_eq!(scaled(&[(1, 0.0)]), [(1, 0)]);
    }
}
