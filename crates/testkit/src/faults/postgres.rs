//! A proxy that reads Postgres' protocol, as far as it takes to tell one commit from another.
//!
//! Owns the frames of the protocol (version 3, PostgreSQL documentation, "Message Formats") and the names of commits. A commit is a
//! request of the method `COMMIT` whose path names what was written, as in `/insert decisions+update gpu_claims`; a statement outside
//! a transaction is a commit of its own. Reads and rollbacks pass unseen. Encryption is declined, as a server without a certificate does.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::action::{Action, Rule, Then, When};
use super::book::{Book, Outcome, RuleHandle, RuleId};
use super::engine::{Engine, FaultError};
use super::exchange::run;
use super::matcher::Matcher;
use super::seen::Seen;

/// No message of ours is longer; what says it is does not speak Postgres.
const LONGEST_BYTES: usize = 64 << 20;
/// Requests for encryption that precede the startup message: SSL, GSSAPI.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// A proxy in front of one Postgres. Clones are handles to the same. It knows [`Action::Call`], [`Action::DropBefore`],
/// [`Action::DropAfter`] and [`Action::Delay`]; rules with another action wait for ever.
#[derive(Debug, Clone)]
pub struct PgProxy {
    name: Arc<str>,
    book: Arc<Book>,
    engine: Arc<Engine>,
}

impl PgProxy {
    /// Listens on a free port of 127.0.0.1. The Postgres need not be up yet.
    ///
    /// # Errors
    /// Where there is no port or no thread.
    pub fn start(name: &str, upstream: SocketAddr) -> Result<Self, FaultError> {
        let (engine, listener) = Engine::start(name)?;
        let book = Arc::<Book>::default();
        engine.handle().spawn(serve(Arc::clone(&book), upstream, listener));
        Ok(Self { name: name.into(), book, engine: Arc::new(engine) })
    }

    /// The port on 127.0.0.1 that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.engine.address().port()
    }

    /// Adds a rule behind those that are there.
    pub fn plan(&self, rule: Rule) -> RuleHandle {
        self.book.plan(rule)
    }

    /// The commits so far that match.
    #[must_use]
    pub fn seen_of(&self, matcher: &Matcher) -> Vec<Seen> {
        self.book.journal(matcher).into_iter().map(|(seen, _)| seen).collect()
    }

    /// The commits so far and what became of them, a line for each.
    #[must_use]
    pub fn transcript(&self) -> String {
        let lines = self.book.journal(&Matcher::any()).into_iter().map(|(seen, outcome)| {
            let outcome = outcome.map_or_else(|| "under way".to_owned(), |outcome| outcome.to_string());
            format!("  {seen} -> {outcome}\n")
        });
        format!("{}:\n{}", self.name, lines.collect::<String>())
    }

    /// Forgets the journal and the rules.
    pub fn reset(&self) {
        self.book.reset();
    }
}

async fn serve(book: Arc<Book>, upstream: SocketAddr, listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking and the runtime has I/O");
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors: the clients that go will give some back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // However it ends, both sides are closed by the drop.
        drop(tokio::spawn(connection(Arc::clone(&book), upstream, client)));
    }
}

