//! The miner API: people, nodes and validators talk to this.

fn main() {}
