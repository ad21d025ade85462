//! The types of runtimes that answered with bytes in bytes, up to about version 219.
//!
//! Their metadata says `Vec<u8>` and not what is in it. Those runtimes are history and cannot change any more, so their types are
//! written down here once; the decoding goes by field name as everywhere, and bytes left over are an error.

use std::sync::LazyLock;

use parity_scale_codec::{Compact, Decode as _};
use scale_info::{MetaType, PortableRegistry, Registry, TypeDef, TypeInfo};

use super::scale::{FromScale, ScaleError, decode};

/// Named as in the runtimes, so that it is known for a key.
#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
struct AccountId32([u8; 32]);

macro_rules! described {
    ($($name:ident { $($field:ident: $ty:ty),* $(,)? })*) => { $(
        #[derive(TypeInfo)]
        #[allow(dead_code, reason = "only described, never made")]
        struct $name { $($field: $ty),* }
    )* };
}

described! {
    Axon {
        block: u64, version: u32, ip: u128, port: u16, ip_type: u8, protocol: u8, placeholder1: u8, placeholder2: u8,
    }
    Prometheus { block: u64, version: u32, ip: u128, port: u16, ip_type: u8 }
    Neuron {
        hotkey: AccountId32, coldkey: AccountId32, uid: Compact<u16>, netuid: Compact<u16>, active: bool, axon_info: Axon, prometheus_info: Prometheus,
        stake: Vec<(AccountId32, Compact<u64>)>, rank: Compact<u16>, emission: Compact<u64>, incentive: Compact<u16>, consensus: Compact<u16>,
        trust: Compact<u16>, validator_trust: Compact<u16>, dividends: Compact<u16>, last_update: Compact<u64>, validator_permit: bool,
        weights: Vec<(Compact<u16>, Compact<u16>)>, bonds: Vec<(Compact<u16>, Compact<u16>)>, pruning_score: Compact<u16>,
    }
    NeuronLite {
        hotkey: AccountId32, coldkey: AccountId32, uid: Compact<u16>, netuid: Compact<u16>, active: bool, axon_info: Axon, prometheus_info: Prometheus,
        stake: Vec<(AccountId32, Compact<u64>)>, rank: Compact<u16>, emission: Compact<u64>, incentive: Compact<u16>, consensus: Compact<u16>,
        trust: Compact<u16>, validator_trust: Compact<u16>, dividends: Compact<u16>, last_update: Compact<u64>, validator_permit: bool,
        pruning_score: Compact<u16>,
    }
    Hyperparameters {
        rho: Compact<u16>, kappa: Compact<u16>, immunity_period: Compact<u16>, min_allowed_weights: Compact<u16>,
        max_weights_limit: Compact<u16>, tempo: Compact<u16>, min_difficulty: Compact<u64>, max_difficulty: Compact<u64>,
        weights_version: Compact<u64>, weights_rate_limit: Compact<u64>, adjustment_interval: Compact<u16>, activity_cutoff: Compact<u16>,
        registration_allowed: bool, target_regs_per_interval: Compact<u16>, min_burn: Compact<u64>, max_burn: Compact<u64>,
        bonds_moving_avg: Compact<u64>, max_regs_per_block: Compact<u16>, serving_rate_limit: Compact<u64>, max_validators: Compact<u16>,
        adjustment_alpha: Compact<u64>, difficulty: Compact<u64>, commit_reveal_period: Compact<u64>, commit_reveal_weights_enabled: bool,
        alpha_high: Compact<u16>, alpha_low: Compact<u16>, liquid_alpha_enabled: bool,
    }
    Subnet {
        netuid: Compact<u16>, rho: Compact<u16>, kappa: Compact<u16>, difficulty: Compact<u64>, immunity_period: Compact<u16>,
        max_allowed_validators: Compact<u16>, min_allowed_weights: Compact<u16>, max_weights_limit: Compact<u16>,
        scaling_law_power: Compact<u16>, subnetwork_n: Compact<u16>, max_allowed_uids: Compact<u16>, blocks_since_last_step: Compact<u64>,
        tempo: Compact<u16>, network_modality: Compact<u16>, network_connect: Vec<[u16; 2]>, emission_values: Compact<u64>,
        burn: Compact<u64>, owner: AccountId32,
    }
    NamedSubnet {
        netuid: Compact<u16>, rho: Compact<u16>, kappa: Compact<u16>, difficulty: Compact<u64>, immunity_period: Compact<u16>,
        max_allowed_validators: Compact<u16>, min_allowed_weights: Compact<u16>, max_weights_limit: Compact<u16>,
        scaling_law_power: Compact<u16>, subnetwork_n: Compact<u16>, max_allowed_uids: Compact<u16>, blocks_since_last_step: Compact<u64>,
        tempo: Compact<u16>, network_modality: Compact<u16>, network_connect: Vec<[u16; 2]>, emission_values: Compact<u64>,
        burn: Compact<u64>, owner: AccountId32, identity: Option<Identity>,
    }
    Identity { subnet_name: Vec<u8>, github_repo: Vec<u8>, subnet_contact: Vec<u8> }
    Delegate {
        delegate_ss58: AccountId32, take: Compact<u16>, nominators: Vec<(AccountId32, Compact<u64>)>, owner_ss58: AccountId32, registrations: Vec<Compact<u16>>,
        validator_permits: Vec<Compact<u16>>, return_per_1000: Compact<u64>, total_daily_return: Compact<u64>,
    }
}

