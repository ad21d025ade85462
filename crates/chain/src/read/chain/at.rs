//! Reads at one block.

use std::collections::BTreeMap;
use std::sync::Arc;

use frame_decode::storage::IntoEncodableValues;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{Chain, wire};
use crate::read::blocks::Block;
use crate::read::model::{AccountInfo, DelegateInfo, DynamicInfo, Hyperparameters, Neuron, SelectiveMetagraph, SubnetInfo, SubnetState};
use crate::read::rpc::RpcError;
use crate::read::scale::{FromScale, ScaleError, Value};
use crate::read::{AccountId, Event, Fixed, ReadError, Runtime};

/// Keys asked for at once. Substrate gives no more than 1,000.
const PAGE: usize = 512;
/// Keys of one map that are read. The largest of a subnet have one for each UID.
const MAX_KEYS: usize = 1 << 20;

const PALLET: &str = "SubtensorModule";
const NEURONS: &str = "NeuronInfoRuntimeApi";
const SUBNETS: &str = "SubnetInfoRuntimeApi";

/// The chain at one block. Everything read through it belongs together.
#[derive(Debug, Clone)]
pub struct At {
    chain: Chain,
    block: Block,
    runtime: Arc<Runtime>,
    /// Whether the runtime is the one that ran the block.
    made: bool,
}

impl At {
    pub(super) fn new(chain: Chain, block: Block, runtime: Arc<Runtime>) -> Self {
        Self { chain, block, runtime, made: false }
    }

    /// The same block as the runtime describes it that ran it. In a block that changes the runtime the state is still laid out as the old one
    /// left it: the new one's migrations run with the next block. Calls are answered by the new one all the same.
    ///
    /// # Errors
    ///
    /// As [`At::storage`], also where the block before is kept nowhere any more.
    pub async fn as_made(&self) -> Result<Self, ReadError> {
        Ok(Self { runtime: self.maker().await?, made: true, ..self.clone() })
    }

    /// The block.
    pub fn block(&self) -> Block {
        self.block
    }

    /// The runtime at the block.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The chain it is a block of.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Numbers of the subnets, the root network 0 among them.
    ///
    /// # Errors
    ///
    /// As [`At::storage`]; so for all that follow.
    pub async fn subnets(&self) -> Result<Vec<u16>, ReadError> {
        let added: BTreeMap<u16, bool> = self.storage_map(PALLET, "NetworksAdded", ()).await?;
        Ok(added.into_iter().filter(|(_, added)| *added).map(|(netuid, _)| netuid).collect())
    }

    /// All subnets with their main parameters.
    pub async fn subnet_infos(&self) -> Result<Vec<SubnetInfo>, ReadError> {
        let method = self.newest(SUBNETS, &["get_subnets_info_v2", "get_subnets_info"]);
        let infos: Vec<Option<SubnetInfo>> = self.call(SUBNETS, method, ()).await?;
        Ok(infos.into_iter().flatten().collect())
    }

    /// One subnet with its main parameters.
    ///
    /// # Errors
    ///
    /// Also [`ReadError::NoSuchSubnet`]; so for all that follow and take a subnet, unless they say what they give for one that is not there.
    pub async fn subnet_info(&self, netuid: u16) -> Result<SubnetInfo, ReadError> {
        let method = self.newest(SUBNETS, &["get_subnet_info_v2", "get_subnet_info"]);
        self.call::<Option<_>>(SUBNETS, method, (netuid,)).await?.ok_or(ReadError::NoSuchSubnet(netuid))
    }

    /// All hyperparameters of a subnet.
    pub async fn hyperparameters(&self, netuid: u16) -> Result<Hyperparameters, ReadError> {
        let methods = ["get_subnet_hyperparams_v3", "get_subnet_hyperparams_v2", "get_subnet_hyperparams"];
        let method = self.newest(SUBNETS, &methods);
        let Some(value) = self.call::<Option<Value>>(SUBNETS, method, (netuid,)).await? else {
            return Err(ReadError::NoSuchSubnet(netuid));
        };
        let strange = ScaleError::Mismatch { what: format!("the answer of {SUBNETS}_{method}"), why: "it has no names".to_owned() };
        Hyperparameters::from_value(value).ok_or_else(|| self.misfit(strange))
    }

