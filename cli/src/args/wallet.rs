//! `wallet` and its commands.

use super::Output;
use chain::wallet::Form as KeyForm;
use chain::wallet::place::{DEFAULT_ROOT, HOTKEY_VARIABLE, NAME_VARIABLE, PATH_VARIABLE};
use clap::{ArgGroup, Args as ClapArgs, Subcommand, ValueEnum};

const PASSWORDS: &str = "A password is read from a file that only you may read (- for standard input),\n\
    else from a variable of the Python wallets: BT_PW_…, and for coldkeys\n\
    BT_WALLET_PASSWORD or BT_WALLET_PASSWORD_FILE; else asked for. None of them\n\
    gives the password of a new file.";

const FORMS: &str = "Forms: plain, in the clear; nacl, which wallets write today; ansible, a vault for\n\
    older tools, weaker; fernet, the oldest, which bittensor-wallet cannot open.\n";

const NEW: &str = "Examples:\n  chutes-miner wallet new-coldkey --wallet-name miner\n  \
    chutes-miner wallet new-hotkey --wallet-name miner --wallet-hotkey h1\n\n\
    The words are shown once, on a terminal, or written to --phrase-file. Keep them\n\
    on paper: whoever has them has the key.";

const REGEN: &str = "Examples:\n  chutes-miner wallet regen hotkey --wallet-name miner --wallet-hotkey h1\n  \
    chutes-miner wallet regen coldkey --polkadot-json export.json\n  \
    chutes-miner wallet regen coldkey --address SS58\n\n\
    What is asked for, or stands in --secret-file: words, a seed (0x and 64 digits),\n\
    or a URI with junctions, such as //Alice.";

/// Keys of the fleet, in the files all Bittensor tools share.
#[derive(Debug, ClapArgs)]
pub(crate) struct Wallet {
    #[command(subcommand)]
    pub(crate) command: WalletCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    /// List wallets and their keys
    List(List),
    /// Show the keys of a wallet, or one file
    Show(Show),
    /// Make a hotkey
    NewHotkey(New),
    /// Make a coldkey
    NewColdkey(New),
    /// Write a key file from words, a seed, an export or an address
    Regen(Regen),
    /// Sign a message
    Sign(Sign),
    /// Say whether a signature is right; 1 if it is not
    Verify(Verify),
    /// Write a key file in another form: encrypt, decrypt, modernise
    Convert(Convert),
}

/// Which wallet.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true, next_help_heading = "Wallet")]
pub(crate) struct Place {
    /// Folder of all wallets
    #[arg(long, alias = "wallet.path", env = PATH_VARIABLE, value_name = "DIR", default_value = DEFAULT_ROOT)]
    pub(crate) wallet_path: String,
    /// The wallet, else default
    #[arg(long, alias = "wallet.name", env = NAME_VARIABLE, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) wallet_name: String,
    /// The hotkey, else default
    #[arg(long, alias = "wallet.hotkey", env = HOTKEY_VARIABLE, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) wallet_hotkey: String,
}

/// Which key of it.
#[derive(Clone, Debug, ClapArgs)]
#[command(args_override_self = true, next_help_heading = "Wallet")]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The coldkey instead of the hotkey
    #[arg(long)]
    pub(crate) coldkey: bool,
    /// A key file, wherever it lies
    #[arg(long, value_name = "FILE", conflicts_with = "coldkey")]
    pub(crate) file: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct List {
    /// Folder of all wallets
    #[arg(long, alias = "wallet.path", env = PATH_VARIABLE, value_name = "DIR", default_value = DEFAULT_ROOT)]
    pub(crate) wallet_path: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true, after_help = PASSWORDS)]
pub(crate) struct Show {
    /// Open the encrypted keys, which asks for their passwords
    #[arg(long)]
    pub(crate) unlock: bool,
    /// File with the password
    #[arg(long, value_name = "FILE", requires = "unlock")]
    pub(crate) password_file: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true, after_help = NEW)]
pub(crate) struct New {
    /// Words of the phrase: 12, 15, 18, 21 or 24
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub(crate) words: usize,
    /// Write the words there instead of showing them
    #[arg(long, value_name = "FILE")]
    pub(crate) phrase_file: Option<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How a key file is written.
#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct Writing {
    /// How the file keeps the key; hotkeys are plain, coldkeys nacl unless said otherwise
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) form: Option<Form>,
    /// File with the password for the new key file
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<String>,
    /// Replace a key that is there; without its words it is lost
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// How to print the outcome
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true, after_help = REGEN)]
pub(crate) struct Regen {
    /// Which key
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// File with words, seed or URI (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["polkadot_json", "address"])]
    pub(crate) secret_file: Option<String>,
    /// Export of a browser wallet
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    pub(crate) polkadot_json: Option<String>,
    /// File with the password of the export
    #[arg(long, value_name = "FILE", requires = "polkadot_json")]
    pub(crate) export_password_file: Option<String>,
    /// Only the public half, of this address: to look, not to sign
    #[arg(long, value_name = "SS58", conflicts_with_all = ["form", "password_file"])]
    pub(crate) address: Option<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Hotkey,
    Coldkey,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true, after_help = PASSWORDS)]
pub(crate) struct Sign {
    /// The text to sign
    #[arg(required_unless_present = "message_file", conflicts_with = "message_file")]
    pub(crate) message: Option<String>,
    /// File whose exact bytes to sign (- for standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) message_file: Option<String>,
    /// File with the password of the key
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, ClapArgs)]
#[command(args_override_self = true)]
pub(crate) struct Verify {
    /// The text that was signed
    #[arg(required_unless_present = "message_file", conflicts_with = "message_file")]
    pub(crate) message: Option<String>,
    /// File whose exact bytes were signed (- for standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) message_file: Option<String>,
    /// 128 hexadecimal digits, with or without 0x
    #[arg(long, value_name = "HEX")]
    pub(crate) signature: String,
    /// Who signed; without it, the key of the wallet
    #[arg(long, value_name = "SS58", conflicts_with_all = ["coldkey", "file"])]
    pub(crate) address: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    override_usage = "chutes-miner wallet convert [OPTIONS] --to FORM --out FILE\n       \
        chutes-miner wallet convert [OPTIONS] --to FORM --overwrite",
    group = ArgGroup::new("where_to").required(true).multiple(true).args(["out", "overwrite"]),
    after_help = FORMS.to_owned() + PASSWORDS
)]
pub(crate) struct Convert {
    /// The form to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) to: Form,
    /// Write it there instead
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<String>,
    /// Replace what is there: the key file itself, or --out
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// File with the password of the key as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<String>,
    /// File with the password to write it with
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<String>,
    /// How to print the outcome
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Plain,
    Nacl,
    Ansible,
    Fernet,
}

impl From<Form> for KeyForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Plain => Self::Plain,
            Form::Nacl => Self::Nacl,
            Form::Ansible => Self::Ansible,
            Form::Fernet => Self::Fernet,
        }
    }
}
