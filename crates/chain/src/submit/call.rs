//! What an extrinsic asks for.

use std::net::IpAddr;

use frame_decode::extrinsics::encode_call_data;
use scale_encode::{Composite, CompositeField, EncodeAsFields, EncodeAsType, Error, FieldIter, TypeResolver, Variant};

use super::mechanism::{self, Mechanism};
use super::timelock::TimelockedWeights;
use super::{SubmitError, Weights};
use crate::read::scale::ScaleError;
use crate::read::{AccountId, Runtime};

pub(super) const PALLET: &str = "SubtensorModule";
/// A registration that fails when it would cost more than a limit; runtimes since about version 400 have it.
const REGISTER_LIMIT: &str = "register_limit";

/// One act on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Registers a hotkey on a subnet, signed by its coldkey, which pays the price of the moment.
    Register {
        /// The subnet.
        netuid: u16,
        /// The key to register.
        hotkey: AccountId,
        /// The most it may cost, in rao. The chain itself holds to it where the runtime has `register_limit`; with older runtimes the price
        /// is only looked at before signing, and may have risen by the time of inclusion.
        limit_rao: u64,
    },
    /// Says where a neuron can be reached, signed by its hotkey. Mostly free; [`Prepared::fee`](super::Prepared::fee) tells.
    ServeAxon {
        /// The subnet.
        netuid: u16,
        /// The address.
        axon: Axon,
    },
    /// Sets a validator's weights, signed by its hotkey. Mostly free; [`Prepared::fee`](super::Prepared::fee) tells.
    SetWeights {
        /// The subnet.
        netuid: u16,
        /// The weights.
        weights: Weights,
    },
    /// Commits to weights that are revealed later, signed by the hotkey. See [`Weights::commitment`].
    CommitWeights {
        /// The subnet.
        netuid: u16,
        /// The commitment.
        commitment: [u8; 32],
    },
    /// Reveals weights that were committed to, signed by the hotkey.
    RevealWeights {
        /// The subnet.
        netuid: u16,
        /// The weights.
        weights: Weights,
        /// What was mixed into the commitment.
        salt: Vec<u16>,
    },
    /// Sets a validator's weights on one of a subnet's mechanisms, signed by its hotkey.
    SetMechanismWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism.
        mechanism: Mechanism,
        /// The weights.
        weights: Weights,
    },
    /// Commits to weights on one of a subnet's mechanisms, signed by the hotkey. See [`Weights::mechanism_commitment`].
    CommitMechanismWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism.
        mechanism: Mechanism,
        /// The commitment.
        commitment: [u8; 32],
    },
    /// Reveals weights that were committed to on one of a subnet's mechanisms, signed by the hotkey.
    RevealMechanismWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism.
        mechanism: Mechanism,
        /// The weights.
        weights: Weights,
        /// What was mixed into the commitment.
        salt: Vec<u16>,
    },
    /// Commits to weights that the chain itself reveals, signed by the hotkey. See [`reveal_plan`](super::reveal_plan).
    CommitTimelockedWeights {
        /// The subnet.
        netuid: u16,
        /// The mechanism, [`Mechanism::MAIN`] where the subnet has no others.
        mechanism: Mechanism,
        /// The sealed weights.
        commit: TimelockedWeights,
    },
    /// Sends TAO, signed by the coldkey that has it.
    Transfer {
        /// Who gets it.
        to: AccountId,
        /// How much, in rao.
        rao: u64,
        /// Whether to refuse what would leave the sender with less than the chain lets an account live on.
        keep_alive: bool,
    },
}

/// Where a neuron can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axon {
    ip: IpAddr,
    port: u16,
    version: u32,
}

/// Why an address cannot be announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AxonError {
    /// Nobody outside reaches it.
    #[error("{0} cannot be reached from outside; the machine's public address is wanted")]
    Unreachable(IpAddr),
    /// Port 0.
    #[error("0 is no port")]
    Port,
}

impl Axon {
    /// TCP, as the Python SDK writes it.
    const PROTOCOL: u8 = 4;

    /// An address. `version` is that of the miner's program, in whatever way its subnet counts.
    ///
    /// # Errors
    ///
    /// [`AxonError`].
    pub fn new(ip: IpAddr, port: u16, version: u32) -> Result<Self, AxonError> {
        // What is an IPv4 address in the clothes of the other kind is one.
        let ip = ip.to_canonical();
        let inside = match ip {
            IpAddr::V4(ip) => {
                let [first, second, ..] = ip.octets();
                // 0.0.0.0/8 is this network, 100.64.0.0/10 behind a provider's translation, 240.0.0.0/4 nobody's.
                let nowhere = first == 0 || first >= 240 || (first == 100 && second & 0xc0 == 64);
                nowhere || ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_multicast()
            }
            IpAddr::V6(ip) => {
                ip.is_unspecified() || ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast()
            }
        };
        match port {
            _ if inside => Err(AxonError::Unreachable(ip)),
            0 => Err(AxonError::Port),
            port => Ok(Self { ip, port, version }),
        }
    }
}

