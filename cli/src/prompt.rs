//! A question on the terminal whose answer nobody sees: passwords and words.
//!
//! Whatever ends the question gives the terminal its echo back first. So signals are held back before the echo goes, and are waited for
//! together with the answer; Ctrl-Z stops the program with the echo on, and the question comes again when it goes on. What is typed stands
//! in one place of memory, which is wiped.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use zeroize::{Zeroize as _, Zeroizing};

/// Of an answer: what a terminal takes as one line.
const LONGEST_BYTES: usize = 4096;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// There is no terminal, or it does not work.
    NoTerminal(io::Error),
    /// The end of the input, or more than any secret of ours.
    Nothing,
    /// Ctrl-C, or a signal from outside that ends programs.
    Interrupted,
}

impl From<Errno> for Unanswered {
    fn from(error: Errno) -> Self {
        Self::NoTerminal(error.into())
    }
}

enum Heard {
    Answer(Zeroizing<String>),
    /// Ctrl-Z.
    Stop,
}

/// Asks on the terminal of the process, wherever its streams lead.
///
/// Signals are held back in this thread alone: ask before there are others, since a signal goes to any thread that takes it.
pub(crate) fn unseen(question: &str) -> Result<Zeroizing<String>, Unanswered> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(Unanswered::NoTerminal)?;
    let held = Held::back()?;
    loop {
        match ask(&terminal, &held, question)? {
            Heard::Answer(answer) => return Ok(answer),
            Heard::Stop => {
                let stop = SigSet::from(Signal::SIGTSTP);
                stop.thread_unblock()?;
                // The program stands still in here.
                let stopped = raise(Signal::SIGTSTP);
                stop.thread_block()?;
                stopped?;
            }
        }
    }
}

fn ask(mut terminal: &File, held: &Held, question: &str) -> Result<Heard, Unanswered> {
    let _quiet = Quiet::on(terminal)?;
    terminal.write_all(question.as_bytes()).map_err(Unanswered::NoTerminal)?;
    let heard = hear(terminal, held);
    // The end of the line was not shown, either.
    let _ = terminal.write_all(b"\n");
    heard
}

fn hear(mut terminal: &File, held: &Held) -> Result<Heard, Unanswered> {
    let mut typed = Zeroizing::new(vec![0; LONGEST_BYTES]);
    let mut length = 0;
    loop {
        let mut ready = [PollFd::new(held.signals.as_fd(), PollFlags::POLLIN), PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(signal) = held.signals.read_signal()? {
            let stop = i32::try_from(signal.ssi_signo).is_ok_and(|number| number == Signal::SIGTSTP as i32);
            return if stop { Ok(Heard::Stop) } else { Err(Unanswered::Interrupted) };
        }
        if !ready[1].any().unwrap_or(true) {
            continue;
        }
        // A terminal gives one line at a time, or what stands before Ctrl-D.
        match terminal.read(&mut typed[length..]) {
            Ok(0) => return Err(Unanswered::Nothing),
            Ok(read) => length += read,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(Unanswered::NoTerminal(error)),
        }
        if typed[..length].ends_with(b"\n") {
            return text(&typed[..length - 1]).map(Heard::Answer).ok_or(Unanswered::Nothing);
        }
    }
}

fn text(bytes: &[u8]) -> Option<Zeroizing<String>> {
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

/// The signals that end or stop a program, held back until it is dropped. Those that were heard are gone.
struct Held {
    before: SigSet,
    signals: SignalFd,
}

impl Held {
    fn back() -> nix::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP].into_iter().collect();
        let heard = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?, signals: heard })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(terminal: &'a File) -> nix::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        // Whole lines, and signals for Ctrl-C and Ctrl-Z, whatever ran before.
        quiet.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(terminal, SetArg::TCSADRAIN, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}
