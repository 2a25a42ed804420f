#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The libvirt driver against a real libvirtd and QEMU: disks in files. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
RATE=1000000

# As define_guest, with a file or device.
define() { # name format disk-path [disk-type source-attribute]
    define_guest "$1" "<disk type='${4:-file}' device='disk'>
      <driver name='qemu' type='$2'/>
      <source ${5:-file}='$3'/>
      <target dev='vda' bus='virtio'/>
      <serial>root</serial>
    </disk>"
}

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }

# base FORMAT NAME: a base image with data in it.
base() {
    local path=$INSTANCES/_base/$2
    qemu-img create -q -f "$1" "$path" 32M
    qemu-io -f "$1" -c "write -q -P 0xba 0 8M" -c "write -q -P 0xbb 16M 4M" "$path"
    echo "$path"
}

make_disk() { # guest format size [base base-format]
    mkdir -p "$(dirname "$(disk_of "$1")")"
    if [ -n "${4:-}" ]; then
        qemu-img create -q -f "$2" -b "$4" -F "$5" "$(disk_of "$1")" "$3"
    else
        qemu-img create -q -f "$2" "$(disk_of "$1")" "$3"
    fi
}

# snapshot GUEST METHOD DISK-FORMAT IMAGE-FORMAT DESCRIPTION [option...]: takes one, checks it.
snapshot() {
    local guest=$1 method=$2 disk_format=$3 format=$4 description=$5 before after output
    shift 5
    rm -f "$DIR/image"
    before=$(picture "$guest")
    output=$(probe "$method" "$guest" "format=$format" "$@") || {
        result 1 "$description" "$output"
        return
    }
    after=$(picture "$guest")
    output+=$'\n'$(diff <(echo "$before") <(echo "$after")) || {
        result 1 "$description: left as before" "$output"
        return
    }
    flush "$guest"
    output+=$'\n'$(qemu-img compare -U -f "$disk_format" -F "$format" "$(disk_of "$guest")" \
        "$DIR/image" 2>&1) || {
        result 1 "$description: content" "$output"
        return
    }
    if [ "$format" != raw ] && qemu-img info -f "$format" "$DIR/image" | grep -q '^backing file'; then
        result 1 "$description: flattened" "$output"
        return
    fi
    if [ "$format" = qcow2 ] && ! qemu-img check -q -f qcow2 "$DIR/image"; then
        result 1 "$description: qemu-img check"
        return
    fi
    result 0 "$description"
}

# refused GUEST METHOD TEXT DESCRIPTION [option...]: fails with TEXT, leaves all as before.
refused() {
    local guest=$1 method=$2 text=$3 description=$4 before after output
    shift 4
    before=$(picture "$guest")
    output=$(probe "$method" "$guest" "$@") && {
        result 1 "$description: must fail" "$output"
        return
    }
    grep -qF -- "$text" <<<"$output" || {
        result 1 "$description" "$output"
        return
    }
    after=$(picture "$guest")
    output=$(diff <(echo "$before") <(echo "$after"))
    result $? "$description" "$output"
}

test_live_and_cold() {
    local raw_base qcow2_base
    raw_base=$(base raw raw)
    qcow2_base=$(base qcow2 qcow2)
    make_disk onraw qcow2 64M "$raw_base" raw
    make_disk onqcow2 qcow2 64M "$qcow2_base" qcow2
    make_disk nobase qcow2 64M
    make_disk flat raw 64M
    for guest in onraw onqcow2 nobase flat; do
        local format=qcow2
        [ $guest = flat ] && format=raw
        define $guest $format "$(disk_of $guest)" || exit 1
        write_disk $guest 0x11 1M 10M
        write_disk $guest 0x12 40M 3M
        snapshot $guest live $format qcow2 "live, $guest to qcow2"
        write_disk $guest 0x21 5M 2M
        snapshot $guest live $format raw "live, $guest to raw, after a write"
        snapshot $guest cold $format qcow2 "cold, $guest to qcow2"
    done
    $VIRSH autostart "$NAME-onraw"
    for format in vmdk vdi; do
        snapshot onraw live qcow2 $format "live to $format"
        snapshot onraw cold qcow2 $format "cold to $format"
    done
    snapshot onraw live qcow2 qcow2 "live, compressed" compress=1
    local plain
    plain=$(stat -c %s "$DIR/image")
    [ "$plain" -lt 5000000 ]
    result $? "a compressed image is small" "$plain bytes"
    snapshot onraw live qcow2 raw "live to raw, compression not heeded" compress=1

    $VIRSH suspend "$NAME-onraw"
    snapshot onraw live qcow2 qcow2 "live, paused guest"
    snapshot onraw cold qcow2 qcow2 "cold, paused guest"
    [ "$(state_of onraw)" = paused ]
    result $? "paused guest is paused"
    $VIRSH resume "$NAME-onraw"

    $VIRSH managedsave "$NAME-onraw" >/dev/null
    snapshot onraw cold qcow2 qcow2 "guest that nova suspended"
    $VIRSH start "$NAME-onraw"
    $VIRSH destroy "$NAME-onraw"
    snapshot onraw cold qcow2 raw "stopped guest"
    for guest in onraw onqcow2 nobase flat; do remove $guest; done
}

