//! Where wallets lie: `<root>/<wallet>/coldkey`, `coldkeypub.txt`, `hotkeys/<hotkey>`, `hotkeys/<hotkey>pub.txt`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::store::UNFINISHED;

/// Variable with the folder of all wallets.
pub const PATH_VARIABLE: &str = "BT_WALLET_PATH";
/// Variable with the name of the wallet.
pub const NAME_VARIABLE: &str = "BT_WALLET_NAME";
/// All variables with the name of the wallet, of which the first that says something counts: that of `bittensor-wallet`, that of `btcli`
/// since 11, and that of GRAIL and other miners, which name the coldkey so.
pub const NAME_VARIABLES: [&str; 3] = [NAME_VARIABLE, "BT_WALLET", "BT_WALLET_COLD"];
/// Variable with the name of the hotkey.
pub const HOTKEY_VARIABLE: &str = "BT_WALLET_HOTKEY";
/// All variables with the name of the hotkey, as [`NAME_VARIABLES`].
pub const HOTKEY_VARIABLES: [&str; 2] = [HOTKEY_VARIABLE, "BT_WALLET_HOT"];
/// Variable with the password of coldkeys (`bittensor` since 11).
pub const PASSWORD_VARIABLE: &str = "BT_WALLET_PASSWORD";
/// Variable with the file that holds the password of coldkeys (`bittensor` since 11).
pub const PASSWORD_FILE_VARIABLE: &str = "BT_WALLET_PASSWORD_FILE";
/// Where wallets lie unless somebody says otherwise.
pub const DEFAULT_ROOT: &str = "~/.bittensor/wallets";
/// The name of a wallet or hotkey of which nobody says otherwise.
pub const DEFAULT_NAME: &str = "default";

/// Behind the name of a public file in the folder of hotkeys.
const PUBLIC: &str = "pub.txt";

