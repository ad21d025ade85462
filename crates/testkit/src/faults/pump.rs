//! Bytes both ways between two streams, under a line.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::line::Tap;

/// Bytes that passed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) up: AtomicU64,
    pub(super) down: AtomicU64,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

/// Copies until both sides have ended, one broke, the line was severed, or `limit` bytes went down.
pub(super) async fn pump<C, U>(client: C, upstream: U, mut tap: Tap, limit: Option<u64>, counts: &Counts)
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let up = copy(from_client, to_upstream, tap.clone(), Direction::Up, None, &counts.up);
    let down = copy(from_upstream, to_client, tap.clone(), Direction::Down, limit, &counts.down);
    // However it ends, both sides are closed by the drop.
    tokio::select! {
        () = tap.severed() => {}
        _ = async { tokio::try_join!(up, down) } => {}
    }
}

async fn copy<R, W>(mut from: R, mut to: W, mut tap: Tap, way: Direction, mut limit: Option<u64>, count: &AtomicU64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let open = match way {
            Direction::Up => tap.up().await,
            Direction::Down => tap.down().await,
        };
        if !open {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if read == 0 {
            // The other direction may still have something to say.
            return to.shutdown().await;
        }
        let allowed = limit.map_or(read, |left| read.min(usize::try_from(left).unwrap_or(usize::MAX)));
        to.write_all(&buffer[..allowed]).await?;
        to.flush().await?;
        count.fetch_add(allowed as u64, Ordering::Relaxed);
        if let Some(left) = &mut limit {
            *left -= allowed as u64;
            if *left == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
    }
}
