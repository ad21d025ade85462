//! What is said on the way: lines for people, one object for programs.

use super::Session;
use crate::{
    args::Output,
    commands::chain::exact,
    failure::Failure,
    output::{self, printable},
};
use chain::tracker::tao;
use serde_json::{Value, json};

/// Width of the names in front of values.
const NAMES: usize = 16;

impl Session {
    /// A field of the JSON document.
    pub(in super::super) fn tell(&mut self, name: &str, value: Value) {
        self.report.insert(name.to_owned(), value);
    }

    /// A line for people. Where standard output is for programs they read it on standard error, if they are asked.
    pub(in super::super) fn line(&self, name: &str, value: &str) {
        let line = output::wrapped(&format!("{name:<NAMES$}{}", printable(value)), output::width(), NAMES);
        if self.sending.output == Output::Table {
            output::text(&format!("{line}\n"));
        } else if !self.sending.yes && !self.sending.dry_run {
            output::note(&line);
        }
    }

    /// An amount for people, in dollars, too, if their price was given.
    pub(in super::super) fn amount(&self, rao: u64) -> String {
        let usd = self.sending.tao_usd.map_or_else(String::new, |usd| format!(" (${:.2})", tao(rao) * usd));
        format!("{} TAO{usd}", exact(rao))
    }

    /// An amount in dollars, if their price was given.
    pub(in super::super) fn usd(&self, rao: u64) -> Option<f64> {
        self.sending.tao_usd.map(|usd| tao(rao) * usd)
    }

    /// The end of it, told to programs, too.
    pub(super) fn end(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        if self.sending.output == Output::Json {
            self.report.entry("result").or_insert_with(|| json!(if ended.is_ok() { "done" } else { "not_sent" }));
            self.tell("error", json!(ended.as_ref().err().map(Failure::what)));
            output::json_indented(&Value::Object(self.report));
        }
        ended
    }
}
