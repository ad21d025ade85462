//! The plan: greedily the best pair of chute and server, again and again, until nothing fits or a limit is reached.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{ChuteId, GpuUuid, ServerName};

use crate::policy::Mode;
use crate::score::{gain_percent, score};
use crate::snapshot::{Chute, GpuState, Server, Snapshot, Stage};
use crate::stops::stops;
use crate::{Action, IdleGpu, Launch, Plan, Policy, Reason, rules};

/// Decides what to launch and what to stop, and why everything else is left as it is.
#[must_use]
pub fn plan(snapshot: &Snapshot, policy: &Policy) -> Plan {
    let mut fleet = Fleet::of(snapshot, policy);
    let stops = stops(snapshot);
    let launches = fleet.launches();
    let mut plan = fleet.explained();
    plan.actions = stops.into_iter().map(Action::Stop).chain(launches.into_iter().map(Action::Launch)).collect();
    plan
}

/// Everything by name, with the places that are taken while planning.
struct Fleet<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    servers: BTreeMap<&'a ServerName, &'a Server>,
    chutes: BTreeMap<&'a ChuteId, &'a Chute>,
    blocked_servers: BTreeMap<ServerName, Reason>,
    blocked_chutes: BTreeMap<ChuteId, Reason>,
    /// Free GPUs of servers that are not blocked, in device order.
    free: BTreeMap<&'a ServerName, Vec<&'a GpuUuid>>,
    /// Deployments of a chute that are not ending.
    copies: BTreeMap<ChuteId, u64>,
    /// Of those, the ones that are not yet paid.
    launching: BTreeMap<ChuteId, u64>,
    /// Chutes of which a copy is just being asked for.
    asking: BTreeSet<ChuteId>,
    /// How many more copies of a chute the validator takes, where that is known.
    room: BTreeMap<&'a ChuteId, u64>,
    /// Copies of a chute on a server.
    here: BTreeMap<(ChuteId, ServerName), u64>,
    /// GPUs that this plan gave away.
    taken: BTreeSet<GpuUuid>,
    in_flight: usize,
    launched: usize,
}

impl<'a> Fleet<'a> {
    fn of(snapshot: &'a Snapshot, policy: &'a Policy) -> Self {
        let everything = match policy.mode {
            Mode::Paused => Some(Reason::PolicyPaused),
            Mode::Active | Mode::Shadow => rules::may_launch(snapshot),
        };
        let mut fleet = Self {
            snapshot,
            policy,
            servers: snapshot.servers.iter().map(|server| (&server.name, server)).collect(),
            chutes: BTreeMap::new(),
            blocked_servers: BTreeMap::new(),
            blocked_chutes: BTreeMap::new(),
            free: BTreeMap::new(),
            copies: BTreeMap::new(),
            launching: BTreeMap::new(),
            asking: BTreeSet::new(),
            room: BTreeMap::new(),
            here: BTreeMap::new(),
            taken: BTreeSet::new(),
            in_flight: 0,
            launched: 0,
        };
        for chute in &snapshot.chutes {
            // Of two rows of one id the one on offer counts, then the greater version: any order gives the same.
            let better = |old: &&Chute| (chute.withdrawn, &old.version) < (old.withdrawn, &chute.version);
            if fleet.chutes.get(&chute.id).is_none_or(better) {
                fleet.chutes.insert(&chute.id, chute);
            }
        }
        for (id, chute) in &fleet.chutes {
            fleet.room.extend(rules::room(chute, snapshot).map(|room| (*id, room)));
            if let Some(reason) = rules::chute(chute, policy) {
                fleet.blocked_chutes.insert((*id).clone(), reason);
            }
        }
        // A GPU that two servers report belongs to neither until somebody looked.
        let mut seen: BTreeMap<&GpuUuid, usize> = BTreeMap::new();
        for gpu in fleet.servers.values().flat_map(|server| &server.gpus) {
            *seen.entry(&gpu.uuid).or_default() += 1;
        }
        let held: BTreeSet<&GpuUuid> = snapshot.deployments.iter().flat_map(|deployment| &deployment.gpus).collect();
        for (name, server) in &fleet.servers {
            if let Some(reason) = everything.or_else(|| rules::server(server)) {
                fleet.blocked_servers.insert((*name).clone(), reason);
                continue;
            }
            let free = server.gpus.iter().filter(|gpu| gpu.state == GpuState::Free).map(|gpu| &gpu.uuid);
            fleet.free.insert(name, free.filter(|uuid| !held.contains(uuid) && seen.get(uuid) == Some(&1)).collect());
        }
        for deployment in snapshot.deployments.iter().filter(|deployment| deployment.stage != Stage::Ending) {
            fleet.note(&deployment.chute, &deployment.server, deployment.stage);
        }
        fleet
    }

    fn note(&mut self, chute: &ChuteId, server: &ServerName, stage: Stage) {
        *self.copies.entry(chute.clone()).or_default() += 1;
        *self.here.entry((chute.clone(), server.clone())).or_default() += 1;
        if stage == Stage::Asking {
            self.asking.insert(chute.clone());
        }
        if stage != Stage::Active {
            *self.launching.entry(chute.clone()).or_default() += 1;
            self.in_flight += 1;
        }
    }

    /// What objects to this pair for good.
    fn objection(&self, chute: &Chute, server: &Server) -> Option<Reason> {
        rules::tee(chute, server)
            .or_else(|| rules::model(chute, server))
            .or_else(|| rules::below_min_gain(chute, server, &self.policy.limits))
            .or_else(|| rules::backoff(chute, server, self.snapshot, &self.policy.limits))
    }

