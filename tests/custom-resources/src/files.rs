//! The files of this repository that are tested: examples, good and bad.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of this repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// YAML text as a value.
#[must_use]
pub fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn read(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no examples in {folder}");
    files
}

/// The valid examples, by file name.
#[must_use]
pub fn read_examples() -> Vec<(String, Value)> {
    read("crds/examples").into_iter().map(|(name, text)| (name, yaml(&text))).collect()
}

/// The invalid examples: file name, what the refusal says, object.
#[must_use]
pub fn read_refused() -> Vec<(String, String, Value)> {
    let parse = |(name, text): (String, String)| {
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("# refused: ").unwrap_or_else(|| panic!("{name}: its first line must be `# refused: <message>`"));
        (name, message.to_owned(), yaml(&text))
    };
    read("crds/examples/invalid").into_iter().map(parse).collect()
}
