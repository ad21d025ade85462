#!/usr/bin/env bash
# Builds every program once, in the profile that the demo and the tests share.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "Building our programs …"
cargo build --quiet --locked --workspace --bins
cargo build --quiet --locked -p fake-nvml
# The chute's stand-in runs in an image with nothing else in it, so it must be static.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked -p fake-chute --target x86_64-unknown-linux-gnu
echo "Building Kubernetes, where it is not built yet …"
"$CARGO_TARGET_DIR/debug/kubelab" build