    /// What objects to this pair as things stand. The allowance, which changes every minute, comes last: what it says is told only
    /// where nothing else stands in the way, so that no status follows its changes.
    fn obstacle(&self, chute: &Chute, server: &Server) -> Option<Reason> {
        let free = self.free.get(&server.name).map_or(0, Vec::len);
        if free < usize::from(chute.gpu_count) {
            return Some(Reason::TooFewFreeGpus);
        }
        self.limit(&chute.id).or_else(|| match self.room.get(&chute.id) {
            Some(0) => Some(Reason::AtTarget),
            Some(_) => None,
            None => self.asking.contains(&chute.id).then_some(Reason::Asking),
        })
    }

    fn limit(&self, chute: &ChuteId) -> Option<Reason> {
        let limits = &self.policy.limits;
        let copies = self.copies.get(chute).copied().unwrap_or(0);
        let reached = self.launched >= limits.launches_per_plan()
            || self.in_flight >= limits.launches_in_flight()
            || limits.deployments_per_chute.is_some_and(|most| copies >= u64::from(most));
        reached.then_some(Reason::LimitReached)
    }

    fn launches(&mut self) -> Vec<Launch> {
        let mut pairs: Vec<(&'a Chute, &'a Server)> = Vec::new();
        for chute in self.chutes.values().filter(|chute| !self.blocked_chutes.contains_key(&chute.id)) {
            for (name, free) in &self.free {
                let server = self.servers[name];
                if !free.is_empty() && self.objection(chute, server).is_none() {
                    pairs.push((chute, server));
                }
            }
        }
        let mut launches = Vec::new();
        while let Some((chute, server)) = self.best(&pairs) {
            launches.push(self.take(chute, server));
        }
        launches
    }

    /// The pair of the greatest score; among equals the fewest copies there, the tightest fit, then by name.
    fn best(&self, pairs: &[(&'a Chute, &'a Server)]) -> Option<(&'a Chute, &'a Server)> {
        let open = pairs.iter().filter(|(chute, server)| self.obstacle(chute, server).is_none());
        open.min_by_key(|(chute, server)| {
            let launching = self.launching.get(&chute.id).copied().unwrap_or(0);
            let here = self.here.get(&(chute.id.clone(), server.name.clone())).copied().unwrap_or(0);
            let free = self.free.get(&server.name).map_or(0, Vec::len);
            (std::cmp::Reverse(score(chute, server, launching)), here, free, &chute.id, &server.name)
        })
        .copied()
    }

    fn take(&mut self, chute: &'a Chute, server: &'a Server) -> Launch {
        let free = self.free.get_mut(&server.name).expect("a pair is only made of servers with free GPUs");
        let gpus: Vec<GpuUuid> = free.drain(..usize::from(chute.gpu_count)).cloned().collect();
        self.note(&chute.id, &server.name, Stage::Asking);
        self.launched += 1;
        self.room.entry(&chute.id).and_modify(|room| *room = room.saturating_sub(1));
        self.taken.extend(gpus.iter().cloned());
        // The moment tells this launch from an earlier one of the same chute on the same GPUs.
        let moment = self.snapshot.now.as_millisecond();
        let action_key = format!("launch/{}/{}/{}/{}/{moment}", chute.id, chute.version, server.name, gpus[0]);
        let why = format!("{} % of its cost is expected", gain_percent(chute, server));
        Launch { chute: chute.id.clone(), version: chute.version.clone(), server: server.name.clone(), gpus, action_key, why }
    }

    /// Reasons for all that is left.
    fn explained(self) -> Plan {
        let mut plan = Plan::default();
        for chute in self.chutes.values().filter(|chute| !self.blocked_chutes.contains_key(&chute.id)) {
            let reasons = self.free.keys().map(|name| {
                let server = self.servers[name];
                let reason = self.objection(chute, server).or_else(|| self.obstacle(chute, server)).unwrap_or(Reason::Outbid);
                ((*name).clone(), reason)
            });
            plan.rejected.insert(chute.id.clone(), reasons.collect());
        }
        let mut nearest: BTreeMap<&ServerName, Reason> = BTreeMap::new();
        for (server, reason) in plan.rejected.values().flatten() {
            let known = nearest.entry(server).or_insert(*reason);
            *known = (*known).max(*reason);
        }
        for (name, server) in &self.servers {
            let still_free: BTreeSet<&GpuUuid> = self.free.get(name).into_iter().flatten().copied().collect();
            for gpu in server.gpus.iter().filter(|gpu| gpu.state != GpuState::Claimed) {
                let unusable = rules::gpu(gpu.state).or_else(|| self.blocked_servers.get(*name).copied());
                let reason = match unusable {
                    Some(reason) => reason,
                    None if still_free.contains(&gpu.uuid) => near(nearest.get(name).copied()),
                    None if self.taken.contains(&gpu.uuid) => continue,
                    // In two places at once, or held by a deployment that does not own up to it.
                    None => Reason::GpuOccupied,
                };
                plan.idle.push(IdleGpu { gpu: gpu.uuid.clone(), server: (*name).clone(), reason });
            }
        }
        plan.blocked_servers = self.blocked_servers;
        plan.blocked_chutes = self.blocked_chutes;
        plan
    }
}

/// "Does not run on this model" and the like say little about a GPU: then simply nothing fits.
fn near(reason: Option<Reason>) -> Reason {
    reason.filter(|reason| *reason >= Reason::TooFewFreeGpus).unwrap_or(Reason::NoChuteFits)
}
