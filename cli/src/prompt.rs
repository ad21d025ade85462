//! A question on the terminal whose answer nobody sees: passwords and words.
//!
//! Whatever ends the question gives the terminal its echo back first. So signals are held back before the echo goes, and are waited for
//! together with the answer; Ctrl-Z stops the program with the echo on, and the question comes again when it goes on. What is typed stands
//! in one place of memory, which is wiped.
//!
//! A signal goes to any thread that takes it. Where there are others, [`guard`] waits for those that end the program, and whoever ends it
//! otherwise calls [`give_back`].

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::thread;
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

/// The terminal that lost its echo, and how it was.
static OPEN: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Ends a question for the terminal, which has its echo again; without one, does nothing.
pub(crate) fn give_back() {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((terminal, before)) = open {
        // At once: a terminal that stands still (Ctrl-S) must not hold up an end.
        let _ = tcsetattr(&terminal, SetArg::TCSANOW, &before);
    }
}

/// Lets every signal that ends the program give the terminal back first. Threads that were there before take signals as ever.
pub(crate) fn guard() {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    // What is blocked here is blocked in all threads to come, and waits for the one that takes it.
    if signals.thread_block().is_err() {
        return;
    }
    let waiting = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // An interrupt is for whoever asks, or ends a command well.
        let _ = SigSet::from(Signal::SIGINT).thread_block();
        while let Ok(signal) = signals.wait() {
            give_back();
            // Then it does what it does: ends the program, nothing under nohup, or what a handler wants.
            let signals = SigSet::from(signal);
            let _ = signals.thread_unblock();
            let _ = raise(signal);
            let _ = signals.thread_block();
        }
    });
    if waiting.is_err() {
        let _ = signals.thread_unblock();
    }
}

/// Asks on the terminal of the process, wherever its streams lead.
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

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet;

impl Quiet {
    fn on(terminal: &File) -> Result<Self, Unanswered> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        // Whole lines, and signals for Ctrl-C and Ctrl-Z, whatever ran before.
        quiet.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        let kept = terminal.try_clone().map_err(Unanswered::NoTerminal)?;
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some((kept, before));
        // From here on, since dropping it undoes a change that was made by halves.
        let on = Self;
        tcsetattr(terminal, SetArg::TCSADRAIN, &quiet)?;
        Ok(on)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_comes_back_with_the_end_of_the_question_or_of_the_program() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let terminal = File::from(pair.slave);
        let flags = || tcgetattr(&terminal).unwrap().local_flags;
        let before = flags();
        assert!(before.contains(LocalFlags::ECHO));
        let quiet = Quiet::on(&terminal).unwrap();
        assert!(!flags().contains(LocalFlags::ECHO) && flags().contains(LocalFlags::ICANON | LocalFlags::ISIG));
        drop(quiet);
        assert_eq!(flags(), before);

        // The program ends while another thread asks.
        let quiet = Quiet::on(&terminal).unwrap();
        assert_ne!(flags(), before);
        give_back();
        assert_eq!(flags(), before);
        drop(quiet);
        assert_eq!(flags(), before);
    }

    #[test]
    fn an_answer_is_text() {
        assert_eq!(text("wörter".as_bytes()).unwrap().as_str(), "wörter");
        assert!(text(&[0xff]).is_none());
    }
}
