//! The slot: one small number that a lab holds, from which all it uses on the
//! machine outside its folder derives.
//!
//! Ports, addresses, interface, namespace and cgroup names are functions of the
//! slot, so two labs cannot collide unless they hold the same one, and `down`
//! knows every name even when `up` died before writing any down. A slot is
//! held by a file that points to the lab's folder; it is free again as soon as
//! that folder has no state file naming it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At, Error, Result};
use crate::state::State;

/// How many labs one machine can hold.
const SLOTS: u8 = 64;
const FIRST_PORT: u16 = 16400;
const PORTS_PER_SLOT: u16 = 8;

/// A number below 64 that belongs to one lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Slot(u8);

impl Slot {
    /// All slots there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// The name of the network namespace, the cgroup and the CNI network.
    pub(crate) fn name(self) -> String {
        format!("kubelab-{}", self.0)
    }

    /// The machine's end of the pair of interfaces.
    pub(crate) fn host_link(self) -> String {
        format!("klab{}h", self.0)
    }

    /// The node's end.
    pub(crate) fn node_link(self) -> String {
        format!("klab{}n", self.0)
    }

    /// The machine's address towards the node, out of the range reserved for
    /// benchmarks (RFC 2544), which no real network uses.
    pub(crate) fn host_ip(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, self.0 * 4 + 1)
    }

    /// The node's address.
    pub(crate) fn node_ip(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, self.0 * 4 + 2)
    }

    /// The network of pods.
    pub(crate) fn pod_cidr(self) -> String {
        format!("10.{}.0.0/16", 128 + self.0)
    }

    /// The network of Services.
    pub(crate) fn service_cidr(self) -> String {
        format!("10.{}.0.0/16", 192 + u16::from(self.0))
    }

    /// The address of the Service `kubernetes`, always the first of its network.
    pub(crate) fn kubernetes_ip(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 192 + self.0, 0, 1)
    }

    fn port(self, index: u16) -> u16 {
        FIRST_PORT + u16::from(self.0) * PORTS_PER_SLOT + index
    }

    /// The API server's port.
    pub(crate) fn api_port(self) -> u16 {
        self.port(0)
    }

    /// etcd's port for clients.
    pub(crate) fn etcd_port(self) -> u16 {
        self.port(1)
    }

    /// etcd's port for peers, which it never has.
    pub(crate) fn etcd_peer_port(self) -> u16 {
        self.port(2)
    }

    /// The image registry's port.
    pub(crate) fn registry_port(self) -> u16 {
        self.port(3)
    }

    fn claim_file(self) -> PathBuf {
        claims().join(self.0.to_string())
    }

    /// The folder of the lab that holds this slot, if one does.
    pub(crate) fn holder(self) -> Option<PathBuf> {
        let dir = PathBuf::from(fs::read_to_string(self.claim_file()).ok()?);
        State::load(&dir).ok().filter(|state| state.slot == self).map(|_| dir)
    }

    /// Whether `dir` holds this slot.
    pub(crate) fn held_by(self, dir: &Path) -> bool {
        self.holder().is_some_and(|holder| holder == dir)
    }

    /// Whether anything on the machine already uses what the slot stands for:
    /// leftovers of a lab whose folder was removed by hand, or a stranger.
    fn in_use(self) -> bool {
        Path::new("/run/netns").join(self.name()).exists()
            || Path::new("/sys/class/net").join(self.host_link()).exists()
            || (0..PORTS_PER_SLOT).any(|index| TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port(index))).is_err())
    }

    /// Takes the first free slot. `record` writes the state file that makes the
    /// claim valid, before the claim itself exists.
    pub(crate) fn claim(dir: &Path, record: impl FnOnce(Self) -> Result<()>) -> Result<Self> {
        let _lock = lock()?;
        let slot = Self::all()
            .find(|slot| slot.holder().is_none() && !slot.in_use())
            .ok_or_else(|| Error::Unavailable(format!("all {SLOTS} lab slots are taken")))?;
        record(slot)?;
        let claim = slot.claim_file();
        fs::write(&claim, dir.as_os_str().as_encoded_bytes()).at("write", claim)?;
        Ok(slot)
    }

    /// Gives the slot back if `dir` holds it.
    pub(crate) fn release(self, dir: &Path) -> Result<()> {
        let _lock = lock()?;
        if self.held_by(dir) {
            let claim = self.claim_file();
            fs::remove_file(&claim).at("remove", claim)?;
        }
        Ok(())
    }
}

/// Serialises what touches the whole machine. Released when dropped or when
/// the process ends.
pub(crate) fn lock() -> Result<File> {
    let folder = claims();
    fs::create_dir_all(&folder).at("create", &folder)?;
    let path = folder.join("lock");
    let file = File::create(&path).at("open", &path)?;
    file.lock().at("lock", &path)?;
    Ok(file)
}

fn claims() -> PathBuf {
    std::env::temp_dir().join(format!("kubelab-slots-{}", rustix::process::getuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slots_share_no_port_and_no_address() {
        let mut ports = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for slot in Slot::all() {
            for index in 0..PORTS_PER_SLOT {
                assert!(ports.insert(slot.port(index)));
            }
            assert!(addresses.insert(slot.host_ip()) && addresses.insert(slot.node_ip()));
            assert!(addresses.insert(slot.kubernetes_ip()));
        }
    }
}
