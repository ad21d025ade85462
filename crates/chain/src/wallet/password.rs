//! Passwords of key files, and the environment variable wallets keep one in.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

/// Of a password for a new file, in characters.
const SHORTEST: usize = 8;
/// Different characters in a password for a new file.
const FEWEST_DIFFERENT: usize = 5;

/// A password. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// Why a password is not good enough for a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 8 characters.
    #[error("the password is too short: {SHORTEST} characters at least, better three or four words")]
    Short,
    /// Like `aaaaaaaa`.
    #[error("the password is too easily guessed: it has fewer than {FEWEST_DIFFERENT} different characters")]
    Monotonous,
}

/// Why the value of a password variable is none. Never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable {0} does not hold a password as wallets write it there (base 64 of the password, XORed with the variable's name)")]
pub struct VariableError(pub String);

impl Password {
    /// A password as it was typed.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text of a password file: all but the end of its last line.
    pub fn from_file_text(text: &str) -> Self {
        let line = text.strip_suffix('\n').unwrap_or(text);
        Self::new(line.strip_suffix('\r').unwrap_or(line))
    }

    /// Whether there is nothing of it, which no wallet takes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it may protect a new file. An old file opens with whatever it was sealed with.
    ///
    /// # Errors
    /// Too short or too monotonous.
    pub fn check_new(&self) -> Result<(), PasswordError> {
        if self.0.chars().count() < SHORTEST {
            return Err(PasswordError::Short);
        }
        if self.0.chars().collect::<BTreeSet<_>>().len() < FEWEST_DIFFERENT {
            return Err(PasswordError::Monotonous);
        }
        Ok(())
    }

    /// The environment variable in which wallets keep the password of a key file: `BT_PW_` and the path in capitals, `_` for `/` and `.`.
    /// The path is the whole one, with the home folder put in.
    pub fn variable(path: &Path) -> String {
        format!("BT_PW_{}", path.to_string_lossy().replace(['/', '.'], "_").to_uppercase())
    }

    /// Reads the value of [`Password::variable`], the bytes of the password XORed with the variable's name, in base 64. That hides it from
    /// a glance and from nothing else.
    ///
    /// # Errors
    /// The value is not of that form.
    pub fn from_variable(name: &str, value: &str) -> Result<Self, VariableError> {
        let unreadable = || VariableError(name.to_owned());
        let bytes = Zeroizing::new(STANDARD.decode(value.trim()).map_err(|_| unreadable())?);
        let open: Vec<u8> = bytes.iter().zip(name.bytes().cycle()).map(|(byte, key)| byte ^ key).collect();
        match String::from_utf8(open) {
            Ok(text) => Ok(Self(Zeroizing::new(text))),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(unreadable())
            }
        }
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_named_as_the_python_wallet_names_it() {
        // As bittensor-wallet 4.1.1 names them, folders aside.
        assert_eq!(Password::variable(Path::new("/srv/pip/w/my.w/coldkey")), "BT_PW__SRV_PIP_W_MY_W_COLDKEY");
        assert_eq!(
            Password::variable(Path::new("/srv/.bittensor/wallets/default/coldkey")),
            "BT_PW__SRV__BITTENSOR_WALLETS_DEFAULT_COLDKEY"
        );
    }

    #[test]
    fn a_value_is_read_back_and_rubbish_is_refused_without_being_repeated() {
        let name = "BT_PW__ROOT__BITTENSOR_WALLETS_DEFAULT_COLDKEY";
        // b"correct horse" XOR b"BT_PW__ROOT__", worked out by hand in Python.
        let value = "ITstIjI8K3InICYsOg==";
        assert_eq!(Password::from_variable(name, value), Ok(Password::new("correct horse")));
        for value in ["correct horse", "!", "gICA"] {
            let error = Password::from_variable(name, value).unwrap_err();
            assert!(!error.to_string().contains(value), "{error}");
        }
        assert_eq!(Password::from_variable("", "Zm9v"), Ok(Password::new("")));
    }

    #[test]
    fn weak_passwords_are_not_for_new_files() {
        assert_eq!(Password::new("short").check_new(), Err(PasswordError::Short));
        assert_eq!(Password::new("aaaabbbbaaaa").check_new(), Err(PasswordError::Monotonous));
        assert_eq!(Password::new("testpass123!").check_new(), Ok(()));
    }

    #[test]
    fn a_password_file_may_end_its_line() {
        for text in ["two words", "two words\n", "two words\r\n"] {
            assert_eq!(Password::from_file_text(text), Password::new("two words"));
        }
        assert_eq!(Password::from_file_text(" a \n\n"), Password::new(" a \n"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("testpass123!")), "Password(redacted)");
    }
}
