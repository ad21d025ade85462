//! How the miner's hotkey stands on its subnet, as far as a node of the chain told.

use super::problems::{Problem, Severity, problem};
use chain::survey::{Place, Standing, Watched};
use protocol::ids::Ss58;
use serde::Serialize;

/// Age in seconds from which on the last known is old: several looks failed.
const OLD_S: u64 = 900;
/// Registrations to the loss of the UID from which on it is close. Subnet 64 was seen to replace three UIDs a day.
const CLOSE: u32 = 16;
/// The same, from which on it may be a matter of hours.
const NEXT: u32 = 2;
/// Blocks of immunity left, one day of them, in which what comes after it is said.
const IMMUNE_FOR: u64 = 7200;

/// The hotkey on the chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChainLine {
    /// The miner's address.
    pub hotkey: String,
    /// Whether it is registered; `None` before the first look that succeeded.
    pub registered: Option<bool>,
    /// The subnet.
    pub netuid: Option<u16>,
    /// Its UID.
    pub uid: Option<u16>,
    /// Stake as the chain weighs it.
    pub stake: Option<f64>,
    /// Share of the miners' reward, from 0 to 1.
    pub incentive: Option<f64>,
    /// Its place among the miners, 1 for the highest incentive.
    pub rank: Option<u32>,
    /// How many miners there are.
    pub miners: Option<u32>,
    /// The registration from now that takes its place, if emissions stay: 1 is the next. `None` if none would.
    pub registrations_to_eviction: Option<u32>,
    /// Blocks for which it is still immune.
    pub immune_for_blocks: Option<u64>,
    /// The block of all this.
    pub block: Option<u64>,
    /// How old it is.
    pub age_s: Option<u64>,
    /// Why the look after that failed.
    pub error: Option<String>,
}

/// What is known, without the clock of this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The last that could be read.
    pub standing: Option<Standing>,
    /// How old that is, in seconds.
    pub age_s: Option<u64>,
    /// Why the look after that failed.
    pub error: Option<String>,
}

impl From<&Watched> for Seen {
    fn from(known: &Watched) -> Self {
        Self { standing: known.standing.clone(), age_s: known.age().map(|age| age.as_secs()), error: known.error.clone() }
    }
}

/// What a report says of it, and what is wrong.
pub(super) fn of(hotkey: &Ss58, seen: &Seen) -> (ChainLine, Vec<Problem>) {
    let mut found = Vec::new();
    let age = seen.age_s.filter(|age| *age > OLD_S);
    match (&seen.error, &seen.standing, age) {
        (Some(error), None, _) => {
            found.push(problem(Severity::Warning, "chain", format!("was not read yet: {error}"), "chutes-miner chain status"));
        }
        // Without an error a look hangs, or there are none any more.
        (error, Some(_), Some(age)) => {
            let why = error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let what = format!("was last read {} min ago{why}", age / 60);
            found.push(problem(Severity::Warning, "chain", what, "chutes-miner chain status"));
        }
        _ => {}
    }
    let mut line = ChainLine { hotkey: hotkey.to_string(), age_s: seen.age_s, error: seen.error.clone(), ..ChainLine::default() };
    let Some(standing) = &seen.standing else { return (line, found) };
    line.registered = Some(standing.place.is_some());
    (line.netuid, line.block) = (Some(standing.netuid), Some(standing.block));
    let danger = match &standing.place {
        None => Some((Severity::Critical, unregistered(standing))),
        Some(place) => {
            line.uid = Some(place.uid);
            (line.stake, line.incentive) = (place.stake.map(chain::tracker::tao), place.incentive);
            (line.rank, line.miners) = (place.rank, place.miners);
            line.registrations_to_eviction = place.distance.and_then(|distance| distance.registrations);
            line.immune_for_blocks = place.distance.map(|distance| distance.immune_for_blocks);
            close(standing.netuid, place)
        }
    };
    if let Some((severity, what)) = danger {
        let what = age.map_or_else(|| what.clone(), |age| format!("{what} (as of {} min ago)", age / 60));
        let command = match standing.place {
            None => format!("chutes-miner chain register {} --hotkey-ss58 {hotkey}", standing.netuid),
            Some(_) => format!("chutes-miner chain neuron {} {hotkey}", standing.netuid),
        };
        found.push(problem(severity, "hotkey", what, command));
    }
    (line, found)
}

fn unregistered(standing: &Standing) -> String {
    let cost = standing.burn_rao.map_or_else(String::new, |rao| format!("; a registration costs {:.4} TAO now", chain::tracker::tao(rao)));
    format!("is not registered on subnet {} (block {}): nothing is earned{cost}", standing.netuid, standing.block)
}