test_quiesce() {
    make_disk agent qcow2 64M
    DEVICES="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" \
        define agent qcow2 "$(disk_of agent)"
    snapshot agent live qcow2 qcow2 "agent that does not answer: skipped" quiesce=1 freeze=2
    refused agent live os_require_quiesce "agent that does not answer: required" \
        quiesce=1 require_quiesce=1 freeze=2
    remove agent
}

# Firmware variables have to outlive the time without a definition.
test_nvram() {
    make_disk uefi qcow2 64M
    truncate -s 4M "$DIR/code.fd"
    truncate -s 128K "$DIR/vars.fd"
    printf 'variables' | dd of="$DIR/vars.fd" conv=notrunc status=none
    OS="<loader readonly='yes' type='pflash'>$DIR/code.fd</loader>
        <nvram template='$DIR/vars.fd'>$DIR/uefi_vars.fd</nvram>" \
        define uefi qcow2 "$(disk_of uefi)"
    snapshot uefi live qcow2 qcow2 "live, guest with firmware variables"
    grep -q variables "$DIR/uefi_vars.fd"
    result $? "firmware variables are kept"
    remove uefi
}

test_block_device() {
    mkdir -p "$(dirname "$(disk_of lvm)")"
    truncate -s 64M "$DIR/device"
    local loop
    loop=$(losetup -f --show "$DIR/device" 2>&1) || {
        # No loop devices here: a device node is not to be had, its path is what counts.
        echo "# no loop device ($loop)"
        return
    }
    ln -s "$loop" "$(disk_of lvm)"
    define lvm raw "$loop" block dev
    write_disk lvm 0x31 0 20M
    snapshot lvm cold raw raw "cold, block device"
    remove lvm
    losetup -d "$loop"
}

test_refusals() {
    local raw_base
    raw_base=$(base raw refusals)
    make_disk forged qcow2 64M "$raw_base" raw
    define forged qcow2 "$(disk_of forged)"
    # While the guest runs, its disk's header is made to name another file.
    cp "$raw_base" "$INSTANCES/_base/other"
    qemu-img rebase -u -U -f qcow2 -b "$INSTANCES/_base/other" -F raw "$(disk_of forged)" 2>/dev/null ||
        forge_backing forged "$raw_base" "$INSTANCES/_base/secrets"
    for method in live cold; do
        refused forged $method "backing file" "$method, forged backing file (running)"
    done
    [ "$(state_of forged)" = running ]
    result $? "guest with the forged disk runs on"
    remove forged
    qemu-img rebase -u -f qcow2 -b /etc/passwd -F raw "$(disk_of forged)"
    SHUT=1 define forged qcow2 "$(disk_of forged)"
    refused forged cold "a base image below instances_path" "cold, forged backing file (stopped)"
    remove forged

    make_disk lying raw 64M
    SHUT=1 define lying qcow2 "$(disk_of lying)"
    refused lying cold "not in qcow2 format" "format that is not the definition's"
    rm "$(disk_of lying)"
    refused lying cold DiskNotFound "missing disk"
    remove lying

    local output
    output=$(probe inspect nobody)
    grep -q InstanceNotRunning <<<"$output"
    result $? "missing domain" "$output"
}

