//! Twelve or more words from which a key grows (BIP-39, English list).

use std::fmt;

use bip39::{Language, Mnemonic};
use protocol::key::Seed;
use zeroize::{Zeroize as _, Zeroizing};

use super::stretch;

/// How many words a phrase may have.
pub const WORD_COUNTS: [usize; 5] = [12, 15, 18, 21, 24];

/// The words of a key. Wiped when dropped; `Debug` shows nothing of them.
#[derive(Clone)]
pub struct Phrase(Mnemonic);

/// Why a text is no phrase. Never repeats a word of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Another number of words.
    #[error("a phrase has 12, 15, 18, 21 or 24 words, not {0}")]
    Count(usize),
    /// A word that is not on the list; counted from 1.
    #[error("word {0} is not on the English BIP-39 list; is it spelled right?")]
    Unknown(usize),
    /// Every word is on the list, but together they are no phrase.
    #[error("the words are all on the list, but their checksum is wrong: one is another, or they stand in another order")]
    Checksum,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
}

impl Phrase {
    /// A fresh phrase from the operating system's randomness.
    ///
    /// # Errors
    /// A number of words that is not in [`WORD_COUNTS`], or no randomness.
    pub fn generate(words: usize) -> Result<Self, PhraseError> {
        if !WORD_COUNTS.contains(&words) {
            return Err(PhraseError::Count(words));
        }
        // 32 bits of entropy are three words.
        let mut entropy = Zeroizing::new(vec![0; words / 3 * 4]);
        getrandom::fill(&mut entropy).map_err(|_| PhraseError::NoRandomness)?;
        Mnemonic::from_entropy_in(Language::English, &entropy).map(Self).map_err(|_| PhraseError::Count(words))
    }

    /// Reads words; capitals and blanks between them do not matter.
    ///
    /// # Errors
    /// See [`PhraseError`].
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        // Nobody's phrase is longer, and a wrong file need not be read to its end.
        let mut tidy = Zeroizing::new(String::with_capacity(text.len().min(1 << 12)));
        let mut count = 0;
        for word in text.split_ascii_whitespace() {
            count += 1;
            if count > 24 {
                return Err(PhraseError::Count(text.split_ascii_whitespace().count()));
            }
            if count > 1 {
                tidy.push(' ');
            }
            tidy.push_str(word);
        }
        tidy.make_ascii_lowercase();
        Mnemonic::parse_in_normalized(Language::English, &tidy).map(Self).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => PhraseError::Unknown(index + 1),
            bip39::Error::InvalidChecksum => PhraseError::Checksum,
            _ => PhraseError::Count(count),
        })
    }

    /// The words with blanks between them.
    pub fn words(&self) -> Zeroizing<String> {
        // Room for the longest words, so that the text is never moved and left behind.
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for (index, word) in self.0.words().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The seed that Substrate wallets grow from a phrase: 2,048 rounds of PBKDF2-HMAC-SHA512 over the entropy (not over the words, as
    /// other chains do), the first 32 of 64 bytes. `password` is empty for wallet files.
    pub fn seed(&self, password: &str) -> Seed {
        let (mut entropy, length) = self.0.to_entropy_array();
        let salt = Zeroizing::new(format!("mnemonic{password}"));
        let mut long = Zeroizing::new([0; 64]);
        stretch::sha512(entropy.get(..length).unwrap_or_default(), salt.as_bytes(), 2048, long.as_mut_slice());
        entropy.zeroize();
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&long[..32]);
        Seed::from_bytes(*seed)
    }
}

impl Drop for Phrase {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "old leopard transfer rib spatial phone calm indicate online fire caution review";

    #[test]
    fn the_golden_phrase_has_the_golden_seed() {
        let phrase = Phrase::parse(&format!(" {}\n", WORDS.replace(' ', "\t ").to_uppercase())).unwrap();
        assert_eq!(phrase.words().as_str(), WORDS);
        assert_eq!(hex::encode(phrase.seed("").expose()), "da3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_word() {
        let error = |text: &str| Phrase::parse(text).unwrap_err();
        assert_eq!(error(""), PhraseError::Count(0));
        assert_eq!(error("old leopard"), PhraseError::Count(2));
        assert_eq!(error(&WORDS.replace("transfer", "tarnsfer")), PhraseError::Unknown(3));
        assert_eq!(error(&WORDS.replace("old", "new")), PhraseError::Unknown(1));
        assert_eq!(error(&WORDS.replace("old leopard", "leopard old")), PhraseError::Checksum);
        assert_eq!(error(&"old ".repeat(25)), PhraseError::Count(25));
        assert!(!format!("{}", error(&WORDS.replace("transfer", "tarnsfer"))).contains("tarnsfer"));
    }

    #[test]
    fn fresh_phrases_differ_and_read_back() {
        for words in WORD_COUNTS {
            let phrase = Phrase::generate(words).unwrap();
            assert_eq!(phrase.words().split(' ').count(), words);
            assert_eq!(Phrase::parse(&phrase.words()).unwrap().seed("").expose(), phrase.seed("").expose());
            assert_ne!(Phrase::generate(words).unwrap().words(), phrase.words());
        }
        assert_eq!(Phrase::generate(13).unwrap_err(), PhraseError::Count(13));
    }

    #[test]
    fn debug_shows_no_word() {
        assert_eq!(format!("{:?}", Phrase::parse(WORDS).unwrap()), "Phrase(redacted)");
    }
}
