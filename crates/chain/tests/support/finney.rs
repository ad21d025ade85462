//! Two real snapshots of finney, unpacked into a folder as the existing tracker wrote them.

use chain::tracker::snapshot::{Snapshot, Subnet};
use serde::Deserialize;
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Head {
    network: String,
    timestamps: [String; 2],
}

/// Both snapshots, the older first.
pub(crate) fn snapshots() -> [Snapshot; 2] {
    let packed = workspace().join("crates/chain/testdata/tracker/finney-2026-01.jsonl.gz");
    let mut lines = BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap())).lines();
    let head: Head = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let mut both = head.timestamps.map(|timestamp| Snapshot { timestamp, network: head.network.clone(), ..Snapshot::default() });
    for line in lines {
        let (netuid, old, new): (u16, Subnet, Subnet) = serde_json::from_str(&line.unwrap()).unwrap();
        both[0].subnets.insert(netuid, old);
        both[1].subnets.insert(netuid, new);
    }
    both
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap().to_owned()
}

/// Writes them into a folder; says where.
pub(crate) fn write(folder: &Path) -> Vec<PathBuf> {
    snapshots().iter().map(|snapshot| snapshot.write(folder).unwrap()).collect()
}