# Overwrites the name in the header with one of the same length.
forge_backing() { # guest name-there name-wanted
    local offset
    offset=$(grep -abo "$2" "$(disk_of "$1")" | head -n 1 | cut -d: -f1)
    printf "%-${#2}.${#2}s" "$3" | tr ' ' x |
        dd of="$(disk_of "$1")" bs=1 seek="$offset" conv=notrunc status=none
}

test_foreign_job() {
    make_disk busy qcow2 256M
    define busy qcow2 "$(disk_of busy)"
    write_disk busy 0x41 0 200M
    $VIRSH blockcopy "$NAME-busy" vda "$DIR/foreign" --transient-job --bandwidth 1 >/dev/null
    local output
    output=$(probe live busy) && result 1 "foreign block job: must fail" "$output"
    grep -q 'another block job is running' <<<"$output"
    result $? "foreign block job is refused" "$output"
    $VIRSH blockjob "$NAME-busy" vda 2>&1 | grep -q 'Block Copy'
    result $? "foreign block job goes on"
    $VIRSH blockjob "$NAME-busy" vda --abort
    $VIRSH dominfo "$NAME-busy" | grep -q '^Persistent: *yes'
    result $? "guest with the foreign job stays defined"
    snapshot busy live qcow2 qcow2 "live, once the foreign job is over"
    remove busy
}

