//! Which levels of the test ladder must run.
//!
//! A test of a level that is not at hand says so in one line and returns; `REQUIRE_LEVELS=0-4` (or `0,2`) turns that into a failure.

use std::io::Write as _;

/// The environment variable that names the levels that may not be skipped.
pub const REQUIRE_LEVELS: &str = "REQUIRE_LEVELS";

/// Whether a test of `level` may go on. `needs` says what the level needs and how to install it.
///
/// # Panics
/// Where the level is not available and [`REQUIRE_LEVELS`] includes it, or where that variable cannot be read.
#[must_use]
pub fn require(level: u8, available: bool, needs: &str) -> bool {
    let wanted = std::env::var(REQUIRE_LEVELS).unwrap_or_default();
    let wanted = match parse(&wanted) {
        Ok(levels) => levels,
        Err(problem) => panic!("{REQUIRE_LEVELS}: {problem}"),
    };
    if available {
        return true;
    }
    assert!(!wanted.contains(&level), "L{level} is required by {REQUIRE_LEVELS} and needs {needs}");
    skipped(level, needs);
    false
}

/// As [`require`], for what lies beyond the level itself, such as a package of another language's registry: a test that lacks it is
/// skipped even where its level is required.
#[must_use]
pub fn beyond(level: u8, available: bool, needs: &str) -> bool {
    if !available {
        skipped(level, needs);
    }
    available
}

fn skipped(level: u8, needs: &str) {
    // Straight to the descriptor: the test harness swallows what `println!` writes in a test that passes. A line of its own: with one
    // thread the harness has begun a line already, and tests/scripts/summary.awk counts lines that begin so.
    let _ = std::io::stderr().lock().write_all(format!("\nskipped: L{level} needs {needs}\n").as_bytes());
}

/// Reads `0-4`, `0,2` or `0-2,4`; nothing at all is no level.
fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut levels = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let read = |text: &str| text.trim().parse::<u8>().map_err(|_| format!("`{part}` is no level; write numbers as in 0-4 or 0,2"));
        let (first, last) = (read(first)?, read(last)?);
        if first > last {
            return Err(format!("`{part}` runs backwards; write {last}-{first}"));
        }
        levels.extend(first..=last);
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::{REQUIRE_LEVELS, parse, require};
    use std::process::{Command, Output};

    /// Run by the tests below in a process of its own.
    #[test]
    #[ignore = "a part of other tests"]
    fn a_skipped_one() {
        assert!(!require(7, false, "a unicorn"));
    }

    fn skipping(required: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "level::tests::a_skipped_one", "--ignored", "--test-threads=1"]);
        command.env(REQUIRE_LEVELS, required).output().unwrap()
    }

    #[test]
    fn a_skip_is_told_on_a_line_of_its_own_although_the_test_passes() {
        let output = skipping("0-4");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "\nskipped: L7 needs a unicorn\n");
    }

    #[test]
    fn a_level_that_is_required_or_cannot_be_read_is_not_skipped() {
        for required in ["7", "5-8", "all", "4-0"] {
            assert!(!skipping(required).status.success(), "REQUIRE_LEVELS={required} let it pass");
        }
    }

    #[test]
    fn ranges_and_lists_are_read() {
        assert_eq!(parse("0-2,4"), Ok(vec![0, 1, 2, 4]));
        assert_eq!(parse(" 0, 2 "), Ok(vec![0, 2]));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn nonsense_is_told_apart_from_nothing() {
        assert!(parse("all").is_err());
        assert!(parse("4-0").is_err());
        assert!(parse("0-").is_err());
    }
}
