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
}

struct Types {
    registry: PortableRegistry,
    ids: [u32; 6],
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
