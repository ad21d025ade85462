//! Reading a metagraph.

use super::{Metagraph, Uid};
use crate::read::rpc::RpcError;
use crate::read::scale::FromScale;
use crate::read::{AccountId, At, Chain, Neuron, ReadError, SelectiveMetagraph};

impl Metagraph {
    /// Reads a subnet at a block. `full` reads weights and bonds too, several times the bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchSubnet`], and as [`At::storage`].
    pub async fn fetch(at: &At, netuid: u16, full: bool) -> Result<Self, ReadError> {
        // All at one block: the lists belong together.
        let neurons = match if full { at.neurons(netuid).await } else { at.neurons_lite(netuid).await } {
            // Of a subnet that is not there, that is what matters.
            Err(ReadError::NoSuchCall { .. }) if matches!(item(at, netuid, "NetworksAdded").await, Ok(Some(false))) => {
                return Err(ReadError::NoSuchSubnet(netuid));
            }
            neurons => neurons?,
        };
        let (whole, registered) = if at.has_selective_metagraph() {
            (at.selective_metagraph(netuid).await?, None)
        } else {
            (stored(at, netuid).await?, Some(at.registered_at(netuid).await?))
        };
        let genesis = at.chain().genesis().await?;
        // A block without a clock says 1970.
        let time_ms = u64::try_from(at.time().await?.as_millisecond()).ok().filter(|ms| *ms > 0);
        let mut metagraph = Self::assemble(at, genesis, time_ms, full, &neurons, whole);
        if let Some(registered) = registered {
            metagraph.neurons.iter_mut().for_each(|uid| uid.registered_at = registered.get(&uid.uid).copied());
        }
        Ok(metagraph)
    }

    /// Reads it anew if there is a newer finalized block; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Metagraph::fetch`], and [`RpcError::WrongChain`] for a metagraph of another chain; it then is as before.
    pub async fn sync(&mut self, chain: &Chain) -> Result<bool, ReadError> {
        let genesis = chain.genesis().await?;
        if genesis != self.genesis {
            let hash = |hash: [u8; 32]| format!("0x{}", hex::encode(hash));
            let endpoint = chain.endpoint().await.unwrap_or_else(|| "the chain".to_owned());
            return Err(RpcError::WrongChain { endpoint, found: hash(genesis), wanted: hash(self.genesis) }.into());
        }
        let head = chain.finalized().await?;
        if head.number <= self.block.number {
            return Ok(false);
        }
        *self = Self::fetch(&chain.at(head).await?, self.netuid, self.full).await?;
        Ok(true)
    }

    fn assemble(at: &At, genesis: [u8; 32], time_ms: Option<u64>, full: bool, neurons: &[Neuron], whole: SelectiveMetagraph) -> Self {
        let mut uids: Vec<Uid> = neurons.iter().map(|neuron| uid(neuron, &whole)).collect();
        uids.sort_by_key(|uid| uid.uid);
        Self {
            netuid: whole.netuid,
            block: at.block(),
            time_ms,
            genesis,
            spec_version: at.runtime().spec_version(),
            full,
            name: whole.name.map(|name| name.0).unwrap_or_default(),
            symbol: whole.symbol.map(|symbol| symbol.0).unwrap_or_default(),
            network_registered_at: whole.network_registered_at,
            owner_hotkey: whole.owner_hotkey,
            owner_coldkey: whole.owner_coldkey,
            tempo: whole.tempo,
            max_uids: whole.max_uids,
            burn: whole.burn,
            immunity_period: whole.immunity_period,
            registration_allowed: whole.registration_allowed,
            alpha_in: whole.alpha_in,
            tao_in: whole.tao_in,
            moving_price: whole.moving_price,
            neurons: uids,
        }
    }
}

/// What runtimes without a call for the whole subnet keep of it in their storage. They told no names, and had no alpha at first.
async fn stored(at: &At, netuid: u16) -> Result<SelectiveMetagraph, ReadError> {
    if item(at, netuid, "NetworksAdded").await? != Some(true) {
        return Err(ReadError::NoSuchSubnet(netuid));
    }
    // The default of these maps is the key of nobody.
    let somebody = |key: Option<AccountId>| key.filter(|key| key.0 != [0; 32]);
    let spec_version = at.runtime().spec_version();
    let mut whole = SelectiveMetagraph::of_nothing(netuid).map_err(|source| ReadError::Scale { source, spec_version })?;
    whole.tempo = item(at, netuid, "Tempo").await?;
    whole.max_uids = item(at, netuid, "MaxAllowedUids").await?;
    whole.burn = item(at, netuid, "Burn").await?;
    whole.immunity_period = item(at, netuid, "ImmunityPeriod").await?;
    whole.registration_allowed = item(at, netuid, "NetworkRegistrationAllowed").await?;
    whole.network_registered_at = item(at, netuid, "NetworkRegisteredAt").await?;
    whole.owner_hotkey = somebody(item(at, netuid, "SubnetOwnerHotkey").await?);
    whole.owner_coldkey = somebody(item(at, netuid, "SubnetOwner").await?);
    whole.tao_in = item(at, netuid, "SubnetTAO").await?;
    whole.alpha_in = item(at, netuid, "SubnetAlphaIn").await?;
    Ok(whole)
}

/// A value of a subnet; `None` where the runtime has no such item.
async fn item<T: FromScale>(at: &At, netuid: u16, name: &str) -> Result<Option<T>, ReadError> {
    if at.runtime().has_storage("SubtensorModule", name) { at.storage("SubtensorModule", name, (netuid,)).await } else { Ok(None) }
}

fn uid(neuron: &Neuron, whole: &SelectiveMetagraph) -> Uid {
    let of = |list: &Option<Vec<u64>>| list.as_ref().and_then(|list| list.get(usize::from(neuron.uid)).copied());
    let staked = neuron.stake.iter().fold(0u64, |sum, (_, stake)| sum.saturating_add(*stake));
    Uid {
        uid: neuron.uid,
        hotkey: neuron.hotkey,
        coldkey: neuron.coldkey,
        axon: neuron.axon_info.clone(),
        active: neuron.active,
        validator_permit: neuron.validator_permit,
        total_stake: of(&whole.total_stake).unwrap_or(staked),
        alpha_stake: of(&whole.alpha_stake),
        tao_stake: of(&whole.tao_stake),
        rank: neuron.rank,
        trust: neuron.trust,
        consensus: neuron.consensus,
        validator_trust: neuron.validator_trust,
        incentive: neuron.incentive,
        dividends: neuron.dividends,
        emission: neuron.emission,
        last_update: neuron.last_update,
        registered_at: of(&whole.block_at_registration),
        weights: neuron.weights.clone(),
        bonds: neuron.bonds.clone(),
    }
}