# Runs a live snapshot, slows it down to RATE bytes/s, and does something to the guest in the middle of it.
during_copy() { # guest text description what [option...]
    local guest=$1 text=$2 description=$3 what=$4 output=$DIR/during pid
    shift 4
    probe live "$guest" "$@" >"$output" &
    pid=$!
    for _ in $(seq 500); do
        $VIRSH blockjob "$NAME-$guest" vda --bytes "$RATE" >/dev/null 2>&1 && break
        kill -0 $pid 2>/dev/null || break
    done
    $what "$guest"
    wait $pid
    result $((!$?)) "$description: fails" "$(cat "$output")"
    grep -q "$text" "$output"
    result $? "$description: told" "$(cat "$output")"
    [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "$description: no files left" "$(ls -lR "$SNAPSHOTS")"
}
power_off() { monitor "$1" quit >/dev/null 2>&1; }
delete() {
    rm -f "$(disk_of "$1")"
    $VIRSH destroy "$NAME-$1" >/dev/null
}
end_job() { $VIRSH blockjob "$NAME-$1" vda --abort; }
nothing() { :; }

test_midst() {
    local before
    make_disk long qcow2 1G
    define long qcow2 "$(disk_of long)"
    write_disk long 0x51 0 800M
    before=$($VIRSH dumpxml --inactive --security-info "$NAME-long")

    during_copy long "ended before it was complete" "job ended by somebody else" end_job
    [ "$(state_of long)" = running ]
    result $? "job ended by somebody else: guest runs on"
    diff <(echo "$before") <($VIRSH dumpxml --inactive --security-info "$NAME-long") >/dev/null
    result $? "job ended by somebody else: definition is back"

    during_copy long InstanceNotFound "power-off in the middle" power_off
    [ "$(state_of long)" = "shut off" ]
    result $? "power-off in the middle: guest is defined and off" "$(state_of long)"
    diff <(echo "$before") <($VIRSH dumpxml --inactive --security-info "$NAME-long") >/dev/null
    result $? "power-off in the middle: definition is back"
    snapshot long cold qcow2 qcow2 "snapshot of the guest that went off"

    $VIRSH start "$NAME-long"
    during_copy long InstanceNotFound "deletion in the middle" delete
    state_of long | grep -q 'failed to get domain'
    result $? "deletion in the middle: no definition left over" "$(state_of long)"
    remove long
}

# The probe of during_copy runs in a shell of its own.
send_cancel() { xargs kill -USR1 <"/proc/$pid/task/$pid/children"; }
# Cancels it, and has it end within two seconds.
cancel_it() { # guest
    local began=${EPOCHREALTIME/./}
    send_cancel
    wait "$pid"
    local status=$? took=$((${EPOCHREALTIME/./} - began))
    [ $took -lt 2000000 ]
    result $? "cancelled copy of $1: over within 2 s" "$took us"
    return $status
}
delete_with_nova() {
    send_cancel
    $VIRSH destroy "$NAME-$1" >/dev/null
    $VIRSH undefine "$NAME-$1" >/dev/null 2>&1
}

test_cancel() {
    local before after
    make_disk unwanted qcow2 1G
    define unwanted qcow2 "$(disk_of unwanted)"
    write_disk unwanted 0x71 0 800M
    before=$(picture unwanted)
    during_copy unwanted "exc=ImageNotFound cancelled by a signal" "cancelled copy" cancel_it
    after=$(picture unwanted)
    diff <(echo "$before") <(echo "$after") >/dev/null
    result $? "cancelled copy: left as before" "$after"
    during_copy unwanted "exc=UnexpectedDeletingTaskStateError" "deletion by nova in the middle" \
        delete_with_nova cancel=UnexpectedDeletingTaskStateError
    state_of unwanted | grep -q 'failed to get domain'
    result $? "deletion by nova in the middle: no definition left over" "$(state_of unwanted)"
    remove unwanted
}

test_stall() {
    make_disk stalled qcow2 256M
    define stalled qcow2 "$(disk_of stalled)"
    write_disk stalled 0x61 0 200M
    local before after
    before=$(picture stalled)
    RATE=1 during_copy stalled "made no progress for 2 s" "copy that stalls" nothing stall=2
    after=$(picture stalled)
    diff <(echo "$before") <(echo "$after") >/dev/null
    result $? "copy that stalls: left as before" "$after"
    remove stalled
}

# The guests' disks and other snapshots may be on the file system that snapshots are written to.
fill() { # but for 8 MiB
    local free
    free=$(df --output=avail -B1 "$DIR/small" | tail -n 1)
    fallocate -l $((free - (8 << 20))) "$DIR/small/filler"
    sleep 2 # it is looked at every second
}
fill_all() { cat /dev/zero >"$DIR/small/filler" 2>/dev/null; }

# The snapshot stands still at a point while the file system is filled.
filled_at() { # point text description what [option...]
    local point=$1 text=$2 description=$3 what=$4 output=$DIR/filled pid
    shift 4
    mkdir -p "$DIR/state"
    echo "$point hold" >"$DIR/state/failpoint"
    probe live scarce "state=$DIR/state" "$@" >"$output" &
    pid=$!
    for _ in $(seq 200); do
        [ -e "$DIR/state/failpoint.reached" ] && break
        sleep 0.1
    done
    $what
    rm -f "$DIR/state/failpoint"
    wait $pid
    result $((!$?)) "$description: fails" "$(cat "$output")"
    grep -q "$text" "$output"
    result $? "$description: told" "$(cat "$output")"
    [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "$description: no files left" "$(ls -lR "$SNAPSHOTS")"
    rm -f "$DIR/small/filler"
}

test_no_space() {
    local SNAPSHOTS=$DIR/small/snapshots before
    mkdir "$DIR/small"
    mount -t tmpfs -o size=160m,mode=711 tmpfs "$DIR/small" || return
    mkdir "$SNAPSHOTS"
    make_disk scarce qcow2 256M
    define scarce qcow2 "$(disk_of scarce)"
    write_disk scarce 0x71 0 20M
    flush scarce
    for method in live cold; do
        refused scarce $method "not enough space" "$method, no room left for the guests" reserve=150
    done
    snapshot scarce live qcow2 qcow2 "live, just enough room" reserve=16
    before=$(picture scarce)
    filled_at live:copy-started "running out of space" "space that comes to its end" fill reserve=16
    filled_at live:copy-ended "running out of space" "space that is gone when the copy ends" \
        fill_all reserve=16
    filled_at live:undefined "No space left\|ended before it was complete" \
        "space that is at its end" fill_all
    diff <(echo "$before") <(picture scarce) >/dev/null
    result $? "space: left as before"
    remove scarce
    umount "$DIR/small"
}

test_live_and_cold
test_quiesce
test_nvram
test_block_device
test_refusals
test_foreign_job
test_midst
test_cancel
test_stall
test_no_space
echo "1..$count"
[ "$failures" -eq 0 ]
