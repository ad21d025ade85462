//! What a rule does to a request, and for how many of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::matcher::Matcher;
use super::refusal::Refusal;
use super::seen::Seen;

/// On which side of a request's effect something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// The upstream has not heard of the request.
    Before,
    /// The upstream has answered, the client has not heard it.
    After,
}

/// What becomes of a request after its hook ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It goes on as if nothing had been.
    Go,
    /// Its connection is closed: not forwarded before, the answer thrown away after.
    Drop,
}

/// Code of the test that runs while a request stands still. It may block, and it may use the proxy it hangs on.
pub type Hook = Arc<dyn Fn(&Seen) -> Then + Send + Sync>;

/// What a rule does to a request. The actions of several rules for one request are done in the order of their planning.
#[derive(Clone)]
pub enum Action {
    /// Answers in the upstream's place; nothing is forwarded.
    Refuse(Refusal),
    /// Closes the connection; nothing is forwarded.
    DropBefore,
    /// Forwards, waits for the upstream's answer, throws it away and closes the connection.
    DropAfter,
    /// Forwards later.
    Delay(Duration),
    /// Forwards at once and passes the answer on later.
    DelayAnswer(Duration),
    /// Neither forwards nor answers, for as long as the client waits.
    Hang,
    /// Forwards, waits for the upstream's answer and never passes it on.
    HangAfter,
    /// Passes at most so many bytes of the answer's body on (after an upgrade: of what the upstream sends), then closes the connection.
    CutBody(u64),
    /// Answers a read with what the upstream answered to the same read last. Never for a read that was not answered before.
    StaleList,
    /// Answers a watch with the one event, as JSON, that says that its resource version is too old. Never for anything but a watch.
    Gone410,
    /// Runs code of the test before forwarding, or between the upstream's answer and the client's hearing it.
    Call(When, Hook),
}

impl Action {
    /// [`Action::Call`] before the request is forwarded.
    #[must_use]
    pub fn before(hook: impl Fn(&Seen) -> Then + Send + Sync + 'static) -> Self {
        Self::Call(When::Before, Arc::new(hook))
    }

    /// [`Action::Call`] after the upstream answered.
    #[must_use]
    pub fn after(hook: impl Fn(&Seen) -> Then + Send + Sync + 'static) -> Self {
        Self::Call(When::After, Arc::new(hook))
    }

    /// [`Action::Call`] on the given side.
    #[must_use]
    pub fn call(when: When, hook: impl Fn(&Seen) -> Then + Send + Sync + 'static) -> Self {
        Self::Call(when, Arc::new(hook))
    }

    pub(super) fn when(&self) -> When {
        match self {
            Self::Refuse(_) | Self::DropBefore | Self::Delay(_) | Self::Hang | Self::StaleList | Self::Gone410 => When::Before,
            Self::DropAfter | Self::DelayAnswer(_) | Self::HangAfter | Self::CutBody(_) => When::After,
            Self::Call(when, _) => *when,
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(refusal) => write!(f, "refuse with {}", refusal.status().as_u16()),
            Self::DropBefore => f.write_str("drop before"),
            Self::DropAfter => f.write_str("drop after"),
            Self::Delay(by) => write!(f, "delay by {by:?}"),
            Self::DelayAnswer(by) => write!(f, "delay the answer by {by:?}"),
            Self::Hang => f.write_str("hang before"),
            Self::HangAfter => f.write_str("hang after"),
            Self::CutBody(bytes) => write!(f, "cut the body after {bytes} bytes"),
            Self::StaleList => f.write_str("stale list"),
            Self::Gone410 => f.write_str("watch expired"),
            Self::Call(When::Before, _) => f.write_str("call before"),
            Self::Call(When::After, _) => f.write_str("call after"),
        }
    }
}

/// An action for the requests that match, so many times.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The requests that it is for.
    pub matching: Matcher,
    /// What is done to them.
    pub action: Action,
    /// To how many of them, at most; `None` is all.
    pub times: Option<u64>,
}

impl Rule {
    /// For the first request that matches.
    #[must_use]
    pub fn once(matching: Matcher, action: Action) -> Self {
        Self { matching, action, times: Some(1) }
    }

    /// For the first `times` requests that match.
    #[must_use]
    pub fn times(matching: Matcher, action: Action, times: u64) -> Self {
        Self { matching, action, times: Some(times) }
    }

    /// For every request that matches, until it is cancelled.
    #[must_use]
    pub fn always(matching: Matcher, action: Action) -> Self {
        Self { matching, action, times: None }
    }
}