    /// Pools and prices of all subnets.
    pub async fn dynamic_infos(&self) -> Result<Vec<DynamicInfo>, ReadError> {
        let infos: Vec<Option<DynamicInfo>> = self.call(SUBNETS, "get_all_dynamic_info", ()).await?;
        Ok(infos.into_iter().flatten().collect())
    }

    /// Pool and price of one subnet.
    pub async fn dynamic_info(&self, netuid: u16) -> Result<DynamicInfo, ReadError> {
        self.call::<Option<_>>(SUBNETS, "get_dynamic_info", (netuid,)).await?.ok_or(ReadError::NoSuchSubnet(netuid))
    }

    /// All neurons of a subnet, without weights and bonds. Empty for a subnet that is not there.
    pub async fn neurons_lite(&self, netuid: u16) -> Result<Vec<Neuron>, ReadError> {
        self.call(NEURONS, "get_neurons_lite", (netuid,)).await
    }

    /// All neurons of a subnet, with weights and bonds: several times the size. Empty for a subnet that is not there.
    pub async fn neurons(&self, netuid: u16) -> Result<Vec<Neuron>, ReadError> {
        self.call(NEURONS, "get_neurons", (netuid,)).await
    }

    /// One neuron with weights and bonds; `None` when the UID is not in use, or the subnet is not there.
    pub async fn neuron(&self, netuid: u16, uid: u16) -> Result<Option<Neuron>, ReadError> {
        self.call(NEURONS, "get_neuron", (netuid, uid)).await
    }

    /// Scores and stake of every UID.
    pub async fn subnet_state(&self, netuid: u16) -> Result<SubnetState, ReadError> {
        self.call::<Option<_>>(SUBNETS, "get_subnet_state", (netuid,)).await?.ok_or(ReadError::NoSuchSubnet(netuid))
    }

    /// Whether the runtime has a call for [`At::selective_metagraph`]; those up to about version 219 have none.
    pub fn has_selective_metagraph(&self) -> bool {
        ["get_selective_mechagraph", "get_selective_metagraph"].iter().any(|method| self.runtime.has_call(SUBNETS, method))
    }

    /// Everything about a subnet in lists with an item for each UID.
    pub async fn selective_metagraph(&self, netuid: u16) -> Result<SelectiveMetagraph, ReadError> {
        let members: Vec<u16> = (0..SelectiveMetagraph::FIELDS).collect();
        let answer: Option<SelectiveMetagraph> = if self.runtime.has_call(SUBNETS, "get_selective_mechagraph") {
            self.call(SUBNETS, "get_selective_mechagraph", (netuid, 0u8, members)).await?
        } else {
            self.call(SUBNETS, "get_selective_metagraph", (netuid, members)).await?
        };
        answer.ok_or(ReadError::NoSuchSubnet(netuid))
    }

    /// Rao to register a neuron in a subnet, now.
    pub async fn burn(&self, netuid: u16) -> Result<u64, ReadError> {
        self.subnet_storage(netuid, "Burn").await
    }

    /// Blocks after registration during which a UID is pruned only when nothing else can be.
    pub async fn immunity_period(&self, netuid: u16) -> Result<u16, ReadError> {
        self.subnet_storage(netuid, "ImmunityPeriod").await
    }

    /// Rao to register a subnet, now.
    pub async fn subnet_registration_cost(&self) -> Result<u64, ReadError> {
        self.call("SubnetRegistrationRuntimeApi", "get_network_registration_cost", ()).await
    }

    /// UID of a hotkey in a subnet; `None` where it has none.
    pub async fn uid(&self, netuid: u16, hotkey: AccountId) -> Result<Option<u16>, ReadError> {
        self.storage(PALLET, "Uids", (netuid, hotkey.0)).await
    }

