//! Seals that open again, with the password they were made with and no other; and bytes that are nothing.

use super::super::{WalletKey, key_from_uri};
use super::*;

/// Written by bittensor-wallet 4.1.1 with the password testpass123!.
const VAULT: &[u8] = include_bytes!("../../testdata/wallet/ansible-4.1.1");
const ADDRESS: &str = "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX";

fn sealed(bytes: &[u8]) -> Sealed {
    match KeyFile::parse(bytes).unwrap() {
        KeyFile::Sealed(sealed) => sealed,
        other => panic!("{other:?} is not sealed"),
    }
}

fn alice() -> WalletKey {
    key_from_uri("//Alice").unwrap()
}

#[test]
fn a_vault_of_the_python_wallet_opens() {
    let vault = sealed(VAULT);
    assert_eq!(vault.form(), Form::Ansible);
    assert_eq!(vault.open(&Password::new("testpass123!")).unwrap().address().unwrap(), ADDRESS);
    assert!(matches!(vault.open(&Password::new("testpass123")), Err(OpenError::WrongPassword)));
}

#[test]
fn a_vault_of_ours_opens_and_looks_like_theirs() {
    let password = Password::new("päss wörd");
    let file = seal(&alice().to_json(), Form::Ansible, &password).unwrap();
    assert_eq!(sealed(&file).open(&password).unwrap().address(), Some(alice().address()));
    let lines = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::len).take(5).collect::<Vec<_>>();
    assert_eq!(lines(&file), lines(VAULT));
}

#[test]
fn a_damaged_vault_is_an_error() {
    let password = Password::new("testpass123!");
    for bytes in [
        &VAULT[..200],
        b"$ANSIBLE_VAULT;1.1;AES256\n",
        b"$ANSIBLE_VAULT;1.1;AES256\n3161\n",
        b"$ANSIBLE_VAULT;2.0;AES256\n00",
        b"$ANSIBLE_VAULT",
    ] {
        assert!(matches!(sealed(bytes).open(&password), Err(OpenError::Damaged(_) | OpenError::WrongPassword)), "{bytes:?}");
    }
    let labelled = String::from_utf8(VAULT.to_vec()).unwrap().replacen("1.1;AES256", "1.2;AES256;dev", 1).replace('\n', "\r\n");
    assert!(sealed(labelled.as_bytes()).open(&password).is_ok());
}

#[test]
fn a_broken_outside_is_told_without_a_password() {
    let whole = nacl::seal(b"{}", &[7; 32]).unwrap();
    let token = fernet::seal(b"{}", &fernet::Key::new([7; 32])).unwrap();
    for bytes in [&whole[..], &token, VAULT] {
        assert!(sealed(bytes).check().is_ok());
        assert!(matches!(sealed(&bytes[..40]).check(), Err(OpenError::Damaged(_))));
        // And without the work.
        assert!(matches!(sealed(&bytes[..40]).open(&Password::new("x")), Err(OpenError::Damaged(_))));
    }
    assert!(matches!(sealed(b"gAAAAA==!").check(), Err(OpenError::Damaged(_))));
}

#[test]
fn forms_are_told_by_their_first_bytes() {
    for (bytes, form) in [
        (&b"$NACLx"[..], Form::Nacl),
        (b"$ANSIBLE_VAULT;", Form::Ansible),
        (b"gAAAAAx", Form::Fernet),
        (b"$NAC", Form::Plain),
        (b"{}", Form::Plain),
    ] {
        assert_eq!(Form::of(bytes), form);
    }
}

#[test]
fn a_seal_within_a_seal_is_refused() {
    let password = Password::new("testpass123!");
    let twice = seal(VAULT, Form::Ansible, &password).unwrap();
    assert!(matches!(sealed(&twice).open(&password), Err(OpenError::Inside(KeyFileError::Unknown))));
}

#[test]
fn debug_shows_only_form_and_size() {
    assert_eq!(format!("{:?}", sealed(b"$NACL123")), "Sealed(nacl, 8 bytes)");
}
