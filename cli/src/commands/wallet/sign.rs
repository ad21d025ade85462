//! `wallet sign` and `wallet verify`: sr25519 with the context `substrate`, as the network signs.

use super::{expanded, files, key};
use crate::{
    args::{
        Output,
        wallet::{Sign, Verify, Which},
    },
    failure::{Failure, Kind},
    output, secret,
};
use chain::wallet::store;
use protocol::ids::Ss58;
use protocol::key::{Signature, verify as is_signed};
use serde_json::json;
use std::io::Read as _;

/// Of a message.
const LONGEST_BYTES: u64 = 64 << 20;

pub(super) fn sign(args: &Sign) -> Result<(), Failure> {
    let files = [("--message-file", args.message_file.as_deref()), ("--password-file", args.password_file.as_deref())];
    secret::one_from_standard_input(&files)?;
    let message = message(args.message.as_deref(), args.message_file.as_deref())?;
    let key = key(&args.which, args.password_file.as_deref())?;
    let signature = key.keypair().sign(&message);
    match args.output {
        Output::Table => output::line(&signature.to_string()),
        Output::Json => output::json(&json!({ "address": key.address(), "signature": signature.to_string() })),
    }
    Ok(())
}

pub(super) fn verify(args: &Verify) -> Result<(), Failure> {
    let signature = args.signature.trim();
    let signature: Signature = signature
        .strip_prefix("0x")
        .unwrap_or(signature)
        .parse()
        .map_err(|_| Failure::new(Kind::Usage, "a signature has 128 hexadecimal digits, after an optional 0x"))?;
    let signer = match &args.address {
        Some(address) => address.parse().map_err(|error: protocol::ids::IdError| Failure::new(Kind::Usage, error.to_string()))?,
        None => address(&args.which)?,
    };
    let message = message(args.message.as_deref(), args.message_file.as_deref())?;
    let valid = is_signed(&signer, &message, &signature);
    if args.output == Output::Json {
        output::json(&json!({ "address": signer, "valid": valid }));
    } else if valid {
        output::line(&format!("{signer} signed this."));
    }
    if valid { Ok(()) } else { Err(Failure::general(format!("this is not a signature of {signer} over this message"))) }
}

/// The address of a key of ours: no password is needed for what its public half says.
pub(crate) fn address(which: &Which) -> Result<Ss58, Failure> {
    let (file, public) = files(which)?;
    let known = [&file, &public].into_iter().find_map(|path| store::read(path).ok()?.key.address().cloned());
    known.ok_or_else(|| {
        let what = format!("neither {} nor {} says an address", file.display(), public.display());
        Failure::new(Kind::NotFound, what).advise("--address SS58")
    })
}

fn message(text: Option<&str>, file: Option<&str>) -> Result<Vec<u8>, Failure> {
    let Some(file) = file else { return Ok(text.unwrap_or_default().as_bytes().to_vec()) };
    let unreadable = |error: std::io::Error| Failure::general(format!("cannot read the message {file}: {error}"));
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(LONGEST_BYTES + 1).read_to_end(&mut bytes),
        file => std::fs::File::open(expanded(file)?).map_err(unreadable)?.take(LONGEST_BYTES + 1).read_to_end(&mut bytes),
    };
    read.map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(Failure::new(Kind::Usage, "the message is longer than 64 MiB; sign its hash"));
    }
    Ok(bytes)
}