    /// Subnets in which a hotkey is registered.
    pub async fn netuids_of(&self, hotkey: AccountId) -> Result<Vec<u16>, ReadError> {
        let member: BTreeMap<u16, bool> = self.storage_map(PALLET, "IsNetworkMember", (hotkey.0,)).await?;
        Ok(member.into_iter().filter(|(_, member)| *member).map(|(netuid, _)| netuid).collect())
    }

    /// Hotkeys of a subnet by UID. Empty for a subnet that is not there.
    pub async fn hotkeys(&self, netuid: u16) -> Result<BTreeMap<u16, AccountId>, ReadError> {
        self.storage_map(PALLET, "Keys", (netuid,)).await
    }

    /// Blocks at which the UIDs of a subnet were registered; empty for a subnet that is not there. They tell a replaced neuron from a swapped hotkey.
    pub async fn registered_at(&self, netuid: u16) -> Result<BTreeMap<u16, u64>, ReadError> {
        self.storage_map(PALLET, "BlockAtRegistration", (netuid,)).await
    }

    /// Coldkey of a hotkey; `None` for a hotkey that the chain does not know.
    pub async fn owner(&self, hotkey: AccountId) -> Result<Option<AccountId>, ReadError> {
        let owner: Option<AccountId> = self.storage(PALLET, "Owner", (hotkey.0,)).await?;
        // The default of the map is the key of nobody.
        Ok(owner.filter(|owner| owner.0 != [0; 32]))
    }

    /// Coldkeys of many hotkeys; those that the chain does not know are missing.
    pub async fn owners(&self, hotkeys: &[AccountId]) -> Result<BTreeMap<AccountId, AccountId>, ReadError> {
        let mut owners = BTreeMap::new();
        for page in hotkeys.chunks(PAGE) {
            let key = |hotkey: &AccountId| self.runtime.storage_key(PALLET, "Owner", (hotkey.0,)).map(|key| (key, *hotkey));
            let asked = page.iter().map(key).collect::<Result<BTreeMap<_, _>, _>>().map_err(|source| self.misfit(source))?;
            let keys: Vec<Vec<u8>> = asked.keys().cloned().collect();
            for (key, value) in self.values(&keys).await? {
                let hotkey = asked.get(&key).ok_or_else(|| wire::malformed("state_queryStorageAt", "the keys that were asked for"))?;
                let owner: Option<AccountId> = match value {
                    None => None,
                    Some(value) => self.runtime.storage_value(PALLET, "Owner", Some(&value)).map_err(|source| self.misfit(source))?,
                };
                owners.extend(owner.filter(|owner| owner.0 != [0; 32]).map(|owner| (*hotkey, owner)));
            }
        }
        Ok(owners)
    }

    /// Balance and nonce of a key. All zero for one that the chain does not know.
    pub async fn account(&self, account: AccountId) -> Result<AccountInfo, ReadError> {
        self.required(self.storage("System", "Account", (account.0,)).await?, "System.Account")
    }

    /// A hotkey that others may stake on.
    pub async fn delegate(&self, hotkey: AccountId) -> Result<Option<DelegateInfo>, ReadError> {
        self.call("DelegateInfoRuntimeApi", "get_delegate", (hotkey.0,)).await
    }

    /// Square root of the price of one alpha in TAO, exactly as the chain holds it; `None` for a runtime without such pools.
    pub async fn alpha_sqrt_price(&self, netuid: u16) -> Result<Option<Fixed>, ReadError> {
        if self.runtime.has_storage("Swap", "AlphaSqrtPrice") { self.storage("Swap", "AlphaSqrtPrice", (netuid,)).await } else { Ok(None) }
    }

    /// When the block was made, by its author's clock.
    pub async fn time(&self) -> Result<Timestamp, ReadError> {
        let ms: u64 = self.required(self.storage("Timestamp", "Now", ()).await?, "Timestamp.Now")?;
        let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        time.ok_or_else(|| wire::malformed("state_getStorageAt", "a time of this age"))
    }

