#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The journal on a disk that fills up in the middle of a note. Needs root: mounts a small tmpfs. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
PROBE=$BUILD/tests/integration/agent/journal_probe
DIR=$(mktemp -d /var/tmp/nsa-journal.XXXXXX)
count=0 failures=0
trap 'umount "$DIR" 2>/dev/null; rmdir "$DIR"' EXIT
make -s BUILD="$BUILD" "$PROBE" || exit 1

# Each length leaves another number of bytes for the last note.
for length in 20 27 34 41 48 55 62 69; do
    mount -t tmpfs -o size=64k,mode=0700 tmpfs "$DIR" || exit 1
    head -c 4K /dev/zero >"$DIR/filler"
    count=$((count + 1))
    if output=$("$PROBE" "$DIR" "$DIR/filler" $length 2>&1) && ! grep -q "refused=0" <<<"$output"; then
        echo "ok $count - journal: a disk that fills up costs no other note: ${output##*$'\n'}"
    else
        failures=$((failures + 1))
        echo "not ok $count - journal: a disk that fills up costs no other note"
        echo "# ${output//$'\n'/$'\n'# }"
    fi
    umount "$DIR"
done
echo "1..$count"
[ "$failures" -eq 0 ]
