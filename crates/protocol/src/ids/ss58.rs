//! Addresses of sr25519 keys in the SS58 alphabet (prefix byte, 32-byte public key, 2 bytes of checksum, base 58).

use blake2::{Blake2b512, Digest};

use super::IdError;

/// The prefix of generic Substrate addresses, which the network of the validators uses.
const PREFIX: u8 = 42;
const CHECKSUM_CONTEXT: &[u8] = b"SS58PRE";
const KIND: &str = "an SS58 address";

/// The address of an sr25519 public key, such as a hotkey. Its checksum is known to be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Ss58(String);

id_traits!(Ss58, "^[1-9A-HJ-NP-Za-km-z]{46,50}$");

impl Ss58 {
    /// The address of a public key.
    pub fn from_public_key(key: &[u8; 32]) -> Self {
        let mut bytes = Vec::with_capacity(35);
        bytes.push(PREFIX);
        bytes.extend_from_slice(key);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        Self(bs58::encode(bytes).into_string())
    }

    /// The public key behind the address.
    pub fn public_key(&self) -> [u8; 32] {
        decode(&self.0).expect("checked when it was made")
    }

    fn check(text: &str) -> Result<String, IdError> {
        decode(text).map_err(|why| IdError::new(KIND, text, why))?;
        Ok(text.to_owned())
    }
}

fn checksum(prefixed_key: &[u8]) -> [u8; 2] {
    let hash = Blake2b512::new().chain_update(CHECKSUM_CONTEXT).chain_update(prefixed_key).finalize();
    [hash[0], hash[1]]
}

fn decode(text: &str) -> Result<[u8; 32], String> {
    // Longer texts are refused before the decoder, whose time grows with the square of the length.
    if text.len() > 60 {
        return Err("too long; an address has 48 characters".to_owned());
    }
    let bytes =
        bs58::decode(text).into_vec().map_err(|_| "it has characters that no address has (0, O, I, l, blanks or signs)".to_owned())?;
    let Ok(bytes) = <[u8; 35]>::try_from(bytes) else {
        return Err("an address of 48 characters that begins with 5 is wanted".to_owned());
    };
    if bytes[33..] != checksum(&bytes[..33]) {
        return Err("its checksum is wrong; copy it again".to_owned());
    }
    if bytes[0] != PREFIX {
        return Err(format!("it is an address of another network (prefix {}, wanted {PREFIX})", bytes[0]));
    }
    let mut key = [0; 32];
    key.copy_from_slice(&bytes[1..33]);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";

    #[test]
    fn the_golden_address_decodes_to_its_key_and_back() {
        let address: Ss58 = GOOD.parse().unwrap();
        assert_eq!(hex::encode(address.public_key()), "467f0e3d830cd4252c8213916c945f6afc39821fffd55d5e0f39747111e7d20f");
        assert_eq!(Ss58::from_public_key(&address.public_key()), address);
    }

    #[test]
    fn one_wrong_letter_is_noticed() {
        let error = GOOD.replace("ARFj", "ARFk").parse::<Ss58>().unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn an_address_of_another_network_is_refused_by_name() {
        let mut bytes = vec![0u8];
        bytes.extend_from_slice(&[7; 32]);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        let error = bs58::encode(bytes).into_string().parse::<Ss58>().unwrap_err();
        assert!(error.to_string().contains("another network"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<Ss58>();
        }

        #[test]
        fn every_key_survives_the_round_trip(key: [u8; 32]) {
            let address = Ss58::from_public_key(&key);
            proptest::prop_assert_eq!(address.as_str().parse::<Ss58>().unwrap().public_key(), key);
        }
    }
}
