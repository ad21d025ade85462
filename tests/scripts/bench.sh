#!/usr/bin/env bash
# Measures launch latency, memory and the hot pure paths; prints figures and the commands behind them, and fails on none of them.
#   bench.sh [arguments of the program bench]
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/scripts/build.sh
echo "Building the release programs …"
cargo build --quiet --locked --release -p operator -p miner-api -p agent

# Ours as they are shipped, the simulators around them as the tests have them; a program finds the others beside itself.
programs="$CARGO_TARGET_DIR/bench"
mkdir -p "$programs"
for program in validator-sim fake-chute chutes-miner libfake_nvml.so bench; do
    ln -f "$CARGO_TARGET_DIR/debug/$program" "$programs/$program" 2>/dev/null || cp -f "$CARGO_TARGET_DIR/debug/$program" "$programs/$program"
done
for program in operator miner-api agent; do
    ln -f "$CARGO_TARGET_DIR/release/$program" "$programs/$program" 2>/dev/null || cp -f "$CARGO_TARGET_DIR/release/$program" "$programs/$program"
done

echo "On $(nproc) cores: $programs/bench $*"
"$programs/bench" "$@"

echo
echo "Hot pure paths: cargo bench -p gepetto"
cargo bench --quiet --locked -p gepetto --bench plan
echo "Decoding the chain: cargo bench -p chain --bench decode"
cargo bench --quiet --locked -p chain --bench decode
