//! The real node's network: a namespace, and a pair of interfaces that joins it
//! to the machine.
//!
//! The node's bridge, address translation and NodePorts live inside that
//! namespace and vanish with it; the machine itself gets one interface with one
//! address and no packet filter rule.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::process::{MARKER, run, search_path};
use crate::slot::{self, Slot};

/// Makes namespace, interfaces, addresses and routes.
pub(crate) fn create(dir: &Path, slot: Slot) -> Result<()> {
    // Marked as the lab's: `down` must not overtake one of these left running
    // by an `up` that was killed.
    let ip = |args: &[&str]| run(command("ip").env(MARKER, dir).args(args));
    // The first `ip netns add` of a machine mounts a folder; two at once clash.
    let _lock = slot::lock()?;
    let (name, host, node) = (slot.name(), slot.host_link(), slot.node_link());
    let (host_ip, node_ip) = (slot.host_ip().to_string(), slot.node_ip().to_string());
    ip(&["netns", "add", &name])?;
    ip(&["link", "add", &host, "type", "veth", "peer", "name", &node, "netns", &name])?;
    ip(&["address", "add", &format!("{host_ip}/30"), "dev", &host])?;
    ip(&["link", "set", &host, "up"])?;
    ip(&["-n", &name, "link", "set", "lo", "up"])?;
    ip(&["-n", &name, "address", "add", &format!("{node_ip}/30"), "dev", &node])?;
    ip(&["-n", &name, "link", "set", &node, "up"])?;
    ip(&["-n", &name, "route", "add", "default", "via", &host_ip])?;
    // Bridged packets must pass the packet filter too, or a pod cannot reach a
    // Service whose endpoint is on the same bridge. The setting exists only
    // where the kernel has bridge filtering loaded.
    let settings = "echo 1 > /proc/sys/net/ipv4/ip_forward
        echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables || true";
    // Not `ip netns exec`: it remounts /sys and hides the control groups.
    let netns = format!("--net=/run/netns/{name}");
    run(command("nsenter").env(MARKER, dir).arg(netns).args(["sh", "-c", settings]))?;
    Ok(())
}

/// Removes what [`create`] made, as far as it is there; says what remains.
pub(crate) fn destroy(slot: Slot) -> Option<String> {
    let (name, host) = (slot.name(), slot.host_link());
    let namespace = Path::new("/run/netns").join(&name);
    let link = Path::new("/sys/class/net").join(&host);
    // The machine's end outlives its namespace for a moment, so it goes first.
    if link.exists() {
        let _ = run(command("ip").args(["link", "delete", &host]));
    }
    if namespace.exists() {
        let _ = run(command("ip").args(["netns", "delete", &name]));
    }
    (namespace.exists() || link.exists()).then(|| format!("network namespace {name}"))
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}