async fn connection(book: Arc<Book>, upstream: SocketAddr, mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let startup = loop {
        let frame = untyped(&mut client).await?;
        let code = frame.get(4..8).and_then(|code| code.try_into().ok()).map_or(0, u32::from_be_bytes);
        if !ENCRYPTION.contains(&code) {
            break frame;
        }
        client.write_all(b"N").await?;
    };
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    server.write_all(&startup).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let awaited = Arc::new(Awaited::default());
    let up = up(Arc::clone(&book), Arc::clone(&awaited), from_client, to_server);
    let down = down(book, awaited, from_server, to_client);
    // Whichever ends ends the other: nobody here half closes.
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// A message before the startup is over: a length, itself included, and what it says.
async fn untyped(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = length.to_be_bytes().to_vec();
    let rest = (length as usize).checked_sub(4).filter(|rest| *rest <= LONGEST_BYTES).ok_or(std::io::ErrorKind::InvalidData)?;
    frame.resize(4 + rest, 0);
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

/// Any other message: a letter before that.
async fn typed(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![from.read_u8().await?];
    frame.extend(untyped(from).await?);
    Ok(frame)
}

/// A commit whose answer is under way, and what is to be done about it.
struct Pending {
    seen: Seen,
    after: Vec<(RuleId, Action)>,
}

/// One entry for each request that the server ends with ReadyForQuery; nothing for what commits nothing.
#[derive(Default)]
struct Awaited(Mutex<VecDeque<Option<Pending>>>);

impl Awaited {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Option<Pending>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn up(book: Arc<Book>, awaited: Arc<Awaited>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    let mut session = Session::default();
    loop {
        let frame = typed(&mut from).await?;
        let commit = session.takes(&frame);
        if matches!(frame[0], b'Q' | b'S') {
            let pending = match commit {
                Some(what) => Some(before(&book, &what).await?),
                None => None,
            };
            awaited.lock().push_back(pending);
        }
        to.write_all(&frame).await?;
    }
}

/// Books a commit and does what is to be done before it; an error where it is dropped.
async fn before(book: &Book, what: &str) -> std::io::Result<Pending> {
    let method = Method::from_bytes(b"COMMIT").expect("letters only");
    let known = |action: &Action| matches!(action, Action::Call(..) | Action::DropBefore | Action::DropAfter | Action::Delay(_));
    let (seen, actions) = book.admit(Seen { is_write: true, ..Seen::classify(method, &format!("/{what}"), "", b"") }, known);
    let (first, after): (Vec<_>, Vec<_>) = actions.into_iter().partition(|(_, action)| action.when() == When::Before);
    for (rule, action) in first {
        let then = match &action {
            Action::Call(_, hook) => run(hook, &seen).await,
            Action::Delay(by) => {
                tokio::time::sleep(*by).await;
                Then::Go
            }
            _ => Then::Drop,
        };
        book.fired(rule);
        if then == Then::Drop {
            book.close(seen.n, Outcome::DroppedBefore);
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
    }
    Ok(Pending { seen, after })
}

async fn down(book: Arc<Book>, awaited: Arc<Awaited>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    // The end of authentication is a ReadyForQuery too.
    let mut greeted = false;
    let mut held = Vec::new();
    let mut status = 200;
    loop {
        let frame = typed(&mut from).await?;
        let holds = awaited.lock().front().is_some_and(|first| first.as_ref().is_some_and(|pending| !pending.after.is_empty()));
        if frame[0] == b'E' {
            status = 500;
        }
        let ready = frame[0] == b'Z';
        held.extend(frame);
        if ready && greeted {
            let pending = awaited.lock().pop_front().flatten();
            if let Some(pending) = pending {
                after(&book, pending, status).await?;
            }
            status = 200;
        }
        greeted |= ready;
        if ready || !holds {
            to.write_all(&std::mem::take(&mut held)).await?;
        }
    }
}

/// Does what is to be done between a commit and its answer; an error where that is thrown away.
async fn after(book: &Book, pending: Pending, status: u16) -> std::io::Result<()> {
    let Pending { seen, after } = pending;
    for (rule, action) in after {
        let then = match &action {
            Action::Call(_, hook) => run(hook, &seen).await,
            _ => Then::Drop,
        };
        book.fired(rule);
        if then == Then::Drop {
            book.close(seen.n, Outcome::DroppedAfter(status));
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
    }
    book.close(seen.n, Outcome::Answered(status));
    Ok(())
}

/// What a connection's messages so far mean for the next.
#[derive(Default)]
struct Session {
    /// What prepared statements write, by their names.
    prepared: HashMap<String, Vec<String>>,
    /// What was written since the last end of a transaction.
    written: BTreeSet<String>,
    in_transaction: bool,
}

impl Session {
    /// What this message commits, if it does.
    fn takes(&mut self, frame: &[u8]) -> Option<String> {
        let mut texts = frame.get(5..).unwrap_or_default().split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut text = || texts.next().unwrap_or_default();
        match frame[0] {
            b'P' => {
                let (name, sql) = (text(), text());
                self.prepared.insert(name, written_by(&sql));
            }
            b'B' => {
                let (_portal, name) = (text(), text());
                self.written.extend(self.prepared.get(&name).into_iter().flatten().cloned());
            }
            b'S' => return self.ends(!self.in_transaction),
            b'Q' => {
                let sql = text();
                match sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase().trim_end_matches(';') {
                    "BEGIN" | "START" => self.in_transaction = true,
                    "COMMIT" | "END" => {
                        self.in_transaction = false;
                        return self.ends(true);
                    }
                    // Back to a savepoint: what was written after it may be named although it is undone.
                    "ROLLBACK" | "ABORT" if sql.split_whitespace().nth(1).is_none_or(|word| !word.eq_ignore_ascii_case("TO")) => {
                        self.in_transaction = false;
                        self.written.clear();
                    }
                    _ => {
                        self.written.extend(written_by(&sql));
                        return self.ends(!self.in_transaction);
                    }
                }
            }
            _ => {}
        }
        None
    }

    fn ends(&mut self, commits: bool) -> Option<String> {
        if !commits || self.written.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.written).into_iter().collect::<Vec<_>>().join("+"))
    }
}

/// The tables that a statement writes to and how, as in `update gpu_claims`.
fn written_by(sql: &str) -> Vec<String> {
    let words: Vec<String> = sql
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| words[at].as_str());
        let after = |n: usize| words.get(at + n).map_or("", String::as_str);
        match word.as_str() {
            "insert" if after(1) == "into" => found.push(format!("insert {}", after(2))),
            "delete" if after(1) == "from" => found.push(format!("delete {}", after(2))),
            // Neither `for update` nor `on conflict do update`.
            "update" if !matches!(before, "for" | "do" | "key") => found.push(format!("update {}", after(1))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, texts: &[&str]) -> Vec<u8> {
        let body: Vec<u8> = texts.iter().flat_map(|text| text.bytes().chain([0])).collect();
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag][..], &length, &body].concat()
    }

    #[test]
    fn writes_are_found_wherever_a_statement_hides_them() {
        assert_eq!(written_by("INSERT INTO a (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET x = 2"), ["insert a"]);
        assert_eq!(written_by("WITH gone AS (DELETE FROM a RETURNING x)\n UPDATE b SET y = 1"), ["delete a", "update b"]);
        assert_eq!(written_by("SELECT 1 FROM a FOR UPDATE SKIP LOCKED"), Vec::<String>::new());
        assert_eq!(written_by("SELECT updated FROM inserts"), Vec::<String>::new());
    }

    #[test]
    fn a_transaction_is_one_commit_and_a_lone_statement_its_own() {
        let mut session = Session::default();
        assert_eq!(session.takes(&frame(b'P', &["s1", "INSERT INTO a VALUES ($1)"])), None);
        assert_eq!(session.takes(&frame(b'S', &[])), None);
        assert_eq!(session.takes(&frame(b'B', &["", "s1"])), None);
        assert_eq!(session.takes(&frame(b'S', &[])).as_deref(), Some("insert a"));
        assert_eq!(session.takes(&frame(b'Q', &["BEGIN"])), None);
        assert_eq!(session.takes(&frame(b'B', &["", "s1"])), None);
        assert_eq!(session.takes(&frame(b'S', &[])), None);
        assert_eq!(session.takes(&frame(b'Q', &["UPDATE b SET x = 1"])), None);
        assert_eq!(session.takes(&frame(b'Q', &["COMMIT"])).as_deref(), Some("insert a+update b"));
    }

    #[test]
    fn reads_and_what_is_rolled_back_commit_nothing() {
        let mut session = Session::default();
        assert_eq!(session.takes(&frame(b'Q', &["SELECT 1"])), None);
        for sql in ["BEGIN", "DELETE FROM a", "ROLLBACK", "BEGIN", "SELECT 1", "COMMIT"] {
            assert_eq!(session.takes(&frame(b'Q', &[sql])), None, "{sql}");
        }
    }
}
