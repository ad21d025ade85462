//! A static stand-in for a chute, and the three other programs that its image needs.
//!
//! One binary under four names: `chutes` claims, verifies, activates and answers probes; `sh` and `curl`
//! do what the readiness probe asks of them; `cache-cleaner` is the init container. Called by its own
//! name it takes the applet's name as its first argument.

#![allow(clippy::disallowed_methods, reason = "plain threads, no runtime that a sleep could block")]

mod chute;
mod cleaner;
mod curl;
mod shell;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().collect();
    if args.first().is_some_and(|name| base(name) == "fake-chute") {
        args.remove(0);
    }
    let Some(name) = args.first().map(|name| base(name).to_owned()) else {
        eprintln!("usage: fake-chute chutes|sh|curl|cache-cleaner [ARGUMENT]...");
        return ExitCode::from(2);
    };
    let code = applet(&name, &args[1..]).unwrap_or_else(|| {
        eprintln!("fake-chute: no applet {name}; write chutes, sh, curl or cache-cleaner");
        127
    });
    ExitCode::from(code)
}

fn base(name: &str) -> &str {
    Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name)
}

/// Runs an applet to its exit code, or says that there is none of this name.
fn applet(name: &str, args: &[String]) -> Option<u8> {
    match name {
        "chutes" => Some(chute::main(args)),
        "sh" => Some(shell::main(args)),
        "curl" => Some(curl::main(args)),
        "cache-cleaner" => Some(cleaner::main()),
        _ => None,
    }
}
