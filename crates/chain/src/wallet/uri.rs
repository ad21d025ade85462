//! Secret URIs as Substrate tools write them: a phrase or a seed, then junctions, then a password: `words//hard/soft///password`.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use protocol::key::{Keypair, Seed, SeedError};

use super::{Phrase, PhraseError, WalletKey};

/// The phrase that everybody knows, which stands where a URI has none (`//Alice`).
const DEVELOPMENT_PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// Why a text is no secret URI. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Nothing at all.
    #[error("nothing was given; a phrase, a seed (0x and 64 hexadecimal digits) or a URI such as //Alice is wanted")]
    Empty,
    /// The words are wrong.
    #[error("{0}")]
    Phrase(#[from] PhraseError),
    /// The seed is wrong.
    #[error("{0}")]
    Seed(#[from] SeedError),
    /// A junction without a name.
    #[error("there is a junction without a name; they look like //hard or /soft")]
    Junction,
    /// Seeds have no password.
    #[error("a seed has no password; leave out what begins with ///")]
    SeedPassword,
}

enum Junction<'a> {
    Hard(&'a str),
    Soft(&'a str),
}

/// The key of a secret URI. The seed is known if all junctions are hard; the words are kept only where nothing follows them, since wallets
/// read them without the rest.
///
/// # Errors
/// See [`UriError`].
pub fn key_from_uri(uri: &str) -> Result<WalletKey, UriError> {
    let uri = uri.trim();
    if uri.is_empty() {
        return Err(UriError::Empty);
    }
    let (uri, password) = uri.split_once("///").map_or((uri, None), |(uri, password)| (uri, Some(password)));
    let (secret, path) = uri.split_at(uri.find('/').unwrap_or(uri.len()));
    let junctions = junctions(path)?;
    let secret = secret.trim();
    let looks_like_seed = secret.starts_with("0x") || (secret.len() == 64 && secret.bytes().all(|c| c.is_ascii_hexdigit()));
    let mut key = if looks_like_seed {
        if password.is_some() {
            return Err(UriError::SeedPassword);
        }
        WalletKey::from_seed(secret.parse::<Seed>()?)
    } else {
        let phrase = Phrase::parse(if secret.is_empty() { DEVELOPMENT_PHRASE } else { secret })?;
        match password {
            Some(password) => WalletKey::from_seed(phrase.seed(password)),
            None => WalletKey::from_phrase(phrase),
        }
    };
    for junction in junctions {
        key = follow(&key, &junction);
    }
    Ok(key)
}

fn follow(key: &WalletKey, junction: &Junction<'_>) -> WalletKey {
    match junction {
        Junction::Soft(name) => WalletKey::from_keypair(key.keypair.soft_junction(chain_code(name))),
        Junction::Hard(name) => {
            let seed = key.keypair.hard_junction(chain_code(name));
            WalletKey { keypair: Keypair::from_seed(&seed), seed: Some(seed), phrase: None }
        }
    }
}

fn junctions(mut path: &str) -> Result<Vec<Junction<'_>>, UriError> {
    let mut junctions = Vec::new();
    while let Some(rest) = path.strip_prefix('/') {
        let (hard, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if name.is_empty() {
            return Err(UriError::Junction);
        }
        junctions.push(if hard { Junction::Hard(name) } else { Junction::Soft(name) });
        path = rest;
    }
    Ok(junctions)
}

/// A number as 8 bytes, little end first; a text as SCALE has it, hashed if it is longer than 32 bytes; zeros behind.
fn chain_code(name: &str) -> [u8; 32] {
    let encoded = name.parse::<u64>().map_or_else(|_| scale_text(name), |number| number.to_le_bytes().to_vec());
    let mut code = [0; 32];
    match code.get_mut(..encoded.len()) {
        Some(room) => room.copy_from_slice(&encoded),
        None => code.copy_from_slice(&Blake2b::<U32>::digest(&encoded)),
    }
    code
}

/// The compact length, then the bytes.
fn scale_text(text: &str) -> Vec<u8> {
    let mut bytes = match u32::try_from(text.len()) {
        Ok(length @ 0..0x40) => vec![(length << 2).to_le_bytes()[0]],
        Ok(length @ 0x40..0x4000) => (length << 2 | 1).to_le_bytes()[..2].to_vec(),
        Ok(length @ 0x4000..0x4000_0000) => (length << 2 | 2).to_le_bytes().to_vec(),
        // Nobody types a gibibyte; any distinct encoding does.
        _ => text.len().to_le_bytes().to_vec(),
    };
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";

    #[test]
    fn known_uris_have_their_known_addresses() {
        // From subkey's documentation and, the longer ones, from bittensor-wallet 4.1.1.
        for (uri, address) in [
            ("//Alice".to_owned(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
            ("//Bob".to_owned(), "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"),
            ("//Charlie".to_owned(), "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"),
            ("/Alice".to_owned(), "5GvKEoc787uDV8etY1AM8vF385edu2iyqD1WfCjDugzLUiAL"),
            ("//Bob/test".to_owned(), "5CJGwWiKXSE16WJaxBdPZhWqUYkotgenLUALv7ZvqQ4TXeqf"),
            ("/Bob//test".to_owned(), "5Cwc8tShrshDJUp1P1M21dKUTcYQpV9GcfSa4hUBNmMdV3Cx"),
            ("//42".to_owned(), "5Ckt3gjwpdWMWAsc8jKng97ADm8ApCQrWcsmb3jZSVcvEncr"),
            ("//foo//1/2".to_owned(), "5DVCUyrBr1P3fvkELkU6NEtPhjkAijFatGP3aee3iY9dKWHw"),
            ("//PathNameLongerThan32BytesWhichShouldBeHashed".to_owned(), "5GR5pfZeNs1uQiSWVxZaQiZou3wdZiX894eqgvfNfHbEh7W2"),
            (WORDS.to_owned(), "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX"),
            (format!("{WORDS}//Alice"), "5FEiH8iuDUw271xbqWTWuB6WrDjv5dnCeDX1CyHubAniXDNN"),
            (format!("{WORDS}/Alice"), "5GNXbA46ma5dg19GXdiKi5JH3mnkZ8Yea3bBtZAvj7t99P9i"),
            (format!("{WORDS}///pw"), "5G3auSW1h2aqKQYC8uXRKg7wtTZc87yWeWp1UwiQCWAs95YB"),
            (format!("{WORDS}//hard/soft///pw"), "5G6ZnHyyJbY8NidkqEsC8aRoU6ikBoUA4iangwHp7HgUaRY5"),
            (
                "0xda3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143".to_owned(),
                "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX",
            ),
        ] {
            assert_eq!(key_from_uri(&uri).unwrap().address(), address, "{uri}");
        }
    }

    #[test]
    fn what_is_written_into_a_file_grows_into_the_same_key() {
        let known = |uri: &str| {
            let key = key_from_uri(uri).unwrap();
            (key.phrase().is_some(), key.has_seed())
        };
        assert_eq!(known(WORDS), (true, true));
        assert_eq!(known("//Alice"), (false, true));
        assert_eq!(known("//Alice/soft"), (false, false));
        assert_eq!(known(&format!("{WORDS}///pw")), (false, true));
        for uri in ["//Alice", "//a//b", "0xda3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143"] {
            let key = key_from_uri(uri).unwrap();
            assert_eq!(Keypair::from_seed(key.seed.as_ref().unwrap()).address(), key.address());
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |uri: &str| key_from_uri(uri).unwrap_err();
        assert_eq!(error(" "), UriError::Empty);
        assert_eq!(error("/"), UriError::Junction);
        assert_eq!(error("//Alice/"), UriError::Junction);
        assert_eq!(error("0x12"), UriError::Seed(SeedError::Length(2)));
        assert_eq!(error("old leopard//x"), UriError::Phrase(PhraseError::Count(2)));
        assert_eq!(error("0xda3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143///pw"), UriError::SeedPassword);
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(uri in "(0x[0-9a-f]{62,66})?[a-z /0-9é]{0,60}") {
            let _ = key_from_uri(&uri);
        }

        #[test]
        fn every_length_of_a_name_has_a_chain_code(length in 0usize..20_000) {
            chain_code(&"x".repeat(length));
        }
    }
}
