#!/bin/bash
# Copies of disks whose guests do not do what was expected of them, against a real libvirtd and
# QEMU. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }

# define NAME SIZE: a guest on a qcow2 file of its own.
define() {
    mkdir -p "$(dirname "$(disk_of "$1")")"
    qemu-img create -q -f qcow2 "$(disk_of "$1")" "$2"
    define_guest "$1" "<disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$(disk_of "$1")'/>
      <target dev='vda' bus='virtio'/>
    </disk>"
}

# The snapshot stands still at a point, as driver_probe's option state makes it.
hold() { # point
    mkdir -p "$DIR/state"
    rm -f "$DIR/state/trap.reached"
    echo "$1 hold" >"$DIR/state/trap"
}
await_held() {
    for _ in $(seq 300); do
        [ -e "$DIR/state/trap.reached" ] && return
        sleep 0.1
    done
    return 1
}

# while_held POINT METHOD GUEST WHAT: probe METHOD in the background; WHAT happens at the point.
while_held() { # leaves the probe's words in $DIR/output; its status
    local pid
    hold "$1"
    probe "$2" "$3" "state=$DIR/state" >"$DIR/output" &
    pid=$!
    await_held
    local output
    output=$("$4" "$3" 2>&1)
    result $? "$3 while its disk is read: $4" "$output"
    rm -f "$DIR/state/trap"
    wait $pid
}

start_it() { $VIRSH start "$NAME-$1" >/dev/null; }
start_and_stop_it() { start_it "$1" && $VIRSH destroy "$NAME-$1" >/dev/null; }
resume_it() { $VIRSH resume "$NAME-$1" >/dev/null; }
resume_and_suspend_it() { resume_it "$1" && $VIRSH suspend "$NAME-$1" >/dev/null; }
stop_it() { $VIRSH destroy "$NAME-$1" >/dev/null; }

# Whoever starts a guest may do so; what was read by then is no image.
test_guest_that_does_not_rest() {
    local what
    define rests 64M
    write_disk rests 0x11 0 20M
    for what in start_it start_and_stop_it resume_it resume_and_suspend_it stop_it; do
        case $what in
        start*)
            $VIRSH destroy "$NAME-rests" >/dev/null 2>&1
            ;;
        *)
            [ "$(state_of rests)" = "shut off" ] && start_it rests
            $VIRSH suspend "$NAME-rests" >/dev/null 2>&1
            ;;
        esac
        while_held cold:reading cold rests $what
        result $((!$?)) "$what: no image" "$(cat "$DIR/output")"
        grep -q 'the guest was' "$DIR/output"
        result $? "$what: told" "$(cat "$DIR/output")"
        [ -z "$(ls -A "$SNAPSHOTS")" ]
        result $? "$what: no files left" "$(ls -lR "$SNAPSHOTS")"
    done
    # While qemu-img has the disk open, which would keep QEMU from locking it.
    start_it rests
    write_disk rests 0x22 0 32M
    $VIRSH destroy "$NAME-rests" >/dev/null
    probe cold rests rate=4 >"$DIR/output" &
    local pid=$!
    for _ in $(seq 100); do
        pgrep -f "qemu-img convert .*$(disk_of rests)" >/dev/null && break
        sleep 0.1
    done
    start_it rests
    result $? "a guest can be started while its disk is converted"
    wait $pid
    result $((!$?)) "started while its disk is converted: no image" "$(cat "$DIR/output")"
    grep -q 'the guest was started' "$DIR/output"
    result $? "started while its disk is converted: told" "$(cat "$DIR/output")"
    [ "$(state_of rests)" = running ]
    result $? "started while its disk is converted: runs"
    remove rests
}

test_guest_that_does_not_rest
echo "1..$count"
[ "$failures" -eq 0 ]
