//! The init container's job, as far as a stand-in needs it: the cache folder exists.

use std::path::PathBuf;

/// Makes sure of the cache folder: `/cache`, or what `HF_HOME` says.
pub(crate) fn main() -> u8 {
    let cache = std::env::var_os("HF_HOME").map_or_else(|| PathBuf::from("/cache"), PathBuf::from);
    match std::fs::create_dir_all(&cache) {
        Ok(()) => {
            println!("cache-cleaner: {} is there, nothing to clean", cache.display());
            0
        }
        Err(why) => {
            eprintln!("cache-cleaner: cannot make {}: {why}", cache.display());
            1
        }
    }
}
