# Sourced: puts toolchains that setup.sh installed on the PATH.
export GEPETTO_CACHE_DIR="${GEPETTO_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/gepetto-fleet}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$GEPETTO_CACHE_DIR/target}"
export PATH="$PATH:$HOME/.cargo/bin:/usr/local/go/bin:$GEPETTO_CACHE_DIR/go/bin"
