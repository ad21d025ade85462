//! The upstream's answer on its way to the client, frame by frame as it comes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream;
use http::response::Parts;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::sync::watch;

use super::line::Tap;
use super::lists::{Key, LARGEST_BYTES, Lists, Recorded};
use super::refusal::expired_event;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a rule cut the answer")]
    Cut,
    #[error("the upstream broke off")]
    Upstream(#[from] hyper::Error),
}

/// What the proxy answers with.
pub(super) type OutBody = UnsyncBoxBody<Bytes, Broken>;

/// A body that is there as a whole.
pub(super) fn whole(body: impl Into<Bytes>) -> OutBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An upstream's body and what is to be done with it on the way.
pub(super) struct Relay {
    inner: Incoming,
    tap: Tap,
    left: Option<u64>,
    expiry: Option<watch::Receiver<u64>>,
    recorder: Option<Recorder>,
    ended: bool,
}

impl Relay {
    pub(super) fn new(inner: Incoming, tap: Tap) -> Self {
        Self { inner, tap, left: None, expiry: None, recorder: None, ended: false }
    }

    /// At most so many bytes, then the connection breaks.
    pub(super) fn cut(mut self, bytes: Option<u64>) -> Self {
        self.left = bytes;
        self
    }

    /// Ends as an expired watch does when the number changes.
    pub(super) fn expiry(mut self, expiry: Option<watch::Receiver<u64>>) -> Self {
        self.expiry = expiry;
        self
    }

    /// Keeps the body, once it was passed on as a whole.
    pub(super) fn record(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    pub(super) fn into_body(self) -> OutBody {
        let frames = stream::unfold(self, |mut relay| async move { relay.next().await.map(|frame| (frame, relay)) });
        StreamBody::new(frames).boxed_unsync()
    }

    async fn next(&mut self) -> Option<Result<Frame<Bytes>, Broken>> {
        if self.ended {
            return None;
        }
        if self.left == Some(0) {
            self.ended = true;
            // One turn of the connection, in which it writes what it holds: an error makes it forget that.
            tokio::task::yield_now().await;
            return Some(Err(Broken::Cut));
        }
        let frame = tokio::select! {
            biased;
            () = expired(&mut self.expiry) => {
                self.ended = true;
                return Some(Ok(Frame::data(Bytes::from(expired_event()))));
            }
            frame = self.inner.frame() => frame,
        };
        if !self.tap.down().await {
            self.ended = true;
            return Some(Err(Broken::Cut));
        }
        match frame {
            None => {
                self.ended = true;
                self.recorded();
                None
            }
            Some(Ok(frame)) => {
                let frame = self.pass(frame);
                // A body of announced length is not asked for its end.
                if self.inner.is_end_stream() {
                    self.recorded();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.ended = true;
                Some(Err(error.into()))
            }
        }
    }

    fn recorded(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            recorder.finish();
        }
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return trailers,
        };
        if let Some(left) = &mut self.left {
            data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= data.len() as u64;
            self.recorder = None;
        }
        if self.recorder.as_mut().is_some_and(|recorder| !recorder.add(&data)) {
            self.recorder = None;
        }
        Frame::data(data)
    }
}

async fn expired(expiry: &mut Option<watch::Receiver<u64>>) {
    let told = match expiry {
        Some(expiry) => expiry.changed().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}

/// Gathers an answer while it passes.
pub(super) struct Recorder {
    lists: Arc<Lists>,
    key: Key,
    answer: Recorded,
    body: BytesMut,
}

impl Recorder {
    pub(super) fn new(lists: Arc<Lists>, key: Key, head: &Parts) -> Self {
        let answer = Recorded { status: head.status, headers: head.headers.clone(), body: Bytes::new() };
        Self { lists, key, answer, body: BytesMut::new() }
    }

    /// Whether it is still worth keeping.
    fn add(&mut self, data: &[u8]) -> bool {
        self.body.extend_from_slice(data);
        self.body.len() <= LARGEST_BYTES
    }

    fn finish(mut self) {
        self.answer.body = self.body.freeze();
        self.lists.keep(self.key, self.answer);
    }
}
