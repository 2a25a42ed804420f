#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The libvirt driver is killed at every step of a snapshot; another process recovers from what it
# wrote down, against a real libvirtd and QEMU. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
STATE=$DIR/state
JOURNAL=$DIR/journal
mkdir -m 700 "$STATE"

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }

define() { # name: a guest with 64 MiB on a base image
    local disk
    disk=$(disk_of "$1")
    mkdir -p "$(dirname "$disk")"
    qemu-img create -q -f qcow2 -b "$INSTANCES/_base/raw" -F raw "$disk" 64M
    define_guest "$1" "<disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$disk'/>
      <target dev='vda' bus='virtio'/>
    </disk>"
}

# The names of the failpoints in the product, which nobody has to list.
points_of() { grep -hoE "failpoint\(\"$1:[a-z-]+\"\)" driver/*/*.c | cut -d'"' -f2 | sort -u; }

taps() { # command guest [option...]
    local command=$1 guest=$2
    shift 2
    probe "$command" "$guest" "journal=$JOURNAL" "state=$STATE" "$@"
}

image_is_written_down() { grep -q '"step":"image"' "$JOURNAL"; }

same_as_disk() {
    flush "$1" && qemu-img compare -U -f qcow2 -F qcow2 "$(disk_of "$1")" "$DIR/image"
}

# kill_at POINT GUEST METHOD: the driver dies there; fails when it never came there.
kill_at() {
    local options=(stall=20)
    case $1 in
    live:converted | live:image-written-down) options+=(compress=1) ;; # else it is streamed
    esac
    rm -f "$JOURNAL" "$DIR/image"
    echo "$1 kill" >"$STATE/failpoint"
    taps "$3" "$2" "${options[@]}" >"$DIR/killed" 2>&1
    [ ! -e "$STATE/failpoint" ]
}

recovers() { # point guest method
    local point=$1 guest=$2 method=$3 before after output wanted=0
    before=$(picture "$guest")
    kill_at "$point" "$guest" "$method" || {
        result 1 "$point: is come by" "$(cat "$DIR/killed")"
        rm -f "$STATE/failpoint"
        return
    }
    image_is_written_down && wanted=1
    output=$(taps recover "$guest" stall=20) || {
        result 1 "$point: recovers" "$output"
        return
    }
    after=$(picture "$guest")
    output+=$'\n'$(diff <(echo "$before") <(echo "$after")) || {
        result 1 "$point: left as before" "$output"
        return
    }
    grep -q "recovered image=$wanted" <<<"$output" || {
        result 1 "$point: image" "$output"
        return
    }
    [ $wanted = 0 ] || output+=$(same_as_disk "$guest" 2>&1) || {
        result 1 "$point: content of the image" "$output"
        return
    }
    result 0 "$method, killed at $point: all as before"
}

test_everywhere() {
    define guest || exit 1
    $VIRSH autostart "$NAME-guest"
    write_disk guest 0x11 1M 10M
    local point
    for point in $(points_of live); do
        recovers "$point" guest live
        recovers "$point" guest blockcopy
    done
    for point in $(points_of stream); do
        recovers "$point" guest stream
    done
    for point in $(points_of cold); do
        recovers "$point" guest cold
    done
    $VIRSH suspend "$NAME-guest"
    recovers cold:converted guest cold
    [ "$(state_of guest)" = paused ]
    result $? "paused guest is paused" "$(state_of guest)"
    $VIRSH resume "$NAME-guest"
    # Whoever recovers may die as well.
    kill_at live:copy-ready guest live
    echo "live:defined kill" >"$STATE/failpoint"
    taps recover guest >/dev/null 2>&1
    taps recover guest >/dev/null
    result $? "recovery from a recovery that was killed"
    [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "no files left" "$(ls -lR "$SNAPSHOTS")"
    remove guest
}

# The same guest, but something else has happened to it before the recovery.
after_death() { # text description what
    kill_at live:copy-ready guest live || result 1 "$2: copy is on the disk" "$(cat "$DIR/killed")"
    $3
    local output
    output=$(taps recover guest)
    result $? "$2: recovers" "$output"
    state_of guest | grep -q "$1"
    result $? "$2: $1" "$(state_of guest)"
    [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "$2: no files left" "$(ls -lR "$SNAPSHOTS")"
}
power_off() { monitor guest quit >/dev/null 2>&1; }
delete() {
    $VIRSH destroy "$NAME-guest" >/dev/null
    rm -f "$(disk_of guest)"
}
redefine() { $VIRSH define "$DIR/guest.xml"; }
swap_job() { # by one of somebody else
    $VIRSH blockjob "$NAME-guest" vda --abort
    $VIRSH blockcopy "$NAME-guest" vda "$DIR/foreign" --transient-job --bandwidth 1 >/dev/null
}

test_meanwhile() {
    define guest || exit 1
    write_disk guest 0x11 1M 40M
    after_death running "defined by somebody else" redefine
    after_death running "copied by somebody else" swap_job
    $VIRSH blockjob "$NAME-guest" vda 2>&1 | grep -q 'Block Copy'
    result $? "the copy of somebody else goes on"
    $VIRSH blockjob "$NAME-guest" vda --abort
    after_death "shut off" "powered off" power_off
    $VIRSH dominfo "$NAME-guest" | grep -q '^Persistent: *yes'
    result $? "powered off: is defined"
    $VIRSH start "$NAME-guest"
    after_death "failed to get domain" "deleted" delete
    remove guest
}

# A save goes on in libvirtd when its client is killed.
test_save_goes_on() {
    define guest || exit 1
    local before after pid
    before=$(picture guest)
    rm -f "$JOURNAL"
    taps cold guest >"$DIR/killed" 2>&1 &
    pid=$!
    for _ in $(seq 200); do
        $VIRSH domjobinfo "$NAME-guest" 2>/dev/null | grep -q 'Operation: *Save' && break
        [ "$(state_of guest)" = "shut off" ] && break
    done
    kill -9 $pid $(pgrep -P $pid)
    wait $pid 2>/dev/null
    taps recover guest >"$DIR/killed"
    result $? "killed while the memory is saved: recovers" "$(cat "$DIR/killed")"
    after=$(picture guest)
    diff <(echo "$before") <(echo "$after") >/dev/null
    result $? "killed while the memory is saved: as before" "$after"
    remove guest
}

qemu-img create -q -f raw "$INSTANCES/_base/raw" 32M
qemu-io -f raw -c "write -q -P 0xba 0 8M" "$INSTANCES/_base/raw"
test_everywhere
test_meanwhile
test_save_goes_on
echo "1..$count"
[ "$failures" -eq 0 ]