    /// The runtime that ran the block, and of which its events and errors are. A block that changes the runtime is still run by the old
    /// one, which is that of its parent's state.
    pub async fn maker(&self) -> Result<Arc<Runtime>, ReadError> {
        if self.made || self.block.number == 0 {
            return Ok(Arc::clone(&self.runtime));
        }
        let parent = self.chain.header(self.block.hash).await?.parent;
        self.chain.runtime(parent).await
    }

    /// What happened in the block.
    pub async fn events(&self) -> Result<Vec<Event>, ReadError> {
        let runtime = self.maker().await?;
        let misfit = |source| self.misfit_of(&runtime, source);
        let key = runtime.storage_key("System", "Events", ()).map_err(misfit)?;
        let params = json!([wire::hex(&key), wire::hex(self.block.hash)]);
        let events = |method, answer: &Json| runtime.events(&wire::value(method, answer)?.unwrap_or_else(|| vec![0])).map_err(misfit);
        self.chain.read("state_getStorageAt", params, events).await
    }

    /// A storage item: its value, else its default, else `None`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rpc`], [`ReadError::Malformed`], [`ReadError::Scale`].
    pub async fn storage<T: FromScale>(&self, pallet: &str, item: &str, keys: impl IntoEncodableValues) -> Result<Option<T>, ReadError> {
        let key = self.runtime.storage_key(pallet, item, keys).map_err(|source| self.misfit(source))?;
        let params = json!([wire::hex(&key), wire::hex(self.block.hash)]);
        let value = |method, answer: &Json| {
            let bytes = wire::value(method, answer)?;
            self.runtime.storage_value(pallet, item, bytes.as_deref()).map_err(|source| self.misfit(source))
        };
        self.chain.read("state_getStorageAt", params, value).await
    }

    /// All entries of a map below `keys`, by the last part of their keys.
    ///
    /// # Errors
    ///
    /// As [`At::storage`].
    pub async fn storage_map<K, V>(&self, pallet: &str, item: &str, keys: impl IntoEncodableValues) -> Result<BTreeMap<K, V>, ReadError>
    where
        K: FromScale + Ord,
        V: FromScale,
    {
        let prefix = self.runtime.storage_key(pallet, item, keys).map_err(|source| self.misfit(source))?;
        let (mut entries, mut keys) = (BTreeMap::new(), 0);
        let mut start = prefix.clone();
        // Until a page is empty: a node may give out fewer keys at once than were asked for.
        loop {
            let page = self.keys_after(&prefix, &start).await?;
            let Some(last) = page.last() else { return Ok(entries) };
            start.clone_from(last);
            keys += page.len();
            if keys > MAX_KEYS {
                return Err(wire::malformed("state_getKeysPaged", "an end of the keys"));
            }
            for (key, value) in self.values(&page).await? {
                let Some(value) = value else { continue };
                let decoded = self.runtime.last_key(pallet, item, &key).and_then(|key| {
                    let value = self.runtime.storage_value(pallet, item, Some(&value))?;
                    Ok((key, value))
                });
                if let (key, Some(value)) = decoded.map_err(|source| self.misfit(source))? {
                    entries.insert(key, value);
                }
            }
        }
    }

    /// A call of the runtime.
    ///
    /// # Errors
    ///
    /// As [`At::storage`], and [`ReadError::NoSuchCall`].
    pub async fn call<T: FromScale>(&self, api: &str, method: &str, arguments: impl IntoEncodableValues) -> Result<T, ReadError> {
        let arguments = self.runtime.call_arguments(api, method, arguments).map_err(|source| self.misfit(source))?;
        let params = json!([format!("{api}_{method}"), wire::hex(arguments), wire::hex(self.block.hash)]);
        let decoded = |rpc, answer: &Json| {
            let answer = wire::bytes(rpc, answer)?;
            self.runtime.call_answer(api, method, &answer).map_err(|source| self.misfit(source))
        };
        self.chain.read("state_call", params, decoded).await.map_err(|error| match error {
            // As worded by Substrate: "Exported method SubnetInfoRuntimeApi_get_subnet_info is not found".
            ReadError::Rpc(RpcError::Refused { endpoint, message, .. })
                if message.contains("Exported method") && message.contains("is not found") =>
            {
                ReadError::NoSuchCall { endpoint, call: format!("{api}_{method}") }
            }
            other => other,
        })
    }

