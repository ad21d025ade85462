//! `chutes run`: what a chute does from its start to SIGTERM.

mod calls;
mod gpus;
mod probes;
mod settings;
mod token;

use std::{thread, time::Duration};

use nix::sys::signal::{SigSet, Signal};

use self::{
    calls::{Calls, Claimed},
    probes::{Probes, State},
    settings::{Settings, Step},
};

/// What any failure exits with, as the genuine runtime does.
const FAILED: u8 = 137;

/// Runs a chute until it is told to stop. A failure is one line that never holds the token.
pub(crate) fn main(args: &[String]) -> u8 {
    // Before any thread exists, so that all of them inherit the mask; as PID 1 nothing else would stop us.
    stop_on_signals();
    match run(args) {
        Ok(never) => match never {},
        Err(why) => {
            eprintln!("chutes: {why}");
            FAILED
        }
    }
}

fn run(args: &[String]) -> Result<std::convert::Infallible, String> {
    let settings = Settings::read(args, |name| std::env::var(name).ok())?;
    let token = token::Token::parse(&settings.launch_jwt)?;
    let gpus = gpus::devices(&settings.visible_devices, settings.gpu_model.as_deref())?;
    let probes = Probes::serve(&settings)?;
    println!("chutes: {} with {} GPU(s), launch config {}", settings.ref_str, gpus.len(), token.config_id);

    settings.hook(Step::Start)?;
    thread::sleep(settings.claim_delay);
    let calls = Calls::new(&token, &settings);
    settings.hook(Step::Claim)?;
    let claimed: Claimed = calls.claim(&gpus)?;
    probes.set(State::Claimed);
    println!("chutes: claimed");

    settings.hook(Step::Verify)?;
    let activation_url = calls.verify(&claimed, &gpus)?;
    probes.set(State::Verified);
    println!("chutes: verified");

    thread::sleep(settings.startup);
    settings.hook(Step::Activate)?;
    calls.activate(&activation_url)?;
    probes.set(State::Active);
    println!("chutes: active");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn stop_on_signals() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    if signals.thread_block().is_err() {
        return;
    }
    thread::spawn(move || {
        if signals.wait().is_ok() {
            println!("chutes: told to stop");
            std::process::exit(0);
        }
    });
}
