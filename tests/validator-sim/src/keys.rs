//! Addresses and signatures, worked out here on purpose and not shared with the programs under test:
//! a double that borrowed their code would agree with their mistakes.

use blake2::{Blake2b512, Digest};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, PublicKey, Signature};

/// sr25519 signing context of every substrate wallet.
const CONTEXT: &[u8] = b"substrate";
/// Address type of the generic substrate format, the one bittensor uses.
const GENERIC: u8 = 42;

/// The 32 byte public key of an address, or `None` when the text is no such address.
pub(crate) fn public_key(address: &str) -> Option<[u8; 32]> {
    let raw = bs58::decode(address).into_vec().ok()?;
    let (body, checksum) = raw.split_at_checked(33)?;
    if body[0] != GENERIC || checksum != &check(body)[..2] {
        return None;
    }
    body[1..].try_into().ok()
}

/// The address of a public key.
pub(crate) fn address(key: &[u8; 32]) -> String {
    let mut raw = vec![GENERIC];
    raw.extend_from_slice(key);
    let sum = check(&raw);
    raw.extend_from_slice(&sum[..2]);
    bs58::encode(raw).into_string()
}

fn check(body: &[u8]) -> Vec<u8> {
    let mut hash = Blake2b512::new();
    hash.update(b"SS58PRE");
    hash.update(body);
    hash.finalize().to_vec()
}

/// Whether `signature` over `text` was made with the key of `address`; browser wallets wrap the text in `<Bytes>`.
pub(crate) fn verified(address: &str, text: &str, signature: &[u8]) -> bool {
    let Some(key) = public_key(address).and_then(|key| PublicKey::from_bytes(&key).ok()) else {
        return false;
    };
    let Ok(signature) = Signature::from_bytes(signature) else {
        return false;
    };
    let wrapped = format!("<Bytes>{text}</Bytes>");
    [text, wrapped.as_str()].iter().any(|text| key.verify_simple(CONTEXT, text.as_bytes(), &signature).is_ok())
}

/// A development key pair: the validator's own, and the miners' in tests.
pub struct DevKey {
    pair: Keypair,
    address: String,
}

impl std::fmt::Debug for DevKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevKey").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DevKey {
    /// Expands a 32 byte seed the way substrate wallets do.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let mini = MiniSecretKey::from_bytes(&seed).expect("any 32 bytes are a mini secret");
        let pair = mini.expand_to_keypair(ExpansionMode::Ed25519);
        let address = address(&pair.public.to_bytes());
        Self { pair, address }
    }

    /// The ss58 address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lower case hex of the signature over `text`, without `0x`.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        hex::encode(self.pair.sign_simple(CONTEXT, text.as_bytes()).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_network_decodes_and_encodes_to_itself() {
        let known = "5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ";
        let key = public_key(known).expect("the network's validator address");
        assert_eq!(address(&key), known);
    }

    #[test]
    fn the_development_account_alice_has_her_well_known_address() {
        let seed = hex::decode("e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a").expect("hex");
        let alice = DevKey::from_seed(seed.try_into().expect("32 bytes"));
        assert_eq!(alice.address(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
    }

    #[test]
    fn one_wrong_character_is_no_address() {
        assert_eq!(public_key("5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcR"), None);
        assert_eq!(public_key(""), None);
    }

    #[test]
    fn a_signature_binds_key_and_text() {
        let key = DevKey::from_seed([7; 32]);
        let signature = hex::decode(key.sign("a:1:miner")).expect("hex");
        assert!(verified(key.address(), "a:1:miner", &signature));
        assert!(!verified(key.address(), "a:2:miner", &signature));
        assert!(!verified(DevKey::from_seed([8; 32]).address(), "a:1:miner", &signature));
        assert!(!verified(key.address(), "a:1:miner", &signature[1..]));
    }
}
