//! The chutes-miner command line.

fn main() {}
