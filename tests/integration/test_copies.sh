#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
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
    rm -f "$DIR/state/failpoint.reached"
    echo "$1 hold" >"$DIR/state/failpoint"
}
await_held() {
    for _ in $(seq 300); do
        [ -e "$DIR/state/failpoint.reached" ] && return
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
    rm -f "$DIR/state/failpoint"
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

# Suspended to memory by the guest itself: QEMU has its disk open. PM1a_CNT of the machine "pc": SLP_EN,
# and S3 as the type.
test_suspended_to_memory() {
    local method
    define asleep 64M
    write_disk asleep 0x11 0 20M
    flush asleep # as a guest does before it sleeps
    monitor asleep 'o /h 0x604 0x2400' >/dev/null
    for _ in $(seq 50); do
        [ "$(state_of asleep)" = pmsuspended ] && break
        sleep 0.1
    done
    for method in cold live blockcopy; do
        probe $method asleep >"$DIR/output"
        result $? "$method, suspended to memory" "$(cat "$DIR/output")"
        flush asleep
        qemu-img compare -U -f qcow2 -F qcow2 "$(disk_of asleep)" "$DIR/image" >/dev/null &&
            qemu-io -f qcow2 -c "read -P 0x11 0 20M" "$DIR/image" | grep -q '^read 20971520'
        result $? "$method, suspended to memory: content"
        [ "$(state_of asleep)" = pmsuspended ]
        result $? "$method, suspended to memory: stays so" "$(state_of asleep)"
    done
    wake() { $VIRSH dompmwakeup "$NAME-$1" >/dev/null; }
    while_held cold:reading cold asleep wake
    grep -q 'the guest was started' "$DIR/output"
    result $? "woken while its disk is read: no image" "$(cat "$DIR/output")"
    remove asleep
}

# A guest that writes 1 MiB twenty times in a second, all over the first 32 MiB of its disk, for as
# long as there is $DIR/writing.
keep_writing() { # guest
    for i in $(seq 2400); do
        [ -e "$DIR/writing" ] || break
        echo "qemu-monitor-command $NAME-$1 --hmp 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"write -P $((i % 200 + 1)) $((i % 32))M 1M\"'"
        sleep 0.05
    done | $VIRSH >/dev/null 2>&1
}

# By 4 MiB/s such a guest cannot be caught up with.
test_busy_guest_under_a_limit() {
    local method before writer began took
    printf '#!/bin/sh\nexec timeout 300 "%s" "$@"\n' "$PROBE" >"$DIR/bounded"
    chmod +x "$DIR/bounded"
    define busy 64M
    write_disk busy 0x11 0 32M
    before=$(picture busy)
    touch "$DIR/writing"
    keep_writing busy &
    writer=$!
    for method in live blockcopy; do
        began=${EPOCHREALTIME/./}
        PROBE=$DIR/bounded probe $method busy rate=4 stall=40 >"$DIR/output"
        result $? "$method, busy guest under a limit" "$(cat "$DIR/output")"
        took=$(((${EPOCHREALTIME/./} - began) / 1000))
        grep -q 'disk_rate_limit .* lifted' "$DIR/output"
        result $? "$method, busy guest under a limit: which is lifted ($took ms)" "$(cat "$DIR/output")"
        kill -0 $writer
        result $? "$method, busy guest under a limit: it has written all the time"
        qemu-img check -q -f qcow2 "$DIR/image"
        result $? "$method, busy guest under a limit: qemu-img check"
    done
    rm "$DIR/writing" # a guest that is saved writes no more, as the monitor would
    wait $writer
    diff <(echo "$before") <(picture busy) >/dev/null
    result $? "busy guest under a limit: left as before" "$(picture busy)"

    # Nothing is in the way of a guest that is down.
    began=${EPOCHREALTIME/./}
    write_disk busy 0x22 32M 24M
    probe cold busy rate=1 >"$DIR/output"
    result $? "cold, under a limit" "$(cat "$DIR/output")"
    took=$(((${EPOCHREALTIME/./} - began) / 1000))
    [ $took -lt 45000 ] # 56 s by 1 MiB/s
    result $? "cold, under a limit: the guest is down for as long as it takes ($took ms)" "$(cat "$DIR/output")"
    remove busy
}

# Where libvirt gives QEMU's user no file, as with dynamic_ownership = 0.
QEMU=$(id -u libvirt-qemu):$(getent group libvirt-qemu | cut -d: -f3)
define_ownerless() { # name size
    SHUT=1 define "$1" "$2"
    chown "$QEMU" "$(disk_of "$1")"
    sed -i "s|</domain>|<seclabel type='static' model='dac' relabel='no'><label>+${QEMU/:/:+}</label></seclabel>&|" \
        "$DIR/$1.xml"
    $VIRSH define "$DIR/$1.xml"
    start_it "$1"
}

# taken_by METHOD GUEST WHO HOW: HOW METHOD GUEST takes an image like the disk, leaves all as before.
taken_by() {
    local method=$1 guest=$2 who=$3 how=$4 before
    before=$(picture "$guest")
    $how "$method" "$guest" >"$DIR/output"
    result $? "$method, $who" "$(cat "$DIR/output")"
    flush "$guest"
    qemu-img compare -U -f qcow2 -F qcow2 "$(disk_of "$guest")" "$DIR/image" >/dev/null
    result $? "$method, $who: content"
    diff <(echo "$before") <(picture "$guest") >/dev/null
    result $? "$method, $who: left as before" "$(picture "$guest")"
}

test_files_libvirt_does_not_give() {
    local method
    define_ownerless owned 64M
    write_disk owned 0x11 0 20M
    for method in live blockcopy stream cold; do
        taken_by $method owned "libvirt gives no files" probe
    done
    remove owned
}

# As nova's user, who may talk to libvirt and is of QEMU's group.
as_nova() { # command guest
    install -o 65534 -m 600 /dev/null "$DIR/image"
    setpriv --reuid=65534 --regid=65534 --groups="${QEMU#*:}" "$PROBE" \
        "uri=qemu+unix:///system?socket=$DIR/libvirt" "instances=$INSTANCES" "snapshots=$SNAPSHOTS" \
        "$1" "$(uuid_of "$2")" "$DIR/image" 2>&1
}

# libvirtd asks no polkit for who comes by a socket of root's.
test_user_nova() {
    local SNAPSHOTS=$DIR/nova-snapshots method
    socat "UNIX-LISTEN:$DIR/libvirt,mode=777,fork" UNIX-CONNECT:/run/libvirt/libvirt-sock 2>/dev/null &
    started+=($!)
    mkdir "$SNAPSHOTS"
    as_nova check none >"$DIR/output"
    result $((!$?)) "a folder of root's is refused to nova's user"
    grep -q "snapshots_directory cannot be used: .*Permission denied" "$DIR/output"
    result $? "a folder of root's is refused to nova's user: told" "$(cat "$DIR/output")"
    chown 65534:65534 "$SNAPSHOTS"
    as_nova check none >"$DIR/output"
    result $? "nova's own folder is good" "$(cat "$DIR/output")"
    define nobodys 64M
    define_ownerless owned 64M
    write_disk nobodys 0x11 0 20M
    write_disk owned 0x11 0 20M
    for method in live blockcopy stream cold; do
        taken_by $method nobodys "as nova's user" as_nova
        taken_by $method owned "as nova's user, libvirt gives no files" as_nova
    done
    remove nobodys
    remove owned
}

test_guest_that_does_not_rest
test_suspended_to_memory
test_busy_guest_under_a_limit
test_files_libvirt_does_not_give
test_user_nova
echo "1..$count"
[ "$failures" -eq 0 ]
