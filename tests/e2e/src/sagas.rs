//! Blows at single writes of single lives of a chute, of which many go on at once.
//!
//! Owns the proxies between our programs and what they write to, the names of their writes, and the rule that a blow hits one write
//! of one life whatever else is going on. Knows nothing of what ought to follow.

use crate::fleet::{Between, Fleet};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use testkit::faults::{Action, FaultProxy, FaultProxyConfig, Matcher, Refusal, Rule, RuleHandle, Seen};

/// The way from the agent to the node cluster.
const NODE: &str = "agent, to the node cluster";
/// The way from all programs to the validator.
pub const VALIDATOR: &str = "to the validator";

/// Where what belongs to the whole fleet lies.
const FLEET_NAMESPACE: &str = "chutes";

/// What befalls a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It happens, and the answer is lost.
    DropAfter,
    /// It does not happen, and the connection breaks.
    DropBefore,
    /// It is refused with this status.
    Refuse(u16),
}

impl Blow {
    fn action(self, way: &str) -> Action {
        match self {
            Self::DropAfter => Action::DropAfter,
            Self::DropBefore => Action::DropBefore,
            Self::Refuse(status) if way == VALIDATOR => Action::Refuse(Refusal::detail(status, "a test says no")),
            Self::Refuse(429) => Action::Refuse(Refusal::too_many(1)),
            Self::Refuse(status) => Action::Refuse(Refusal::kube(status)),
        }
    }
}

/// One write of a saga, told without the names of what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Who writes where.
    pub way: String,
    /// What is written.
    pub what: String,
    /// Whether it is about one deployment or chute.
    pub owned: bool,
    /// Which of those of its kind, from 1.
    pub nth: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} #{}", self.way, self.what, self.nth)
    }
}

/// The proxies of a fleet, by their way. A clone is a handle to the same.
#[derive(Clone, Default)]
pub struct Ways {
    proxies: Arc<Mutex<BTreeMap<String, FaultProxy>>>,
    owners: Arc<Owners>,
}

impl Ways {
    /// What a fleet is told, so that all its writes come by here.
    #[must_use]
    pub fn between(&self) -> Between {
        let (control, node, validator) = (self.clone(), self.clone(), self.clone());
        Between {
            control: Some(Arc::new(move |program, url, ca| control.proxy(&format!("{program}, to the control cluster"), url, Some(ca)))),
            node: Some(Arc::new(move |url, ca| node.proxy(NODE, url, Some(ca)))),
            validator: Some(Arc::new(move |url| validator.proxy(VALIDATOR, url, None))),
            postgres: None,
        }
    }

    fn proxy(&self, way: &str, url: &str, ca: Option<&str>) -> String {
        let mut proxies = self.proxies.lock().unwrap_or_else(PoisonError::into_inner);
        let proxy = proxies.entry(way.to_owned()).or_insert_with(|| {
            // A GET that makes something.
            let asking = Matcher::any().path("/instances/launch_config");
            let mut config = FaultProxyConfig::new(way, url.parse().expect("a fleet's own URL")).also_write(asking);
            config.ca_pem = ca.map(str::to_owned);
            FaultProxy::start(config).expect("a free port of this machine")
        });
        proxy.url()
    }

    fn all(&self) -> Vec<(String, FaultProxy)> {
        let proxies = self.proxies.lock().unwrap_or_else(PoisonError::into_inner);
        proxies.iter().map(|(way, proxy)| (way.clone(), proxy.clone())).collect()
    }

    /// Forgets rules and journals: a new phase begins.
    pub fn reset(&self) {
        for (_, proxy) in self.all() {
            proxy.reset();
        }
    }

    /// From now on writes are told apart by these chutes, and by the deployments of the fleet's ledger.
    pub fn know(&self, fleet: &Fleet, chutes: Vec<String>) {
        let mut known = self.owners.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { database: fleet.facts.database_url.clone(), chutes, deployments: HashMap::new() };
    }

    /// Every write since the last reset; with several chutes known, as many of each kind as the busiest of them took.
    #[must_use]
    pub fn writes(&self) -> Vec<Point> {
        let mut most: BTreeMap<(String, String, bool), u64> = BTreeMap::new();
        for (way, proxy) in self.all() {
            let mut counts: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
            for seen in proxy.seen_of(&Matcher::writes()) {
                *counts.entry((what(&seen), self.owners.of(&seen))).or_default() += 1;
            }
            for ((what, owner), count) in counts {
                let all = most.entry((way.clone(), what, owner.is_some())).or_default();
                *all = (*all).max(count);
            }
        }
        let points = most
            .into_iter()
            .flat_map(|((way, what, owned), count)| (1..=count).map(move |nth| Point { way: way.clone(), what: what.clone(), owned, nth }));
        points.collect()
    }

