//! What went wrong, in plain words, and the exit code that tells.

use crate::output::printable;

/// Kinds of failure; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1.
    General,
    /// 2: the command line was used wrongly.
    Usage,
    /// 3.
    NotFound,
    /// 4: the signature, the hotkey or the clock.
    Unauthorised,
    /// 5: the work was begun and did not succeed.
    RemoteFailed,
    /// 6: a person said no, or it would harm something.
    Declined,
    /// 7: the work goes on, the waiting ended.
    TimedOut,
    /// 7, too: the stream came to its end before the work did, which the existing command line takes for success.
    Unfinished,
    /// 8: nobody answers.
    Unreachable,
    /// 130.
    Interrupted,
}

/// A failure, with words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    what: String,
    advice: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None }
    }

    pub(crate) fn general(what: impl Into<String>) -> Self {
        Self::new(Kind::General, what)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted; work that was begun goes on").advise("see how it stands with: chutes-miner status")
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What went wrong, without anything that could disturb a terminal: it may be another machine's words.
    pub(crate) fn what(&self) -> String {
        printable(&self.what)
    }

    /// One or two lines, fit for a terminal as [`Failure::what`] is.
    pub(crate) fn text(&self) -> String {
        match &self.advice {
            None => format!("error: {}", self.what()),
            Some(advice) => format!("error: {}\n  try: {}", self.what(), printable(advice)),
        }
    }

    /// The exit code; `compat` gives those of the existing command line, which reported some failures as success.
    pub(crate) fn exit_code(&self, compat: bool) -> u8 {
        match (self.kind, compat) {
            (Kind::Usage, _) => 2,
            (Kind::Interrupted, _) => 130,
            (Kind::RemoteFailed | Kind::Declined | Kind::Unfinished, true) => 0,
            (_, true) | (Kind::General, false) => 1,
            (Kind::NotFound, false) => 3,
            (Kind::Unauthorised, false) => 4,
            (Kind::RemoteFailed, false) => 5,
            (Kind::Declined, false) => 6,
            (Kind::TimedOut | Kind::Unfinished, false) => 7,
            (Kind::Unreachable, false) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_server_cannot_disturb_the_terminal() {
        let failure = Failure::general("\u{1b}]0;title\u{7}no\u{9b}2J \u{202e}way").advise("\u{1b}[31mthis");
        assert_eq!(failure.text(), "error: ]0;titleno2J way\n  try: [31mthis");
    }

    #[test]
    fn every_kind_has_its_code_and_compat_has_the_old_ones() {
        for (kind, code, old) in [
            (Kind::General, 1, 1),
            (Kind::Usage, 2, 2),
            (Kind::NotFound, 3, 1),
            (Kind::Unauthorised, 4, 1),
            (Kind::RemoteFailed, 5, 0),
            (Kind::Declined, 6, 0),
            (Kind::TimedOut, 7, 1),
            (Kind::Unfinished, 7, 0),
            (Kind::Unreachable, 8, 1),
            (Kind::Interrupted, 130, 130),
        ] {
            let failure = Failure::new(kind, "x");
            assert_eq!((failure.exit_code(false), failure.exit_code(true)), (code, old), "{kind:?}");
        }
    }
}