/// What was answered with bytes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Legacy {
    NeuronsLite,
    Neurons,
    NeuronLite,
    Neuron,
    Hyperparameters,
    Delegate,
    Subnet,
    Subnets,
    NamedSubnet,
}

struct Types {
    registry: PortableRegistry,
    ids: [u32; 9],
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut registry = Registry::new();
    let ids = [
        MetaType::new::<Vec<NeuronLite>>(),
        MetaType::new::<Vec<Neuron>>(),
        MetaType::new::<Option<NeuronLite>>(),
        MetaType::new::<Option<Neuron>>(),
        MetaType::new::<Option<Hyperparameters>>(),
        MetaType::new::<Option<Delegate>>(),
        MetaType::new::<Option<Subnet>>(),
        MetaType::new::<Vec<Option<Subnet>>>(),
        MetaType::new::<Option<NamedSubnet>>(),
    ]
    .map(|ty| registry.register_type(&ty).id);
    Types { registry: registry.into(), ids }
});

impl Legacy {
    /// By the name of a runtime call's method.
    pub(super) fn of(method: &str) -> Option<Self> {
        Some(match method {
            "get_neurons_lite" => Self::NeuronsLite,
            "get_neurons" => Self::Neurons,
            "get_neuron_lite" => Self::NeuronLite,
            "get_neuron" => Self::Neuron,
            "get_subnet_hyperparams" => Self::Hyperparameters,
            "get_delegate" => Self::Delegate,
            "get_subnet_info" => Self::Subnet,
            "get_subnet_info_v2" => Self::NamedSubnet,
            // Of version 2 by its name only: those runtimes gave the list without identities.
            "get_subnets_info" | "get_subnets_info_v2" => Self::Subnets,
            _ => return None,
        })
    }

    /// By the name of an older JSON-RPC method.
    pub(super) fn of_rpc(method: &str) -> Option<Self> {
        Some(match method {
            "neuronInfo_getNeuronsLite" => Self::NeuronsLite,
            "neuronInfo_getNeurons" => Self::Neurons,
            "neuronInfo_getNeuronLite" => Self::NeuronLite,
            "neuronInfo_getNeuron" => Self::Neuron,
            "subnetInfo_getSubnetHyperparams" => Self::Hyperparameters,
            "delegateInfo_getDelegate" => Self::Delegate,
            _ => return None,
        })
    }

    /// Unwraps the outer bytes, then decodes.
    pub(super) fn answer<T: FromScale>(self, what: &str, bytes: &[u8]) -> Result<T, ScaleError> {
        let mut rest = bytes;
        let inner = Vec::<u8>::decode(&mut rest).map_err(|error| ScaleError::Mismatch { what: what.to_owned(), why: error.to_string() })?;
        if !rest.is_empty() {
            return Err(ScaleError::LeftOver { what: what.to_owned(), left: rest.len() });
        }
        bare(self, what, &inner)
    }
}

/// Decodes bare bytes. There was no `Option` around a single thing: no bytes meant nothing.
pub(super) fn bare<T: FromScale>(legacy: Legacy, what: &str, bytes: &[u8]) -> Result<T, ScaleError> {
    let ty = TYPES.ids[legacy as usize];
    let optional = matches!(TYPES.registry.resolve(ty).map(|ty| &ty.type_def), Some(TypeDef::Variant(_)));
    if !optional {
        return decode(what, bytes, ty, &TYPES.registry);
    }
    let mut option = vec![u8::from(!bytes.is_empty())];
    option.extend_from_slice(bytes);
    decode(what, &option, ty, &TYPES.registry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::SubnetInfo;

    /// Subnet 7, whose other numbers count from 1 on.
    fn subnet(identity: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7 << 2];
        bytes.extend((1..14).map(|n: u8| n << 2));
        // No `network_connect`, emission 14, burn 15, the owner.
        bytes.extend([0, 14 << 2, 15 << 2]);
        bytes.extend([9; 32]);
        bytes.extend(identity);
        bytes
    }

    fn wrapped(bytes: &[u8]) -> Vec<u8> {
        parity_scale_codec::Encode::encode(&bytes.to_vec())
    }

    #[test]
    fn subnets_of_old_runtimes_are_read() {
        let one = |method: &str, bytes: &[u8]| Legacy::of(method).unwrap().answer::<Option<SubnetInfo>>(method, &wrapped(bytes));
        let named = one("get_subnet_info_v2", &subnet(&[1, 4, b'A', 0, 4, b'c'])).unwrap().unwrap();
        assert_eq!((named.netuid, named.difficulty, named.subnetwork_n, named.burn), (7, 3, 9, 15));
        assert_eq!(named.identity.map(|identity| identity.subnet_name.0), Some("A".to_owned()));
        let plain = one("get_subnet_info", &subnet(&[])).unwrap().unwrap();
        assert_eq!((plain.tempo, plain.max_allowed_uids, &plain.identity), (12, 10, &None));
        assert_eq!(one("get_subnet_info_v2", &[]), Ok(None), "nothing for a subnet that is not there");
        assert!(matches!(one("get_subnet_info", &subnet(&[0])), Err(ScaleError::LeftOver { left: 1, .. })));
        let list = [&[8, 0, 1], subnet(&[]).as_slice()].concat();
        for method in ["get_subnets_info", "get_subnets_info_v2"] {
            let all: Vec<Option<SubnetInfo>> = Legacy::of(method).unwrap().answer(method, &wrapped(&list)).unwrap();
            assert_eq!(all, [None, Some(plain.clone())]);
        }
    }
}
