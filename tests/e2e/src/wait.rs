//! Waiting for something to become true, with a limit and a useful complaint.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Asks every 200 ms until `probe` yields something; `what` names it in the complaint, which carries the probe's last error.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > limit {
            bail!("waited {} s for {what}: {last}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
