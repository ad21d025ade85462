#!/usr/bin/env bash
# Runs the tests level by level and ends with what ran.
#   test.sh quick   L0, the pure ones
#   test.sh all     L0 to L4
#   test.sh faults  the long suites: kills at every write, refusals at every step of the sagas, blind spots
# A test file's name says its level: tests/l2_*.rs needs Postgres or Redis, l3_* a Kubernetes control plane, l4_* real containers.
set -uo pipefail
cd "$(dirname "$0")/../.."
mode=${1:-all}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
started=$SECONDS

run() { # arguments of cargo test
    # One thread where tests share the machine's network namespaces and memory; libtest's default elsewhere.
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$log" | sed -u -n -E '/^(test .*FAILED|failures:|---- |error|warning: unused)/p; /panicked at/,+6p; /^skipped/p; s/^ *Running (unittests )?([^ ]+) \(.*\/([^/]+)-[0-9a-f]+\)$/  \3 \2/p; s/^test result: (.*)\. ([0-9]+) passed; ([0-9]+) failed.*finished in (.*)$/      \1: \2 passed, \3 failed, \4/p'
    [ "${PIPESTATUS[0]}" = 0 ] || status=1
}

case "$mode" in
    quick) run --workspace --lib --bins ;;
    faults)
        tests/scripts/build.sh || exit 1
        for suite in l3_blind l3_kill l3_sagas; do run -p e2e --test $suite -- --test-threads=2; done
        ;;
    *)
        tests/scripts/build.sh || exit 1
        run --workspace --exclude e2e
        # The whole fleet.
        run -p e2e --lib --bins --test l4_fleet --test l3_launch --test l3_pod_runner --test l3_quiet -- --test-threads=1
        ;;
esac

# Levels by the names of the test programs.
awk -v took=$((SECONDS - started)) '
    /^ *Running / { file = $0; sub(/^ *Running (unittests )?/, "", file); level = 0; if (match(file, /\/l[2-4][_/]/)) level = substr(file, RSTART + 2, 1) }
    /^ *Doc-tests / { level = 0 }
    /^test result:/ { for (i = 1; i <= NF; i++) { if ($i == "passed;") p[level] += $(i - 1); if ($i == "failed;") f[level] += $(i - 1) } }
    /^skipped: / { skip[++skips] = $0 }
    END {
        print ""
        names[0] = "pure"; names[2] = "Postgres, Redis, the validator simulator"; names[3] = "a real Kubernetes control plane"; names[4] = "real containers"
        for (l = 0; l <= 4; l++) if (l in p) { printf "  L%d  %4d passed  %d failed   %s\n", l, p[l], f[l], names[l]; tp += p[l]; tf += f[l] }
        for (i = 1; i <= skips; i++) print "  " skip[i]
        printf "  took %d min %02d s\n", took / 60, took % 60
        printf "\n%d passed, %d failed\n", tp, tf
    }' "$log"
if [ $status != 0 ] && ! grep -q '^test result: FAILED' "$log"; then
    echo "The tests did not all run; the end of the build:"; tail -n 40 "$log"
fi
exit $status