impl Call {
    /// The call's bytes: pallet, call, arguments.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Scale`] where the runtime has no such call, or one with other arguments.
    pub fn encode(&self, runtime: &Runtime) -> Result<Vec<u8>, SubmitError> {
        let (pallet, name, arguments) = self.resolve(runtime)?;
        let metadata = runtime.metadata();
        encode_call_data(pallet, name, &arguments, metadata, metadata.types()).map_err(|error| misfit(runtime, pallet, name, &error))
    }

    /// `SubtensorModule.burned_register` and the like, for people.
    pub fn name(&self, runtime: &Runtime) -> String {
        let (pallet, name, _) = self.parts(runtime);
        format!("{pallet}.{name}")
    }

    /// Whether asking twice would be to pay twice. A second registration of a hotkey fails, and all else leaves things as the first did.
    pub(super) fn pays_twice(&self) -> bool {
        matches!(self, Self::Transfer { .. })
    }

    /// Whether the chain itself refuses to take more than a registration's limit.
    pub fn chain_holds_limit(runtime: &Runtime) -> bool {
        has(runtime, PALLET, REGISTER_LIMIT)
    }

    /// Pallet, call and arguments, of the very names that the runtime has.
    pub(super) fn resolve(&self, runtime: &Runtime) -> Result<(&'static str, &'static str, Arguments), SubmitError> {
        let (pallet, name, arguments) = self.parts(runtime);
        let variant = runtime.metadata().pallet_by_name(pallet).and_then(|pallet| pallet.call_variant_by_name(name));
        let unknown =
            || SubmitError::Scale { source: ScaleError::Unknown(format!("call {pallet}.{name}")), spec_version: runtime.spec_version() };
        let fields = &variant.ok_or_else(unknown)?.fields;
        // Encoding follows descriptions as decoding does.
        safe(runtime, pallet, name, fields.iter().map(|field| field.ty.id))?;
        let mut wanted: Vec<_> = fields.iter().map(|field| field.name.as_deref().unwrap_or("")).collect();
        let mut ours: Vec<_> = arguments.0.iter().map(|(name, _)| *name).collect();
        wanted.sort_unstable();
        ours.sort_unstable();
        // The encoder leaves out what the runtime does not ask for; a limit that is left out is no limit.
        if wanted != ours {
            return Err(misfit(runtime, pallet, name, &format!("it takes {}, not {}", wanted.join(", "), ours.join(", "))));
        }
        Ok((pallet, name, arguments))
    }

    fn parts(&self, runtime: &Runtime) -> (&'static str, &'static str, Arguments) {
        use Argument as A;
        let (pallet, name, arguments) = match self {
            Self::Register { netuid, hotkey, limit_rao } if Self::chain_holds_limit(runtime) => {
                let arguments = vec![("netuid", A::U16(*netuid)), ("hotkey", A::Account(*hotkey)), ("limit_price", A::U64(*limit_rao))];
                (PALLET, REGISTER_LIMIT, arguments)
            }
            Self::Register { netuid, hotkey, .. } => {
                (PALLET, "burned_register", vec![("netuid", A::U16(*netuid)), ("hotkey", A::Account(*hotkey))])
            }
            Self::ServeAxon { netuid, axon } => (PALLET, "serve_axon", axon.arguments(*netuid)),
            Self::SetWeights { netuid, weights } => {
                let arguments = vec![
                    ("netuid", A::U16(*netuid)),
                    ("dests", A::U16s(weights.uids().to_vec())),
                    ("weights", A::U16s(weights.values().to_vec())),
                    ("version_key", A::U64(weights.version_key())),
                ];
                (PALLET, "set_weights", arguments)
            }
            Self::CommitWeights { netuid, commitment } => {
                (PALLET, "commit_weights", vec![("netuid", A::U16(*netuid)), ("commit_hash", A::Hash(*commitment))])
            }
            Self::RevealWeights { netuid, weights, salt } => {
                let arguments = vec![
                    ("netuid", A::U16(*netuid)),
                    ("uids", A::U16s(weights.uids().to_vec())),
                    ("values", A::U16s(weights.values().to_vec())),
                    ("salt", A::U16s(salt.clone())),
                    ("version_key", A::U64(weights.version_key())),
                ];
                (PALLET, "reveal_weights", arguments)
            }
            Self::SetMechanismWeights { netuid, mechanism, weights } => mechanism::set(*netuid, *mechanism, weights),
            Self::CommitMechanismWeights { netuid, mechanism, commitment } => mechanism::commit(*netuid, *mechanism, *commitment),
            Self::RevealMechanismWeights { netuid, mechanism, weights, salt } => mechanism::reveal(*netuid, *mechanism, weights, salt),
            Self::CommitTimelockedWeights { netuid, mechanism, commit } => {
                mechanism::commit_timelocked(runtime, *netuid, *mechanism, commit)
            }
            Self::Transfer { to, rao, keep_alive } => {
                let name = if *keep_alive { "transfer_keep_alive" } else { "transfer_allow_death" };
                ("Balances", name, vec![("dest", A::Address(*to)), ("value", A::U64(*rao))])
            }
        };
        (pallet, name, Arguments(arguments))
    }
}

