# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests of the libvirt driver share: a folder, the program that calls the driver, a libvirtd,
# TAP. Sourced; whoever does so cleans up DIR and ends what is in `started`.
BUILD=${BUILD:-build}
VIRSH="virsh -q -c qemu:///system"
DIR=$(mktemp -d /var/tmp/nsa-test.XXXXXX)
PROBE=$BUILD/tests/integration/driver/driver_probe
count=0 failures=0 started=()

result() { # status, description, detail
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        failures=$((failures + 1))
        echo "not ok $count - $2"
        [ -n "${3:-}" ] && echo "# ${3//$'\n'/$'\n'# }"
    fi
}

ensure_libvirtd() {
    $VIRSH version >/dev/null 2>&1 && return
    virtlogd & started+=($!)
    libvirtd & started+=($!)
    for _ in $(seq 100); do
        $VIRSH version >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "Bail out! libvirtd does not answer"
    exit 1
}
