# Reads what `cargo test` printed and says what ran, level by level; the last line is the sum.
#
# A test program's name says its level: l2_*, l3_*, l4_*, or a folder of that name; all others need nothing. The suites of level 1 need what
# level 3 needs and are named like it. A test that could not run here passes for the harness: it says so itself, on a line that begins
# with `skipped: `, and counts as skipped and not as passed.

function level_of(file) {
    if (file ~ /\/l3_(faults|kill|sagas|blind)\./) return 1
    if (match(file, /\/l[1-4][_\/]/)) return substr(file, RSTART + 2, 1)
    return 0
}

function number_before(word,    i) {
    for (i = 2; i <= NF; i++) if ($i == word) return $(i - 1)
    return 0
}

/^ *Running / { file = $0; sub(/^ *Running (unittests )?/, "", file); level = level_of(file); here = 0 }
/^ *Doc-tests / { level = 0; here = 0 }
/^skipped: / { here++; if (!($0 in told)) order[++reasons] = $0; told[$0]++ }
/^test result:/ {
    ran[level] = 1
    passed[level] += number_before("passed;") - here
    failed[level] += number_before("failed;")
    skipped[level] += here
    here = 0
}

END {
    names[0] = "pure functions, and servers of the test's own on loopback"
    names[1] = "our controllers and programs behind faults: refused, lost, doubled calls, kills"
    names[2] = "Postgres, Redis, the validator simulator"
    names[3] = "a real Kubernetes control plane"
    names[4] = "real containers"
    print ""
    for (l = 0; l <= 4; l++) if (l in ran) {
        printf "  L%d  %4d passed  %d failed  %d skipped   %s\n", l, passed[l], failed[l], skipped[l], names[l]
        p += passed[l]; f += failed[l]; s += skipped[l]
    }
    for (i = 1; i <= reasons; i++) printf "  %s%s\n", order[i], (told[order[i]] > 1 ? " (" told[order[i]] " tests)" : "")
    printf "  took %d min %02d s\n", took / 60, took % 60
    printf "\n%d passed, %d failed, %d skipped\n", p, f, s
}
