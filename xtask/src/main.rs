//! Generates what is committed beside the code: `crds/*.yaml` and `docs/crds.md`.
//!
//! `cargo run -p xtask -- generate` writes them, `-- check` says which are out of date.

mod crds;
mod docs;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};

#[derive(Parser)]
#[command(about = "Generate the CRDs and their documentation from the Rust types")]
enum Command {
    /// Write every generated file.
    Generate,
    /// Fail when a generated file differs from what the types say.
    Check,
}

fn main() -> Result<()> {
    let command = Command::parse();
    let root = root()?;
    let stale = stale(root)?;
    match command {
        Command::Generate => {
            for (path, content) in stale {
                let file = root.join(&path);
                std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
                println!("wrote {}", path.display());
            }
            Ok(())
        }
        Command::Check => complain(&stale),
    }
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies one folder below the root")
}

/// The generated files that differ from what is committed, with what they should hold.
fn stale(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut files = generated()?;
    files.retain(|(path, content)| std::fs::read_to_string(root.join(path)).unwrap_or_default() != *content);
    Ok(files)
}

fn complain(stale: &[(PathBuf, String)]) -> Result<()> {
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = stale.iter().map(|(path, _)| path.display().to_string()).collect();
    bail!("out of date: {}; run `cargo run -p xtask -- generate` and commit the result", names.join(", "))
}

/// Every generated file with its content, relative to the root.
fn generated() -> Result<Vec<(PathBuf, String)>> {
    let mut files = crds::files()?;
    files.push((PathBuf::from("docs/crds.md"), docs::reference()?));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_what_the_types_say() {
        complain(&stale(root().unwrap()).unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_is_missing_or_old_is_named() {
        let elsewhere = Path::new("/nonexistent");
        let error = complain(&stale(elsewhere).unwrap()).unwrap_err().to_string();
        for file in ["crds/gpuservers.yaml", "crds/chutedeployments.yaml", "docs/crds.md"] {
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn the_files_are_the_definitions() {
        for (definition, (path, content)) in crd::all().into_iter().zip(crds::files().unwrap()) {
            let read: serde_json::Value = serde_saphyr::from_str(&content).unwrap();
            assert_eq!(read, serde_json::to_value(&definition).unwrap(), "{}", path.display());
        }
    }
}
