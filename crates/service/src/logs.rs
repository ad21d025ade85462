//! Logs on standard error: for people on a terminal, as JSON lines elsewhere.
//!
//! `RUST_LOG` filters (default `info`); `LOG_FORMAT` (`pretty` or `json`) overrides the choice by terminal.

use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One short line, coloured on a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process and makes panics log lines too. A second call changes nothing.
pub fn init(name: &'static str) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, complaint) = filter(std::env::var("RUST_LOG").ok().as_deref());
    let registry = tracing_subscriber::registry().with(filter);
    let done = match format(std::env::var("LOG_FORMAT").ok().as_deref(), terminal) {
        Format::Pretty => registry
            .with(fmt::layer().with_writer(std::io::stderr).with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()))
            .try_init(),
        Format::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false).with_writer(std::io::stderr))
            .try_init(),
    };
    if done.is_err() {
        return;
    }
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(program = name, place, "panic: {text}");
    }));
    tracing::info!(program = name, "starting");
}

fn format(asked: Option<&str>, terminal: bool) -> Format {
    match asked {
        Some("json") => Format::Json,
        Some("pretty") => Format::Pretty,
        _ if terminal => Format::Pretty,
        _ => Format::Json,
    }
}

/// The filter, and what was wrong with the one asked for.
fn filter(asked: Option<&str>) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new("info");
    match asked.filter(|text| !text.trim().is_empty()) {
        None => (default(), None),
        Some(text) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => {
                (default(), Some(format!("RUST_LOG is not usable ({error}); logging at level info. Example: RUST_LOG=info,kube=debug")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_beats_the_terminal() {
        assert_eq!(format(None, true), Format::Pretty);
        assert_eq!(format(None, false), Format::Json);
        assert_eq!(format(Some("json"), true), Format::Json);
        assert_eq!(format(Some("pretty"), false), Format::Pretty);
        assert_eq!(format(Some("nonsense"), false), Format::Json);
    }

    #[test]
    fn a_broken_filter_falls_back_to_info_and_says_so() {
        let (filter, complaint) = filter(Some("info,[[["));
        assert_eq!(filter.to_string(), "info");
        assert!(complaint.is_some_and(|text| text.contains("RUST_LOG")));
    }
}