/// Whether it is close to losing its UID.
fn close(netuid: u16, place: &Place) -> Option<(Severity, String)> {
    let distance = place.distance?;
    let uid = place.uid;
    if let Some(nth) = distance.registrations.filter(|nth| *nth <= CLOSE) {
        let severity = if nth <= NEXT { Severity::Critical } else { Severity::Warning };
        let which =
            if nth == 1 { "the next registration takes it".to_owned() } else { format!("the {nth}. registration from now takes it") };
        return Some((severity, format!("is close to losing UID {uid} on subnet {netuid}: {which}, if emissions stay")));
    }
    let left = distance.immune_for_blocks;
    let then = distance.registrations_unprotected.filter(|nth| *nth <= CLOSE && (1..=IMMUNE_FOR).contains(&left))?;
    let hours = chain::tracker::days(left) * 24.0;
    Some((
        Severity::Warning,
        format!("loses its immunity on subnet {netuid} in {hours:.0} h: registration {then} from then takes UID {uid}, if emissions stay"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::tracker::eviction::Distance;

    const HOTKEY: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    fn seen(distance: Distance) -> Seen {
        let place = Place {
            uid: 17,
            registered_at: Some(5_000_000),
            stake: Some(1_500_000_000),
            incentive: Some(0.25),
            emission: Some(1),
            rank: Some(3),
            miners: Some(240),
            distance: Some(distance),
        };
        let standing = Standing { netuid: 64, block: 6_000_000, place: Some(place), burn_rao: Some(500_000_000) };
        Seen { standing: Some(standing), age_s: Some(5), error: None }
    }

    fn distance(registrations: Option<u32>, immune_for_blocks: u64, unprotected: Option<u32>) -> Distance {
        Distance {
            uid: 17,
            protected: false,
            immune_for_blocks,
            free_uids: 0,
            weaker_non_immune: 0,
            registrations,
            registrations_unprotected: unprotected,
        }
    }

    fn said(seen: &Seen) -> Vec<(Severity, String)> {
        of(&HOTKEY.parse().unwrap(), seen).1.into_iter().map(|one| (one.severity, one.what)).collect()
    }

    #[test]
    fn a_good_place_is_no_problem() {
        let good = seen(distance(Some(90), 0, Some(90)));
        let (line, found) = of(&HOTKEY.parse().unwrap(), &good);
        assert_eq!(found, []);
        assert_eq!(
            (line.registered, line.uid, line.rank, line.miners, line.registrations_to_eviction),
            (Some(true), Some(17), Some(3), Some(240), Some(90))
        );
        assert_eq!((line.stake, line.incentive), (Some(1.5), Some(0.25)));
        assert_eq!(said(&seen(distance(None, 20_000, Some(1)))), [], "long immune");
        assert_eq!(said(&Seen::default()), [], "it has just begun");
    }

    #[test]
    fn losing_the_place_is_said_before_and_after() {
        assert_eq!(said(&seen(distance(Some(1), 0, Some(1))))[0].0, Severity::Critical);
        let near = said(&seen(distance(Some(16), 0, Some(16))));
        assert_eq!(
            near,
            [(
                Severity::Warning,
                "is close to losing UID 17 on subnet 64: the 16. registration from now takes it, if emissions stay".to_owned()
            )]
        );
        assert_eq!(said(&seen(distance(Some(17), 0, Some(17)))), []);
        let soon = said(&seen(distance(None, 600, Some(2))));
        assert!(soon[0].1.contains("in 2 h: registration 2 from then"), "{soon:?}");
        let mut gone = seen(distance(None, 0, None));
        gone.standing.as_mut().unwrap().place = None;
        let (line, found) = of(&HOTKEY.parse().unwrap(), &gone);
        assert_eq!((line.registered, line.uid, found[0].severity), (Some(false), None, Severity::Critical));
        assert!(found[0].what.contains("costs 0.5000 TAO"), "{found:?}");
        assert_eq!(found[0].command, format!("chutes-miner chain register 64 --hotkey-ss58 {HOTKEY}"));
    }

    #[test]
    fn alerts_and_problems_begin_at_the_same_point() {
        let rules = include_str!("../../../docs/alerts/chain.yaml");
        for bound in [format!("<= {CLOSE}\n"), format!("<= {NEXT}\n"), format!("> {OLD_S}\n"), format!("<= {IMMUNE_FOR}\n")] {
            assert!(rules.contains(&bound), "{bound}");
        }
    }

    #[test]
    fn the_last_known_is_told_with_its_age_while_the_endpoint_is_away() {
        let mut seen = seen(distance(Some(1), 0, Some(1)));
        seen.error = Some("refused".to_owned());
        assert_eq!(said(&seen).len(), 1, "one look that failed is no news");
        seen.age_s = Some(1200);
        let both = said(&seen);
        assert_eq!(both[0], (Severity::Warning, "was last read 20 min ago: refused".to_owned()));
        assert!(both[1].1.ends_with("(as of 20 min ago)"), "{both:?}");
        seen.error = None;
        assert_eq!(said(&seen)[0], (Severity::Warning, "was last read 20 min ago".to_owned()), "looks that never end are told, too");
        let never = Seen { error: Some("refused".to_owned()), ..Seen::default() };
        assert_eq!(said(&never), [(Severity::Warning, "was not read yet: refused".to_owned())]);
    }
}
