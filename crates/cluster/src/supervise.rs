//! Work that shall go on until it is told to stop, and is begun anew if it ends by itself: a bug that panics in one task must not
//! leave a validator unread or a server undriven while everything around goes on as if nothing had happened.

use crate::backoff::{Policy, jittered};
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long work may go on after it was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Runs what `make` makes until `stop`. If that ends earlier, panicking or not, says so in the log and makes it anew after a pause
/// that grows with each time in a row; `make` is handed how the last one ended. Dropping the future ends the work.
pub async fn keep_running<F, W>(name: &str, pause: Policy, stop: CancellationToken, mut make: F)
where
    F: FnMut(Option<String>) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let mut failures = 0;
    let mut last = None;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let mut work = AbortOnDropHandle::new(tokio::spawn(make(last.take())));
        let ended = tokio::select! {
            ended = &mut work => ended,
            () = stop.cancelled() => {
                // Dropped, and so aborted, if it does not end by itself.
                let _ = tokio::time::timeout(GRACE, work).await;
                return;
            }
        };
        if stop.is_cancelled() {
            return;
        }
        let how = ended.err().map_or_else(|| "it ended by itself".to_owned(), |error| error.to_string());
        // What went well for longer than the longest pause does not fail in a row.
        failures = if began.elapsed() > pause.most { 1 } else { failures + 1 };
        let wait = jittered(pause.after(failures));
        tracing::error!(task = name, how, failures, begins_again_in_s = wait.as_secs_f64(), "a task that shall go on ended");
        last = Some(how);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    const PAUSE: Policy = Policy { first: Duration::from_secs(1), most: Duration::from_secs(60) };

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_or_ends_is_begun_anew_and_told_how_it_ended() {
        let (stop, begun) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let (told, goes_on) = (Arc::clone(&begun), stop.clone());
        let kept = tokio::spawn(keep_running("work", PAUSE, stop.clone(), move |last| {
            let mut told = told.lock().unwrap();
            told.push((Instant::now(), last.unwrap_or_default()));
            let (time, stop) = (told.len(), goes_on.clone());
            async move {
                match time {
                    1 => panic!("a bug"),
                    2 => {}
                    _ => stop.cancelled().await,
                }
            }
        }));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = begun.lock().unwrap().clone();
        assert_eq!(begun.len(), 3);
        assert!(begun[1].1.contains("panicked") && begun[2].1.contains("by itself"), "{begun:?}");
        let pauses: Vec<_> = begun.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect();
        assert!((0.8..=1.3).contains(&pauses[0]) && (1.6..=2.5).contains(&pauses[1]), "{pauses:?}");
        assert!(!kept.is_finished());
        stop.cancel();
        kept.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_to_stop_is_not_begun_anew_and_what_does_not_hear_is_aborted() {
        for deaf in [false, true] {
            let (stop, begun) = (CancellationToken::new(), Arc::new(Mutex::new(0)));
            let held = Arc::new(());
            let (count, hears, hold) = (Arc::clone(&begun), stop.clone(), Arc::clone(&held));
            let kept = tokio::spawn(keep_running("work", PAUSE, stop.clone(), move |_| {
                *count.lock().unwrap() += 1;
                let (hears, hold) = (hears.clone(), Arc::clone(&hold));
                async move {
                    if deaf {
                        std::future::pending::<()>().await;
                    }
                    hears.cancelled().await;
                    drop(hold);
                }
            }));
            tokio::time::sleep(Duration::from_secs(300)).await;
            stop.cancel();
            kept.await.unwrap();
            tokio::task::yield_now().await;
            assert_eq!((*begun.lock().unwrap(), Arc::strong_count(&held)), (1, 1), "deaf: {deaf}");
        }
    }
}
