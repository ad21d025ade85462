//! Requests to the lab's image registry: plain HTTP, one connection each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer without its body, which a push never needs.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

/// Sends one request with a body of `length` bytes and reads the answer whole.
pub(crate) fn request(server: &str, method: &str, target: &str, content_type: &str, body: impl Read, length: u64) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_write_timeout(Some(Duration::from_secs(120)))?;
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
         Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )?;
    io::copy(&mut body.take(length), &mut stream)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let location = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))
        .map(|(_, value)| value.trim().to_owned());
    Some(Answer { status, location, text: text.to_owned() })
}