/// The name of a wallet or a hotkey: one part of a path, and nothing that could be two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("a name is wanted; it is empty")]
    Empty,
    /// A path, or a hidden file.
    #[error("`{0}` is no name of a wallet or hotkey: one without slashes and not beginning with a dot is wanted")]
    Path(String),
    /// The folder of hotkeys has public files under such names.
    #[error("`{0}` ends in {PUBLIC}, which is for the public half of a key")]
    Public(String),
    /// Too long for a file.
    #[error("a name has at most 100 bytes, not {0}")]
    Long(usize),
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > 100 {
            return Err(NameError::Long(text.len()));
        }
        if text.starts_with('.') || text.contains(|c: char| matches!(c, '/' | '\\') || c.is_control()) {
            return Err(NameError::Path(text.chars().filter(|c| !c.is_control()).collect()));
        }
        if text.ends_with(PUBLIC) {
            return Err(NameError::Public(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of all wallets.
#[derive(Debug, Clone)]
pub struct Wallets {
    root: PathBuf,
}

/// One wallet. Whether it exists, only the file system knows.
#[derive(Debug, Clone)]
pub struct Wallet {
    name: Name,
    folder: PathBuf,
}

impl Wallets {
    /// The wallets below a folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// One of them.
    pub fn wallet(&self, name: &Name) -> Wallet {
        Wallet { name: name.clone(), folder: self.root.join(name.as_str()) }
    }

    /// All there are, by name. A missing folder has none; what cannot be a wallet is passed over.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Wallet>> {
        let names = names(&self.root)?.into_iter().filter_map(|name| name.parse::<Name>().ok());
        Ok(names.map(|name| self.wallet(&name)).filter(Wallet::looks_like_one).collect())
    }
}

impl Wallet {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the coldkey.
    pub fn coldkey(&self) -> PathBuf {
        self.folder.join("coldkey")
    }

    /// The file of the coldkey's public half.
    pub fn coldkey_public(&self) -> PathBuf {
        self.folder.join(format!("coldkey{PUBLIC}"))
    }

    /// The file of a hotkey.
    pub fn hotkey(&self, name: &Name) -> PathBuf {
        self.folder.join("hotkeys").join(name.as_str())
    }

    /// The file of a hotkey's public half.
    pub fn hotkey_public(&self, name: &Name) -> PathBuf {
        self.folder.join("hotkeys").join(format!("{name}{PUBLIC}"))
    }

    /// The names of its hotkeys, those with a public half only included.
    ///
    /// # Errors
    /// The folder cannot be read; a missing one has none.
    pub fn hotkeys(&self) -> io::Result<Vec<Name>> {
        let files = names(&self.folder.join("hotkeys"))?;
        let keys = files.iter().map(|file| file.strip_suffix(PUBLIC).unwrap_or(file));
        let mut names: Vec<Name> = keys.filter_map(|name| name.parse().ok()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Files that interrupted writes left behind. There may be keys in them.
    pub fn unfinished(&self) -> Vec<PathBuf> {
        let folders = [self.folder.clone(), self.folder.join("hotkeys")];
        let entries = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        let mut files: Vec<PathBuf> =
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)).map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    /// A key that cannot be read makes a wallet, too: it shall be told of.
    fn looks_like_one(&self) -> bool {
        let there = |path: PathBuf| path.symlink_metadata().is_ok();
        there(self.coldkey()) || there(self.coldkey_public()) || self.folder.join("hotkeys").is_dir()
    }
}

/// Whether a file is a wallet's coldkey, going by its path: a hotkey may be called so, too.
pub fn is_coldkey(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    path.file_name().is_some_and(|name| name == "coldkey") && folder.is_none_or(|name| name != "hotkeys")
}

/// The names in a folder, sorted, without hidden ones and those that are no text.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_never_a_path() {
        for text in ["../x", "a/b", ".", "..", ".hidden", "a\0b", "a\nb", "", "a\\b", "minerpub.txt"] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        assert!("x".repeat(101).parse::<Name>().is_err());
        for text in ["default", "my.wallet", "über mich", "pub"] {
            assert_eq!(name(text).as_str(), text);
        }
    }

    #[test]
    fn paths_are_those_of_the_python_wallet() {
        let wallet = Wallets::at("/w").wallet(&name("mine"));
        assert_eq!(wallet.coldkey(), Path::new("/w/mine/coldkey"));
        assert_eq!(wallet.coldkey_public(), Path::new("/w/mine/coldkeypub.txt"));
        assert_eq!(wallet.hotkey(&name("hot")), Path::new("/w/mine/hotkeys/hot"));
        assert_eq!(wallet.hotkey_public(&name("hot")), Path::new("/w/mine/hotkeys/hotpub.txt"));
    }

    #[test]
    fn a_coldkey_is_known_by_its_path() {
        for (path, coldkey) in [("/w/mine/coldkey", true), ("coldkey", true), ("/w/mine/hotkeys/coldkey", false), ("/w/coldkey/x", false)] {
            assert_eq!(is_coldkey(Path::new(path)), coldkey, "{path}");
        }
    }

    #[test]
    fn wallets_and_hotkeys_are_listed_by_name() {
        let root = tempfile::tempdir().unwrap();
        let wallets = Wallets::at(root.path());
        assert!(Wallets::at(root.path().join("none")).list().unwrap().is_empty());
        for folder in ["b/hotkeys", "a/hotkeys", "empty", ".hidden/hotkeys"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in ["b/hotkeys/two", "b/hotkeys/twopub.txt", "b/hotkeys/onepub.txt", "b/hotkeys/.tmp", "stray", "a/coldkeypub.txt"] {
            std::fs::write(root.path().join(file), "").unwrap();
        }
        let list = wallets.list().unwrap();
        assert_eq!(list.iter().map(|wallet| wallet.name().as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(list[1].hotkeys().unwrap(), [name("one"), name("two")]);
        assert!(list[1].unfinished().is_empty(), "other hidden files are nobody's concern");
        std::fs::write(root.path().join("b/hotkeys/.key-x1Y2"), "").unwrap();
        std::fs::write(root.path().join("b/.key-z"), "").unwrap();
        assert_eq!(list[1].unfinished(), [root.path().join("b/.key-z"), root.path().join("b/hotkeys/.key-x1Y2")]);
        std::os::unix::fs::symlink("nowhere", root.path().join("empty/coldkey")).unwrap();
        assert_eq!(wallets.list().unwrap().len(), 3, "a dangling coldkey");
    }
}
