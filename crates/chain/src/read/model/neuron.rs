//! One UID of a subnet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::read::AccountId;
use crate::read::scale::record;

record! {
    /// Where a hotkey says that it can be reached.
    #[derive(Default, serde::Deserialize)]
    pub struct AxonInfo {
        /// When it was announced.
        pub block: u64,
        /// Version of the software that announced it.
        pub version: u32,
        /// The address as a number, 0 when nothing is announced.
        #[serde(with = "super::wide")]
        pub ip: u128,
        /// Port.
        pub port: u16,
        /// 4 or 6.
        pub ip_type: u8,
        /// Transport protocol by the announcer's own count.
        pub protocol: u8 = 0,
    }
}

impl AxonInfo {
    /// Whether an address is announced. A chutes miner must not announce any.
    pub fn is_serving(&self) -> bool {
        self.ip != 0
    }

    /// The announced address; `None` when there is none, or when it is no IPv4 address although it says so.
    pub fn address(&self) -> Option<IpAddr> {
        match (self.ip, self.ip_type) {
            (0, _) => None,
            (ip, 6) => Some(IpAddr::V6(Ipv6Addr::from(ip))),
            (ip, _) => u32::try_from(ip).ok().map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
        }
    }

    /// The announced address with its port, such as `192.168.1.1:8091` or `[2001:db8::1]:8091`; `None` as [`AxonInfo::address`].
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.address().map(|address| SocketAddr::new(address, self.port))
    }
}

record! {
    /// Where a hotkey says that its metrics are.
    #[derive(Default, serde::Deserialize)]
    pub struct PrometheusInfo {
        /// When it was announced.
        pub block: u64,
        /// Version of the software that announced it.
        pub version: u32,
        /// The address as a number, 0 when nothing is announced.
        #[serde(with = "super::wide")]
        pub ip: u128,
        /// Port.
        pub port: u16,
        /// 4 or 6.
        pub ip_type: u8,
    }
}

record! {
    /// A neuron: one UID of a subnet with the keys on it and how it is scored.
    pub struct Neuron {
        /// The hotkey on the UID.
        pub hotkey: AccountId,
        /// Who owns the hotkey.
        pub coldkey: AccountId,
        /// Its number in the subnet, reused after it is pruned.
        pub uid: u16,
        /// The subnet.
        pub netuid: u16,
        /// Whether it set weights lately (validators).
        pub active: bool,
        /// Where it serves.
        pub axon_info: AxonInfo,
        /// Where its metrics are.
        pub prometheus_info: PrometheusInfo = PrometheusInfo::default(),
        /// Who staked on it, and how much.
        pub stake: Vec<(AccountId, u64)>,
        /// No measurement: the runtime no longer computes it, and nearly all are 0.
        pub rank: u16 = 0,
        /// Alpha, in 10^-9, for each epoch (not each block).
        pub emission: u64,
        /// Share of the miners' reward, of 65,535.
        pub incentive: u16,
        /// Of 65,535.
        pub consensus: u16,
        /// No measurement: the runtime no longer computes it, and nearly all are 0.
        pub trust: u16 = 0,
        /// Of 65,535.
        pub validator_trust: u16,
        /// Share of the validators' reward, of 65,535.
        pub dividends: u16,
        /// Block of its last weights, or of its registration.
        pub last_update: u64,
        /// Whether it may validate.
        pub validator_permit: bool,
        /// The weights that it sets: UID and weight. Empty in the lite answer.
        pub weights: Vec<(u16, u16)> = Vec::new(),
        /// Its bonds: UID and bond. Empty in the lite answer.
        pub bonds: Vec<(u16, u16)> = Vec::new(),
        /// Of 65,535; not what decides who is pruned.
        pub pruning_score: u16 = 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_text_with_its_port() {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).to_bits();
        for (ip, ip_type, text) in
            [(0xc0a8_0101, 4, Some("192.168.1.1:8091")), (ip, 6, Some("[2001:db8::1]:8091")), (ip, 4, None), (0, 4, None)]
        {
            let axon = AxonInfo { ip, ip_type, port: 8091, ..AxonInfo::default() };
            assert_eq!(axon.socket_address().map(|address| address.to_string()).as_deref(), text);
        }
    }

    #[test]
    fn every_address_goes_through_json_and_back() {
        for (ip, written) in [(0, "0"), (3_235_789_677, "3235789677"), (u128::MAX, "\"340282366920938463463374607431768211455\"")] {
            let axon = AxonInfo { ip, ip_type: 6, ..AxonInfo::default() };
            // A document, which has no numbers beyond 64 bits, as well as a text.
            let document = serde_json::to_value(&axon).unwrap();
            assert_eq!(document["ip"].to_string(), written);
            assert_eq!(serde_json::from_value::<AxonInfo>(document).unwrap(), axon);
            assert_eq!(serde_json::from_str::<AxonInfo>(&serde_json::to_string(&axon).unwrap()).unwrap(), axon);
        }
        for broken in ["\"-1\"", "\"340282366920938463463374607431768211456\"", "-1", "1.5", "null"] {
            let text = format!(r#"{{"block":0,"version":0,"ip":{broken},"port":0,"ip_type":4,"protocol":0}}"#);
            assert!(serde_json::from_str::<AxonInfo>(&text).is_err(), "{broken}");
        }
    }
}