    /// A page of keys, each greater than the one before it, all below the prefix.
    async fn keys_after(&self, prefix: &[u8], start: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
        let params = json!([wire::hex(prefix), PAGE, wire::hex(start), wire::hex(self.block.hash)]);
        let keys = |method, answer: &Json| {
            let texts = answer.as_array().ok_or_else(|| wire::malformed(method, "a list of keys"))?;
            let keys = texts.iter().map(|text| wire::bytes(method, text)).collect::<Result<Vec<_>, _>>()?;
            let in_order =
                keys.iter().map(Vec::as_slice).try_fold(start, |last, key| (key > last && key.starts_with(prefix)).then_some(key));
            if in_order.is_some() && keys.len() <= PAGE { Ok(keys) } else { Err(wire::malformed(method, "a page of keys in order")) }
        };
        self.chain.read("state_getKeysPaged", params, keys).await
    }

    /// The values of keys, at this block and no other. A value that is not there would look like a subnet or a neuron that is not.
    pub(crate) async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>, ReadError> {
        let asked: Vec<String> = keys.iter().map(wire::hex).collect();
        let values = |method, answer: &Json| {
            let set = answer.get(0).ok_or_else(|| wire::malformed(method, "a set of changes"))?;
            if wire::hash(method, set.get("block").unwrap_or(&Json::Null))? != self.block.hash {
                return Err(wire::malformed(method, "values at the block that was asked for"));
            }
            let changes = set.get("changes").and_then(Json::as_array).ok_or_else(|| wire::malformed(method, "a set of changes"))?;
            let mut values = BTreeMap::new();
            for change in changes {
                let key = wire::bytes(method, change.get(0).unwrap_or(&Json::Null))?;
                values.insert(key, wire::value(method, change.get(1).unwrap_or(&Json::Null))?);
            }
            let all = values.len() == keys.len() && changes.len() == keys.len() && keys.iter().all(|key| values.contains_key(key));
            if all { Ok(values.into_iter().collect()) } else { Err(wire::malformed(method, "a value for every key")) }
        };
        self.chain.read("state_queryStorageAt", json!([asked, wire::hex(self.block.hash)]), values).await
    }

    async fn subnet_storage<T: FromScale>(&self, netuid: u16, item: &str) -> Result<T, ReadError> {
        // A default would pass for the value of a subnet that is not there.
        let added: Option<bool> = self.storage(PALLET, "NetworksAdded", (netuid,)).await?;
        if added != Some(true) {
            return Err(ReadError::NoSuchSubnet(netuid));
        }
        self.required(self.storage(PALLET, item, (netuid,)).await?, item)
    }

    fn required<T>(&self, value: Option<T>, what: &str) -> Result<T, ReadError> {
        value.ok_or_else(|| self.misfit(ScaleError::Unknown(format!("value of {what}"))))
    }

    /// The first of several methods that the runtime has, else the last.
    fn newest<'a>(&self, api: &str, methods: &[&'a str]) -> &'a str {
        methods.iter().copied().find(|method| self.runtime.has_call(api, method)).unwrap_or_else(|| methods.last().copied().unwrap_or(""))
    }

    fn misfit(&self, source: ScaleError) -> ReadError {
        self.misfit_of(&self.runtime, source)
    }

    /// A description that did not fit may be a wrong one: it is not kept. What a runtime simply does not have is no sign of that.
    fn misfit_of(&self, runtime: &Runtime, source: ScaleError) -> ReadError {
        let spec_version = runtime.spec_version();
        if !matches!(source, ScaleError::Unknown(_)) {
            self.chain.forget(spec_version);
        }
        ReadError::Scale { source, spec_version }
    }
}
