//! `wallet convert`: the same key in another form.

use super::{failed, files, make, secret, unlocked};
use crate::{
    args::wallet::Convert,
    failure::{Failure, Kind},
    hotkey::expand,
    output,
};
use chain::wallet::{Form, public_json, seal, store};
use zeroize::Zeroizing;

pub(super) fn run(args: &Convert) -> Result<(), Failure> {
    if args.password_file.as_deref() == Some("-") && args.new_password_file.as_deref() == Some("-") {
        return Err(Failure::new(Kind::Usage, "both passwords cannot come from standard input"));
    }
    let (file, public) = files(&args.which)?;
    let target = args.out.as_ref().map_or_else(|| file.clone(), |out| expand(out));
    // Before anybody is asked for a password.
    if !args.overwrite && target.symlink_metadata().is_ok() {
        return Err(failed(store::StoreError::Exists(target)));
    }
    let form = Form::from(args.to);
    let key = unlocked(&file, args.password_file.as_deref())?;
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
        Form::Fernet => output::note("warning: the Python wallets of today cannot open this form"),
        Form::Plain | Form::Nacl => {}
    }
    store::write(&target, &bytes, args.overwrite).map_err(failed)?;
    // Behind a password nobody sees whose key it is.
    if args.out.is_none() && !public.exists() {
        store::write(&public, &public_json(key.address()), false).map_err(failed)?;
    }
    make::report(key.address(), &target, form.to_string(), args.output);
    Ok(())
}
