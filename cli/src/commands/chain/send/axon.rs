//! `chain serve-axon`: where a neuron can be reached.

use super::{
    Act, Call, Role, Sending,
    session::{Session, session},
};
use crate::failure::{Failure, Kind};
use chain::submit::Axon;
use clap::Args as ClapArgs;
use serde_json::json;
use std::net::IpAddr;

/// Announce where a neuron can be reached, signed by its hotkey.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Example:\n  chutes-miner chain serve-axon 2 --ip 203.0.113.7 --port 8091 --dry-run\n\n\
        A chutes miner (subnet 64) announces none: whoever can read the chain could\nflood it."
)]
pub(in crate::commands::chain) struct ServeAxon {
    /// The subnet
    netuid: u16,
    /// The address others reach it at
    #[arg(long)]
    ip: IpAddr,
    /// The port
    #[arg(long)]
    port: u16,
    /// Version of the miner's program, as its subnet counts
    #[arg(long, value_name = "N", default_value_t = 0)]
    axon_version: u32,
    #[command(flatten)]
    sending: Sending,
}

pub(in crate::commands::chain) async fn run(args: ServeAxon) -> Result<(), Failure> {
    let (netuid, ip, port, version) = (args.netuid, args.ip, args.port, args.axon_version);
    let axon = Axon::new(ip, port, version).map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    session(&args.sending, Role::Hotkey, async |session: &mut Session| {
        let act = Act {
            call: Call::ServeAxon { netuid, axon },
            arguments: vec![
                ("netuid", netuid.to_string(), json!(netuid)),
                ("ip", ip.to_string(), json!(ip)),
                ("port", port.to_string(), json!(port)),
                ("version", version.to_string(), json!(version)),
            ],
            balance: None,
            hidden: None,
        };
        session.plan(&act).await?;
        session.carry_out(&act, async || Ok(())).await.map(drop)
    })
    .await
}
