# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests/check and tests/release-check share: steps that tell their time, and the count in $RESULTS.

# One that fails counts as a failure, besides what it has counted itself: it may not have come to that.
step() { # name, command...
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        echo "== $name: $((SECONDS - start)) s"
    else
        echo "== $name: FAILED after $((SECONDS - start)) s"
        echo "0 1 0" >>"${RESULTS:-/dev/null}"
        return 1
    fi
}

# A step that is a test itself.
single() {
    step "$@" && echo "1 0 0" >>"$RESULTS"
}

# The last line: "N passed, N failed, N skipped".
tell_results() {
    awk '{p += $1; f += $2; s += $3}
         END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit !(f == 0 && s == 0 && p > 0)}' "$RESULTS"
}