    /// Deals a blow at a point of the life of a chute (of anything, where the point has no owner), once.
    ///
    /// # Errors
    /// When nobody goes that way.
    pub fn plan(&self, point: &Point, blow: Blow, chute: Option<&str>) -> Result<RuleHandle> {
        let Some((_, proxy)) = self.all().into_iter().find(|(way, _)| *way == point.way) else { bail!("no such way: {}", point.way) };
        let (kind, owners) = (point.what.clone(), Arc::clone(&self.owners));
        let owner = chute.filter(|_| point.owned).map(str::to_owned);
        let any_owner = chute.is_none();
        let hit =
            Matcher::writes().and(&point.what, move |seen| what(seen) == kind && (any_owner || owners.of(seen) == owner)).nth(point.nth);
        Ok(proxy.plan(Rule::once(hit, blow.action(&point.way))))
    }

    /// All writes since the last reset and what became of them, for the message of a test that fails.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.all().into_iter().map(|(_, proxy)| proxy.transcript(&Matcher::writes())).collect()
    }
}

/// Which chute's life a write belongs to.
#[derive(Default)]
struct Owners(Mutex<Known>);

#[derive(Default)]
struct Known {
    database: String,
    chutes: Vec<String>,
    deployments: HashMap<String, Option<String>>,
}

impl Owners {
    fn of(&self, seen: &Seen) -> Option<String> {
        let name = seen.resource.as_ref().and_then(|resource| resource.name.clone()).unwrap_or_default();
        let text = format!("{} {} {name}", seen.path, seen.query);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chute) = known.chutes.iter().find(|chute| text.contains(chute.as_str())) {
            return Some(chute.clone());
        }
        let id = uuid_in(&text)?;
        let database = known.database.clone();
        // The row is written before anything that bears its name.
        known.deployments.entry(id.to_owned()).or_insert_with(|| chute_of(&database, id).ok().flatten()).clone()
    }
}

fn chute_of(database: &str, deployment: &str) -> Result<Option<String>> {
    let query = format!("select chute_id from deployments where id = '{deployment}'");
    let output = Command::new("psql").args([database, "-XAtc", &query]).output().context("running psql")?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().map(str::to_owned))
}

fn uuid_in(text: &str) -> Option<&str> {
    let is_uuid = |part: &str| {
        part.bytes().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
    };
    (0..text.len().saturating_sub(35)).filter_map(|at| text.get(at..at + 36)).find(|part| is_uuid(part))
}

/// A write's kind: its method and path without the names of single things; a commit's tables.
pub(crate) fn what(seen: &Seen) -> String {
    if seen.method.as_str() == "COMMIT" {
        return format!("{} {}", seen.method, seen.path.trim_start_matches('/'));
    }
    let Some(resource) = &seen.resource else {
        let named = |part: &&str| uuid_in(part).is_none() && part.len() < 32;
        let parts: Vec<&str> = seen.path.split('/').map(|part| if named(&part) { part } else { "*" }).collect();
        return format!("{} {}", seen.method, parts.join("/"));
    };
    let mut text = format!("{} {}", seen.method, resource.resource);
    if let Some(subresource) = &resource.subresource {
        text = format!("{text}/{subresource}");
    }
    // Roles of one server lie in two namespaces.
    match resource.namespace.as_deref() {
        Some(FLEET_NAMESPACE) | None => text,
        Some(_) => format!("{text} (node's)"),
    }
}

impl Fleet {
    /// Launch configs that are not accounted for: known to the validator and not to the ledger beyond those whose answer the ledger
    /// says was lost, settled otherwise than the validator knows, or not settled at all. Empty when all are.
    ///
    /// # Errors
    /// When one of the two cannot be asked.
    pub fn unaccounted(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let rows = self.sql("select coalesce(config_id, '-') || ' ' || state from launch_attempts order by id")?;
        let mut ours: BTreeMap<&str, &str> = BTreeMap::new();
        let mut lost = 0_usize;
        for (config, state) in rows.iter().filter_map(|row| row.split_once(' ')) {
            if matches!(state, "asked" | "received") {
                wrong.push(format!("launch config {config} is still {state}"));
            }
            match (config, state) {
                ("-", "abandoned") => lost += 1,
                ("-", _) => {}
                _ => drop(ours.insert(config, state)),
            }
        }
        let granted = self.validator()?.snapshot()?.launches;
        let mut unknown = 0;
        for launch in &granted {
            match (ours.get(launch.config_id.as_str()), launch.claimed_at.is_some()) {
                (None, true) => wrong.push(format!("launch config {} was claimed, and the ledger does not know it", launch.config_id)),
                (None, false) => unknown += 1,
                (Some(&"claimed"), true) | (Some(&"expired" | &"abandoned"), false) => {}
                (Some(state), claimed) => {
                    wrong.push(format!("launch config {} is {state} in the ledger; claimed at the validator: {claimed}", launch.config_id));
                }
            }
        }
        if unknown > lost {
            wrong.push(format!("{unknown} launch configs are not in the ledger, which says that the answers of {lost} were lost"));
        }
        wrong.extend(self.twice_claimed()?);
        Ok(wrong)
    }

    fn twice_claimed(&self) -> Result<Vec<String>> {
        let claims = self.validator()?.counters()?.claims_by_deployment;
        Ok(claims.into_iter().filter(|(_, count)| *count > 1).map(|(id, count)| format!("deployment {id} claimed {count} times")).collect())
    }
}
