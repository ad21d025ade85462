# Sourced: puts toolchains that setup.sh installed on the PATH.
export GEPETTO_CACHE_DIR="${GEPETTO_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/gepetto-fleet}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$GEPETTO_CACHE_DIR/target}"
# What setup.sh installed goes first: it did so because the system's was missing or too old.
export PATH="$GEPETTO_CACHE_DIR/go/bin:$HOME/.cargo/bin:$PATH:/usr/local/go/bin:$GEPETTO_CACHE_DIR/tools/bin"
