//! `wallet convert`: the same key in another form.

use super::{expanded, failed, files, make, unlocked, warn_of_folder};
use crate::{args::wallet::Convert, failure::Failure, output, secret};
use chain::wallet::{Form, public_json, seal, store};
use zeroize::Zeroizing;

pub(super) fn run(args: &Convert) -> Result<(), Failure> {
    let passwords = [("--password-file", args.password_file.as_deref()), ("--new-password-file", args.new_password_file.as_deref())];
    secret::one_from_standard_input(&passwords)?;
    let (file, public) = files(&args.which)?;
    let target = args.out.as_deref().map_or_else(|| Ok(file.clone()), expanded)?;
    // Before anybody is asked for a password. In place, a link would be replaced and the key behind it stay as it is.
    store::check_place(&target, args.overwrite).map_err(failed)?;
    warn_of_folder(&target);
    let form = Form::from(args.to);
    let key = unlocked(&file, args.password_file.as_deref())?;
    if args.out.is_none() {
        // Sealed below the address of another key, it would be taken for that one.
        make::fits(&public, key.address()).map_err(|what| {
            Failure::general(format!("{what}; nothing was written")).advise("the right public file; or remove it, and it is written again")
        })?;
    }
    let json = key.to_json();
    let bytes = if form == Form::Plain {
        output::note(&format!("warning: whoever can read {} will have this key", target.display()));
        Zeroizing::new(json.to_vec())
    } else {
        let password = secret::new_password(&target, args.new_password_file.as_deref(), "--new-password-file")?;
        seal(&json, form, &password).map_err(|error| Failure::general(error.to_string()))?
    };
    match form {
        Form::Ansible => output::note("warning: a guess at the password of an Ansible vault costs little; nacl is safer"),
        Form::Fernet => output::note("warning: bittensor-wallet (as of 4.1.1) cannot open this form"),
        Form::Plain | Form::Nacl => {}
    }
    store::write(&target, &bytes, args.overwrite).map_err(failed)?;
    // Behind a password nobody sees whose key it is.
    if args.out.is_none() && public.symlink_metadata().is_err() {
        store::write(&public, &public_json(key.address()), false).map_err(|error| make::half_written(&error, key.address(), &target))?;
    }
    make::report(key.address(), &target, form.to_string(), args.output);
    Ok(())
}
