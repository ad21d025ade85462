//! `status`: problems first, then servers, deployments, links, the strategy and the money.

use crate::{
    args::{Output, Status},
    client::Client,
    failure::Failure,
    output::{self, Table, report},
};
use report::Report;
use std::fmt::Write as _;

pub(crate) async fn run(args: Status) -> Result<(), Failure> {
    let value = Client::new(&args.connection)?.get(&["status"]).await?;
    if args.output == Output::Json {
        output::json_indented(&value);
        return Ok(());
    }
    let report: Report = serde_json::from_value(output::harmless(value)).map_err(|error| {
        Failure::general(format!("the report cannot be read: {error}"))
            .advise("-o json shows it as it is; is this command line of another release?")
    })?;
    output::text(&render(&report, output::width(), output::colour()));
    Ok(())
}

fn render(report: &Report, width: u16, colour: bool) -> String {
    let mut text = String::new();
    problems(&mut text, report, width, colour);
    servers(&mut text, report, width);
    deployments(&mut text, report, width);
    for one in &report.validators {
        let name = output::printable(&one.name);
        let line = format!("Validator {name} ({} on offer): events {}, list {}", one.chutes, one.connected.short(), one.in_sync.short());
        let _ = writeln!(text, "\n{}", output::wrapped(&line, width, 2));
    }
    let gepetto = &report.gepetto;
    let plan = gepetto.last_plan.as_deref().map_or_else(|| "none yet".to_owned(), output::printable);
    let _ = writeln!(text, "{}", output::wrapped(&format!("Gepetto {}: last plan: {plan}", gepetto.mode), width, 2));
    if let Some(chain) = &report.chain {
        let _ = writeln!(text, "{}", output::wrapped(&format!("Chain: {}", chain.line()), width, 2));
    }
    money(&mut text, report);
    text
}

fn problems(text: &mut String, report: &Report, width: u16, colour: bool) {
    if report.problems.is_empty() {
        text.push_str("No problems.\n");
        return;
    }
    let _ = writeln!(text, "Problems ({})", report.problems.len());
    for problem in &report.problems {
        let word = problem.severity.to_uppercase();
        let line = format!("  {word} {}: {}", output::printable(&problem.subject), output::printable(&problem.what));
        let line = output::wrapped(&line, width, 4);
        let line = match (colour, problem.severity.as_str()) {
            (true, "critical") => line.replacen(&word, &format!("\u{1b}[31m{word}\u{1b}[0m"), 1),
            (true, "warning") => line.replacen(&word, &format!("\u{1b}[33m{word}\u{1b}[0m"), 1),
            _ => line,
        };
        // The command stays in one piece, to be copied.
        let _ = writeln!(text, "{line}\n    try: {}", output::printable(&problem.command));
    }
}

fn servers(text: &mut String, report: &Report, width: u16) {
    if report.servers.is_empty() {
        text.push_str("\nNo servers. Add one with: chutes-miner add-node\n");
        return;
    }
    let (gpus, busy): (usize, usize) = report.servers.iter().fold((0, 0), |(gpus, busy), one| (gpus + one.gpus, busy + one.busy));
    let _ = writeln!(text, "\nServers ({}), {busy} of {gpus} GPUs busy", report.servers.len());
    let mut table = Table::new(&["Name", "Phase", "Model", "Busy", "Hold", "$/H", "Idle because"], width);
    for one in &report.servers {
        let hold = if one.holds.is_empty() { "-".to_owned() } else { one.holds.join(",") };
        let cells = [
            one.name.clone(),
            one.phase.clone(),
            one.model.clone(),
            format!("{}/{}", one.busy, one.gpus),
            hold,
            format!("{:.2}", one.hourly_cost_per_gpu),
            one.why_idle(),
        ];
        table.row(cells.map(|cell| output::printable(&cell)));
    }
    text.push_str(&table.render());
}

fn deployments(text: &mut String, report: &Report, width: u16) {
    let found = &report.deployments;
    let sums: Vec<String> = found.by_phase.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    let _ = writeln!(text, "\nDeployments: {}", if sums.is_empty() { "none".to_owned() } else { sums.join(", ") });
    if found.items.is_empty() {
        return;
    }
    let mut table = Table::new(&["Chute", "Server", "GPUs", "Phase", "For", "Reason"], width);
    for one in &found.items {
        let cells = [
            one.chute.clone(),
            one.server.clone(),
            one.gpus.to_string(),
            one.phase.clone(),
            one.seconds.map_or_else(|| "-".to_owned(), output::span),
            one.reason.clone().unwrap_or_else(|| "-".to_owned()),
        ];
        table.row(cells.map(|cell| output::printable(&cell)));
    }
    text.push_str(&table.render());
}

fn money(text: &mut String, report: &Report) {
    let ledger = &report.ledger;
    if !ledger.available {
        text.push_str("Ledger: not available\n");
        return;
    }
    let paid: f64 = ledger.gpu_seconds_by_server.values().fold(0.0, |sum, one| sum + one);
    let idle: f64 = ledger.idle_seconds_by_reason.values().fold(0.0, |sum, one| sum + one);
    let _ = writeln!(text, "Last {} h: {} paid, {} idle, cost ${:.2}", ledger.hours, gpu_time(paid), gpu_time(idle), ledger.cost_usd);
    for (server, seconds) in &ledger.gpu_seconds_by_server {
        let _ = writeln!(text, "  {} earned {}", output::printable(server), gpu_time(*seconds));
    }
    for (reason, seconds) in &ledger.idle_seconds_by_reason {
        let _ = writeln!(text, "  idle {}: {}", gpu_time(*seconds), output::printable(reason));
    }
}

/// GPU time in the unit in which it is easiest to read.
fn gpu_time(seconds: f64) -> String {
    match seconds {
        s if s < 600.0 => format!("{s:.0} GPU-seconds"),
        s if s < 36_000.0 => format!("{:.1} GPU-minutes", s / 60.0),
        s => format!("{:.1} GPU-hours", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by a test of the miner API, so that both sides speak of the same shape.
    const REPORT: &str = include_str!("../../../miner-api/fixtures/status.json");

    #[test]
    fn the_report_of_the_miner_api_fits_eighty_columns() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let text = render(&report, 80, false);
        assert!(!text.contains('\u{1b}'));
        let mut lines = text.lines().filter(|line| !line.starts_with("    try: "));
        assert!(lines.all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colour_is_for_terminals_only() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        assert!(render(&report, 80, true).contains("\u{1b}[31mCRITICAL\u{1b}[0m"));
    }

    #[test]
    fn a_report_of_another_release_is_read_as_far_as_it_goes() {
        let report: Report = serde_json::from_str(r#"{"version":2,"news":{},"servers":[{"name":"a"}]}"#).unwrap();
        assert!(render(&report, 80, false).contains("No problems."));
    }

    #[test]
    fn a_name_cannot_disturb_the_terminal() {
        let report: Report = serde_json::from_str(r#"{"servers":[{"name":"a\u001b[2J"}],"problems":[{"severity":"info","subject":"x","what":"y\u001b]0;z\u0007","command":"c"}]}"#).unwrap();
        assert!(!render(&report, 80, false).contains(['\u{1b}', '\u{7}']));
    }
}
