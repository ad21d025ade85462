#!/usr/bin/env bash
# What must be spotless before a change lands.
set -euo pipefail
cd "$(dirname "$0")/../.."
echo "cargo fmt";    cargo fmt --all --check
echo "clippy";       cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
echo "generated";    cargo run --quiet --locked -p xtask -- check
echo "docs";         RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps --document-private-items
if command -v cargo-deny >/dev/null; then
    echo "cargo deny"; cargo deny --locked check --hide-inclusion-graph bans licenses sources
    if cargo deny --locked fetch db 2>/dev/null; then cargo deny --locked check --hide-inclusion-graph --disable-fetch advisories
    else echo "skipped: the database of security advisories cannot be reached"; fi
else
    echo "skipped: cargo deny is not installed (cargo install cargo-deny --locked --root $GEPETTO_CACHE_DIR/tools)"
fi
