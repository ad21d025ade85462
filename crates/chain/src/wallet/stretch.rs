//! PBKDF2, by the one function of its crate that is no template: a template is compiled with this crate, which a debug build does not
//! optimise, and ten million rounds would take a minute instead of seconds.

use pbkdf2::{Algorithm, Params};

/// Fills `out` with PBKDF2-HMAC-SHA256 of `password` and `salt`.
pub(super) fn sha256(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    stretch(Algorithm::Pbkdf2Sha256, password, salt, rounds, out);
}

/// Fills `out` with PBKDF2-HMAC-SHA512 of `password` and `salt`.
pub(super) fn sha512(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    stretch(Algorithm::Pbkdf2Sha512, password, salt, rounds, out);
}

fn stretch(algorithm: Algorithm, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    // The length of the output is that of `out`, whatever the parameters say.
    let params = Params::new(rounds).expect("all forms have more rounds than the crate's minimum of 1,000");
    pbkdf2::pbkdf2_hmac_with_params(password, salt, algorithm, params, out);
}
