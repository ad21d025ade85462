#!/usr/bin/env bash
# Runs the tests level by level and ends with what ran.
#   test.sh quick   L0, the pure ones
#   test.sh all     L0 to L4
#   test.sh faults  the fault suites alone and thoroughly: kills at every write, refusals at every step of the sagas, blind spots
# A test file's name says its level: tests/l2_*.rs needs Postgres, Redis or the validator simulator, l3_* a Kubernetes control plane,
# l4_* real containers; see summary.awk.
set -uo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-all}
long="l3_blind l3_kill l3_sagas"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
started=$SECONDS

# The fault suites wait more than they work: two fleets at a time.
faults() { for suite in $long; do run -p e2e --test $suite -- --test-threads=2; done; }

run() { # arguments of cargo test
    # One thread where tests share the machine's network namespaces and memory; libtest's default elsewhere.
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$log" | sed -u -n -E '/^(test .*FAILED|failures:|---- |error|warning: unused)/p; /panicked at/,+6p; /^skipped/p; s/^ *Running (unittests )?([^ ]+) \(.*\/([^/]+)-[0-9a-f]+\)$/  \3 \2/p; s/^test result: (.*)\. ([0-9]+) passed; ([0-9]+) failed.*finished in (.*)$/      \1: \2 passed, \3 failed, \4/p'
    [ "${PIPESTATUS[0]}" = 0 ] || status=1
}

case "$mode" in
    quick) run --workspace --lib --bins ;;
    faults)
        tests/scripts/build.sh || exit 1
        export E2E_THOROUGH=1
        faults
        ;;
    all)
        tests/scripts/build.sh || exit 1
        run --workspace --exclude e2e
        # The whole fleet: every suite that is not a long one.
        suites=()
        for file in tests/e2e/tests/*.rs; do
            suite=$(basename "$file" .rs)
            [[ " $long " == *" $suite "* ]] || suites+=(--test "$suite")
        done
        run -p e2e --lib --bins "${suites[@]}" -- --test-threads=1
        faults
        ;;
    *) echo "usage: test.sh quick|all|faults" >&2; exit 2 ;;
esac

awk -v took=$((SECONDS - started)) -f tests/scripts/summary.awk "$log"
if [ $status != 0 ] && ! grep -q '^test result: FAILED' "$log"; then
    echo "The tests did not all run; the end of the build:"; tail -n 40 "$log"
fi
exit $status