impl Axon {
    fn arguments(&self, netuid: u16) -> Vec<(&'static str, Argument)> {
        let (number, kind) = match self.ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)), 4),
            IpAddr::V6(ip) => (u128::from(ip), 6),
        };
        vec![
            ("netuid", Argument::U16(netuid)),
            ("version", Argument::U32(self.version)),
            ("ip", Argument::U128(number)),
            ("port", Argument::U16(self.port)),
            ("ip_type", Argument::U8(kind)),
            ("protocol", Argument::U8(Self::PROTOCOL)),
            ("placeholder1", Argument::U8(0)),
            ("placeholder2", Argument::U8(0)),
        ]
    }
}

pub(super) fn has(runtime: &Runtime, pallet: &str, call: &str) -> bool {
    runtime.metadata().pallet_by_name(pallet).is_some_and(|pallet| pallet.call_variant_by_name(call).is_some())
}

/// Refuses what a description from a node could make endless.
pub(super) fn safe(runtime: &Runtime, pallet: &str, name: &str, types: impl IntoIterator<Item = u32>) -> Result<(), SubmitError> {
    let source = ScaleError::Unsafe(format!("{pallet}.{name}"));
    let safe = types.into_iter().all(|ty| runtime.is_safe(ty));
    if safe { Ok(()) } else { Err(SubmitError::Scale { source, spec_version: runtime.spec_version() }) }
}

pub(super) fn misfit(runtime: &Runtime, pallet: &str, name: &str, why: &impl ToString) -> SubmitError {
    let source = ScaleError::Argument { what: format!("{pallet}.{name}"), why: why.to_string() };
    SubmitError::Scale { source, spec_version: runtime.spec_version() }
}

/// An argument, which becomes what the runtime says its type is, or an error.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    U16s(Vec<u16>),
    Bytes(Vec<u8>),
    Hash([u8; 32]),
    Account(AccountId),
    /// `MultiAddress::Id`
    Address(AccountId),
}

impl EncodeAsType for Argument {
    fn encode_as_type_to<R: TypeResolver>(&self, id: R::TypeId, types: &R, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::U8(value) => value.encode_as_type_to(id, types, out),
            Self::U16(value) => value.encode_as_type_to(id, types, out),
            Self::U32(value) => value.encode_as_type_to(id, types, out),
            Self::U64(value) => value.encode_as_type_to(id, types, out),
            Self::U128(value) => value.encode_as_type_to(id, types, out),
            Self::U16s(values) => values.encode_as_type_to(id, types, out),
            Self::Bytes(bytes) => bytes.encode_as_type_to(id, types, out),
            Self::Hash(bytes) | Self::Account(AccountId(bytes)) => bytes.encode_as_type_to(id, types, out),
            Self::Address(account) => Case("Id", account.0).encode_as_type_to(id, types, out),
        }
    }
}

/// One case of an enum, with one value in it.
pub(super) struct Case<T>(pub(super) &'static str, pub(super) T);

impl<T: EncodeAsType> EncodeAsType for Case<T> {
    fn encode_as_type_to<R: TypeResolver>(&self, id: R::TypeId, types: &R, out: &mut Vec<u8>) -> Result<(), Error> {
        let fields = Composite::new([(None, CompositeField::new(&self.1))].into_iter());
        Variant { name: self.0, fields }.encode_variant_as_type_to(id, types, out)
    }
}

/// Named arguments.
#[derive(Debug, Clone)]
pub(super) struct Arguments(pub(super) Vec<(&'static str, Argument)>);

impl EncodeAsFields for Arguments {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        fields: &mut dyn FieldIter<'_, R::TypeId>,
        types: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let values = self.0.iter().map(|(name, value)| (Some(*name), CompositeField::new(value)));
        Composite::new(values).encode_composite_fields_to(fields, types, out)
    }
}
