# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests/check, release-check, domain-check, broker-check and libvirt-check share: steps that tell their time,
# and the count in $RESULTS.
# Beside it are $RESULTS.failed and $RESULTS.seconds, for the end.

# One that fails counts as a failure, besides what it has counted itself: it may not have come to that.
# Its last words about it are kept for the end: who reads a long run reads that first.
step() { # name, command...
    local name=$1 start=$SECONDS log status
    shift
    log=$(mktemp)
    echo "== $name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    [ -z "${RESULTS:-}" ] || echo "$((SECONDS - start)) $name" >>"$RESULTS.seconds"
    if [ "$status" -eq 0 ]; then
        echo "== $name: $((SECONDS - start)) s"
    else
        echo "== $name: FAILED after $((SECONDS - start)) s"
        echo "0 1 0" >>"${RESULTS:-/dev/null}"
        [ -z "${RESULTS:-}" ] || {
            echo "== $name: FAILED"
            grep -v '^ok ' "$log" | grep -E '^not ok|^FAIL|LOST:|LEAKED:|STUCK:|error:|\*\*\*' || tail -n 5 "$log"
        } | tail -n 12 | cut -c1-300 >>"$RESULTS.failed"
    fi
    rm -f "$log"
    return "$status"
}

# A step that is a test itself.
single() {
    step "$@" && echo "1 0 0" >>"$RESULTS"
}

# What goes on beside the rest: what it says is kept for tell_beside.
beside() { # name, command...
    local name=$1
    shift
    {
        "$@"
        : >"$BESIDE/$name.ended"
    } >"$BESIDE/$name" 2>&1 &
}

# One that was killed has counted nothing of what it had still to do.
tell_beside() { # names, for which nobody waits any more
    local name
    for name in "$@"; do
        cat "$BESIDE/$name"
        [ -e "$BESIDE/$name.ended" ] || step "$name, to its end" false
    done
}

# What it was run with, when nothing has failed and nothing was left out.
record_results() { # as tests/tried record has it
    [ -s "$RESULTS" ] && ! grep -qv ' 0 0$' "$RESULTS" && tests/tried record "$@"
}

# Steps and files of tests, of which some are parts of others and some went on side by side.
tell_longest() {
    echo "== the longest:"
    sort -rn "$RESULTS.seconds" | head -n 10 | sed 's/ / s  /'
}

# Where the time went, what failed, and the last line: "N passed, N failed, N skipped".
tell_results() {
    tell_longest
    cat "$RESULTS.failed" 2>/dev/null
    awk '{p += $1; f += $2; s += $3}
         END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit !(f == 0 && s == 0 && p > 0)}' "$RESULTS"
}
