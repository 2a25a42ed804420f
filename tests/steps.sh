# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests/check and tests/release-check share: steps that tell their time, and the count in $RESULTS.

step() { # name, command...
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        echo "== $name: $((SECONDS - start)) s"
    else
        echo "== $name: FAILED after $((SECONDS - start)) s"
        return 1
    fi
}

# A step that is a test itself.
single() {
    if step "$@"; then echo "1 0 0" >>"$RESULTS"; else echo "0 1 0" >>"$RESULTS"; fi
}

# The last line: "N passed, N failed, N skipped".
tell_results() {
    awk '{p += $1; f += $2; s += $3}
         END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit !(f == 0 && s == 0 && p > 0)}' "$RESULTS"
}
