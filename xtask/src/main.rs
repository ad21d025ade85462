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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies one folder below the root")?;
    let command = Command::parse();
    let mut stale = Vec::new();
    for (path, content) in generated()? {
        let file = root.join(&path);
        let current = std::fs::read_to_string(&file).unwrap_or_default();
        if current == content {
            continue;
        }
        match command {
            Command::Generate => {
                std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
                println!("wrote {}", path.display());
            }
            Command::Check => stale.push(path.display().to_string()),
        }
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo run -p xtask -- generate` and commit the result", stale.join(", "));
    }
    Ok(())
}

/// Every generated file with its content, relative to the root.
fn generated() -> Result<Vec<(PathBuf, String)>> {
    let mut files = crds::files()?;
    files.push((PathBuf::from("docs/crds.md"), docs::reference()?));
    Ok(files)
}
