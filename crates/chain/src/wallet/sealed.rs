//! Key files behind a password.

use std::fmt;

use zeroize::Zeroizing;

use super::{KeyFile, KeyFileError, Password, ansible, fernet, nacl};

/// How a key file keeps its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// In the clear.
    Plain,
    /// Argon2i and XSalsa20-Poly1305: what wallets write today. Opening takes 512 MiB of memory and some seconds.
    Nacl,
    /// An Ansible vault: PBKDF2 and AES-256-CTR with HMAC-SHA256. Older; a guess at the password costs an attacker little.
    Ansible,
    /// PBKDF2 and Fernet: the oldest. Nobody writes it any more; `bittensor-wallet` 4.1.1 fails to open it, `bittensor` 11 opens it.
    Fernet,
}

/// Why a sealed key file did not open. Never holds anything of what is inside.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The seal does not tell the two apart.
    #[error("the password is wrong (or the file is damaged)")]
    WrongPassword,
    /// Not even the outside is right.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// See [`Form::Nacl`].
    #[error("there is not enough memory: opening a file of this form takes 512 MiB")]
    Memory,
    /// What was inside is no key.
    #[error("what the password opened is not a key: {0}")]
    Inside(#[from] KeyFileError),
}

/// Why a key file was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// See [`Form::Nacl`].
    #[error("there is not enough memory: sealing a file of this form takes 512 MiB")]
    Memory,
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// The cipher refused.
    #[error("the file cannot be sealed")]
    Cipher,
}

impl Form {
    /// The form of a key file, told by its first bytes.
    pub fn of(bytes: &[u8]) -> Self {
        [(nacl::MARK, Self::Nacl), (ansible::MARK, Self::Ansible), (fernet::MARK, Self::Fernet)]
            .into_iter()
            .find(|(mark, _)| bytes.starts_with(mark))
            .map_or(Self::Plain, |(_, form)| form)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Nacl => "nacl",
            Self::Ansible => "ansible",
            Self::Fernet => "fernet",
        })
    }
}

/// A key file that waits for its password.
#[derive(Clone)]
pub struct Sealed {
    form: Form,
    bytes: Vec<u8>,
}

impl Sealed {
    pub(super) fn new(form: Form, bytes: &[u8]) -> Self {
        Self { form, bytes: bytes.to_owned() }
    }

    /// How it is sealed.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether its outside is whole, which no password is needed for.
    ///
    /// # Errors
    /// [`OpenError::Damaged`]
    pub fn check(&self) -> Result<(), OpenError> {
        match self.form {
            Form::Nacl => nacl::parts(&self.bytes).map(drop),
            Form::Ansible => ansible::parts(&self.bytes).map(drop),
            Form::Fernet => fernet::token(&self.bytes).map(drop),
            Form::Plain => Err(OpenError::Damaged("it is not sealed")),
        }
    }

    /// Opens it. Takes seconds of work, and 512 MiB of memory for [`Form::Nacl`]; within one process one such file is opened after the
    /// other. Never call it where something else waits for the thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, password: &Password) -> Result<KeyFile, OpenError> {
        // Before the work.
        self.check()?;
        let inside = match self.form {
            Form::Nacl => nacl::open(&self.bytes, &*nacl::key(password).ok_or(OpenError::Memory)?),
            Form::Ansible => ansible::open(&self.bytes, password),
            Form::Fernet => fernet::open(&self.bytes, &fernet::key(password)),
            Form::Plain => Err(OpenError::Damaged("it is not sealed")),
        }?;
        // A seal within a seal is nobody's: parsing it as plain refuses it.
        Ok(KeyFile::parse_plain(&inside)?)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.form, self.bytes.len())
    }
}

/// Seals a plain key file, such as [`WalletKey::to_json`](super::WalletKey::to_json) gives. [`Form::Plain`] leaves it as it is. Costs what
/// [`Sealed::open`] costs.
///
/// # Errors
/// See [`SealError`].
pub fn seal(plain: &[u8], form: Form, password: &Password) -> Result<Zeroizing<Vec<u8>>, SealError> {
    match form {
        Form::Plain => Ok(Zeroizing::new(plain.to_vec())),
        Form::Nacl => nacl::seal(plain, &*nacl::key(password).ok_or(SealError::Memory)?),
        Form::Ansible => ansible::seal(plain, password),
        Form::Fernet => fernet::seal(plain, &fernet::key(password)),
    }
}

/// Random bytes for nonces and salts.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
