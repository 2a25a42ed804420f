#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# live_snapshot_method = stream and blockcopy against a real libvirtd and QEMU. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
STATE=$DIR/state
mkdir "$STATE"

# A guest with a disk of qcow2 over a base image, of this size.
make_guest() { # name size
    local base=$INSTANCES/_base/$1 disk
    disk=$(disk_of "$1")
    mkdir -p "${disk%/*}"
    qemu-img create -q -f raw "$base" "$2"
    qemu-io -f raw -c 'write -q -P 0xba 0 8M' -c 'write -q -P 0xbb 16M 4M' "$base"
    qemu-img create -q -f qcow2 -b "$base" -F raw "$disk"
    start_guest "$1" qcow2 "$disk"
}
start_guest() { # name format disk
    define_guest "$1" "<disk type='file' device='disk'><driver name='qemu' type='$2'/>
      <source file='$3'/><target dev='vda' bus='virtio'/></disk>" || exit 1
}
disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }
# What the guest wrote has come to its disk.
holds() { # guest pattern offset length
    local said
    flush "$1"
    said=$(qemu-io -U -r -f qcow2 -c "read -P $2 $3 $4" "$(disk_of "$1")")
    [[ $said = "read "* ]] # before that it tells what is not as it should be
}
job_of() { $VIRSH domjobinfo "$NAME-$1" 2>&1 | head -n 1; }
whole_picture() {
    picture "$1"
    [ "$(state_of "$1")" = "shut off" ] || job_of "$1"
}
left_as_before() { # guest description before
    local after
    after=$(whole_picture "$1")
    [ "$3" = "$after" ]
    result $? "$2: left as before" "$(diff <(echo "$3") <(echo "$after"))"
}
same_as() { # reference format-of-reference format description
    local said
    said=$(qemu-img compare -U -f "$2" -F "$3" "$1" "$DIR/image" 2>&1) &&
        { [ "$3" != qcow2 ] || qemu-img check -q -f qcow2 "$DIR/image"; }
    result $? "$4" "$said"
}
snapshot() { # guest method format description [option...]
    local guest=$1 method=$2 format=$3 description=$4 before said disk_format=qcow2
    shift 4
    case $guest in flat | device) disk_format=raw ;; esac
    rm -f "$DIR/image"
    before=$(whole_picture "$guest")
    said=$(probe "$method" "$guest" "format=$format" "$@") || {
        result 1 "$description" "$said"
        return
    }
    flush "$guest"
    same_as "$(disk_of "$guest")" $disk_format "$format" "$description"
    left_as_before "$guest" "$description" "$before"
}
refused() { # guest method text description [option...]
    local guest=$1 method=$2 text=$3 description=$4 before said
    shift 4
    before=$(whole_picture "$guest")
    said=$(probe "$method" "$guest" "$@") && {
        result 1 "$description: must fail" "$said"
        return
    }
    grep -qF -- "$text" <<<"$said"
    result $? "$description" "$said"
    left_as_before "$guest" "$description" "$before"
}

test_disks() {
    local method
    make_guest base 64M
    mkdir -p "$INSTANCES/$(uuid_of flat)"
    qemu-img create -q -f raw "$(disk_of flat)" 64M
    start_guest flat raw "$(disk_of flat)"
    for guest in base flat; do
        for method in stream blockcopy; do
            write_disk $guest 0x11 1M 10M
            write_disk $guest 0x12 40M 3M
            snapshot $guest $method qcow2 "$method, $guest to qcow2"
            write_disk $guest 0x21 5M 2M
            snapshot $guest $method raw "$method, $guest to raw, after a write"
        done
    done
    $VIRSH autostart "$NAME-base"
    $VIRSH suspend "$NAME-base"
    for method in stream blockcopy; do
        snapshot base $method qcow2 "$method, paused guest"
        [ "$(state_of base)" = paused ]
        result $? "$method: paused guest is paused"
    done
    $VIRSH resume "$NAME-base"
    for format in vmdk vdi; do
        snapshot base stream $format "stream, converted to $format"
    done
    for method in stream blockcopy; do
        snapshot base $method qcow2 "$method, compressed" compress=1
        snapshot base $method qcow2 "$method, compressed with zstd" compress=1 compression_type=zstd
        qemu-img info -f qcow2 "$DIR/image" | grep -q 'compression type: zstd'
        result $? "$method: the image is compressed with zstd"
    done
    [ -z "$(find "$SNAPSHOTS" -type f)" ]
    result $? "no file is left"
    $VIRSH managedsave "$NAME-base" >/dev/null
    snapshot base stream qcow2 "stream, guest that nova suspended"
    $VIRSH start "$NAME-base"
    $VIRSH destroy "$NAME-base"
    snapshot base stream qcow2 "stream, stopped guest to qcow2"
    snapshot base stream raw "stream, stopped guest to raw"
    remove base
    remove flat
}

test_instant() {
    make_guest instant 64M
    write_disk instant 0x31 2M 20M
    flush instant
    qemu-img convert -U -f qcow2 -O raw "$(disk_of instant)" "$DIR/reference"
    local before point
    before=$(whole_picture instant)
    for point in stream:begun stream:mapped; do
        hold_at $point instant stream format=qcow2
        write_disk instant 0x32 0 30M
        write_disk instant 0x33 50M 8M
        $VIRSH dominfo "$NAME-instant" | grep -q '^Persistent: *yes'
        result $? "$point: the domain is defined meanwhile"
        let_go
        result $? "$point: a guest that writes meanwhile" "$(cat "$DIR/said")"
        same_as "$DIR/reference" raw qcow2 "$point: the image is of the instant"
        left_as_before instant "$point" "$before"
        flush instant
        qemu-img convert -U -f qcow2 -O raw "$(disk_of instant)" "$DIR/reference"
    done
    rm "$DIR/reference"
    remove instant
}

test_quiesce() {
    local method
    for method in stream blockcopy; do
        qemu-img create -q -f qcow2 "$DIR/agent.qcow2" 64M
        DEVICES="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" \
            start_guest agent qcow2 "$DIR/agent.qcow2"
        mkdir -p "$INSTANCES/$(uuid_of agent)" && ln -sf "$DIR/agent.qcow2" "$(disk_of agent)"
        snapshot agent $method qcow2 "$method, agent that does not answer: skipped" quiesce=1 freeze=2
        refused agent $method os_require_quiesce "$method, agent that does not answer: required" \
            quiesce=1 require_quiesce=1 freeze=2
        remove agent
    done
}

test_jobs_of_others() {
    make_guest busy 256M
    write_disk busy 0x41 0 200M
    $VIRSH blockcopy "$NAME-busy" vda "$DIR/foreign" --transient-job --bandwidth 1 >/dev/null
    local method
    for method in stream blockcopy; do
        probe $method busy | grep -q 'another block job is running'
        result $? "$method: a foreign block job is refused"
    done
    $VIRSH blockjob "$NAME-busy" vda 2>&1 | grep -q 'Block Copy'
    result $? "the foreign block job goes on"
    $VIRSH blockjob "$NAME-busy" vda --abort
    cat >"$DIR/backup.xml" <<EOF
<domainbackup mode='pull'><server transport='unix' socket='$DIR/foreign.sock'/>
<disks><disk name='vda' type='file'><scratch file='$DIR/foreign.scratch'/></disk></disks></domainbackup>
EOF
    chmod 777 "$DIR"
    $VIRSH backup-begin "$NAME-busy" "$DIR/backup.xml" >/dev/null
    probe stream busy | grep -q 'another block job is running'
    result $? "a foreign backup job is refused at once"
    [[ "$(job_of busy)" =~ Unbounded ]]
    result $? "the foreign backup job goes on" "$(job_of busy)"
    $VIRSH domjobabort "$NAME-busy"
    chmod 755 "$DIR"
    snapshot busy stream qcow2 "stream, once the foreign jobs are over"
    remove busy
}

# 100 MiB at 40 MiB/s.
test_rate() {
    local began took method
    make_guest slow 256M
    write_disk slow 0x71 0 100M
    for method in live blockcopy; do
        began=${EPOCHREALTIME/./}
        snapshot slow $method qcow2 "$method at 40 MiB/s" rate=40
        took=$((${EPOCHREALTIME/./} - began))
        [ $took -ge 2300000 ]
        result $? "$method takes as long as it has to" "$took us"
    done
    remove slow
}

# What happens while the image is read.
test_midst() {
    local before
    make_guest midst 256M
    write_disk midst 0x51 0 200M
    before=$(whole_picture midst)

    hold_at stream:mapped midst stream cancel=ImageNotFound
    kill -USR1 "$pid"
    let_go
    result $((!$?)) "cancelled: fails" "$(cat "$DIR/said")"
    grep -q "exc=ImageNotFound" "$DIR/said"
    result $? "cancelled: told why" "$(cat "$DIR/said")"
    left_as_before midst cancelled "$before"

    hold_at stream:mapped midst stream "journal=$DIR/journal"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    job_of midst | grep -q Unbounded
    result $? "killed: the job is still there"
    probe recover midst "journal=$DIR/journal" >/dev/null
    result $? "killed: recovers"
    left_as_before midst killed "$before"
    rm -f "$DIR/journal"

    hold_at stream:mapped midst stream
    monitor midst quit >/dev/null 2>&1
    let_go
    result $((!$?)) "power-off: fails" "$(cat "$DIR/said")"
    [ "$(state_of midst)" = "shut off" ] && [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "power-off: guest is defined and off, no file left" "$(ls -lR "$SNAPSHOTS")"
    snapshot midst stream qcow2 "the disk it left"

    $VIRSH start "$NAME-midst"
    hold_at stream:mapped midst stream cancel=UnexpectedDeletingTaskStateError
    kill -USR1 "$pid"
    $VIRSH destroy "$NAME-midst" >/dev/null
    $VIRSH undefine "$NAME-midst" >/dev/null
    let_go
    state_of midst | grep -q 'failed to get domain' && [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "deletion: nothing is left" "$(state_of midst; ls -lR "$SNAPSHOTS")"
    remove midst
}

# nova starts the guest whose disk is read: it can, and no image of a changing disk is told as good.
started_while_read() { # guest description option...
    local guest=$1 description=$2 said
    shift 2
    hold_at stopped:disk-shown "$guest" stream "$@"
    said=$($VIRSH start "$NAME-$guest" 2>&1)
    result $? "$description: can be started" "$said"
    write_disk "$guest" 0x83 0 30M
    let_go
    result $((!$?)) "$description: fails" "$(cat "$DIR/said")"
    grep -qE "guest was started(, stopped, paused or resumed meanwhile| while its disk)" "$DIR/said"
    result $? "$description: told why" "$(cat "$DIR/said")"
    [ "$(state_of "$guest")" = running ]
    result $? "$description: it runs"
    $VIRSH destroy "$NAME-$guest"
    hold_at stopped:disk-shown "$guest" stream "$@"
    $VIRSH start "$NAME-$guest" && $VIRSH destroy "$NAME-$guest"
    let_go
    result $((!$?)) "$description, and stopped again: fails" "$(cat "$DIR/said")"
    snapshot "$guest" stream qcow2 "$description: streamed once it is left alone"
}
test_started() {
    local loop
    make_guest started 64M
    write_disk started 0x81 0 40M
    $VIRSH destroy "$NAME-started"
    started_while_read started "stopped guest" format=qcow2
    $VIRSH start "$NAME-started" && $VIRSH managedsave "$NAME-started" >/dev/null
    hold_at stopped:disk-shown started stream
    $VIRSH start "$NAME-started" # from its memory: nova's resume
    let_go
    result $((!$?)) "suspended guest that goes on: fails" "$(cat "$DIR/said")"
    remove started

    truncate -s 64M "$DIR/device"
    loop=$(losetup -f --show "$DIR/device") || return
    mkdir -p "$INSTANCES/$(uuid_of device)"
    ln -s "$loop" "$(disk_of device)"
    SHUT=1 define_guest device "<disk type='block' device='disk'><driver name='qemu' type='raw'/>
      <source dev='$loop'/><target dev='vda' bus='virtio'/></disk>"
    started_while_read device "stopped guest, block device" format=qcow2
    remove device
    losetup -d "$loop"
}

# nova stops and deletes a guest that is streamed, and starts it again at once.
test_stopped() {
    local way began
    make_guest stopped 64M
    write_disk stopped 0x91 0 40M
    for way in destroy shutdown reboot suspend; do
        hold_at stream:mapped stopped stream
        began=${EPOCHREALTIME/./}
        $VIRSH $way "$NAME-stopped"
        result $? "$way of a guest that is streamed" "$(state_of stopped)"
        [ $((${EPOCHREALTIME/./} - began)) -lt 10000000 ]
        result $? "$way: at once" "$((${EPOCHREALTIME/./} - began)) us"
        if [ $way = destroy ]; then
            $VIRSH start "$NAME-stopped"
            result $? "$way: can be started again" "$(state_of stopped)"
            let_go
            result $((!$?)) "$way: the image fails" "$(cat "$DIR/said")"
        else
            let_go
            result $? "$way: the image is of its instant" "$(cat "$DIR/said")"
        fi
        [ $way != suspend ] || $VIRSH resume "$NAME-stopped"
        [ "$(state_of stopped)" = running ] && job_of stopped | grep -q None &&
            [ -z "$(ls -A "$SNAPSHOTS")" ]
        result $? "$way: nothing is left" "$(state_of stopped) $(job_of stopped) $(ls -R "$SNAPSHOTS")"
    done
    hold_at stream:mapped stopped stream
    $VIRSH undefine "$NAME-stopped" && $VIRSH destroy "$NAME-stopped"
    result $? "a guest that is streamed can be deleted"
    let_go
    result $((!$?)) "deleted: the image fails" "$(cat "$DIR/said")"
    state_of stopped | grep -q 'failed to get domain' && [ -z "$(ls -A "$SNAPSHOTS")" ]
    result $? "deleted: nothing is left" "$(state_of stopped; ls -lR "$SNAPSHOTS")"
}

# The guest's own writes go first: the snapshot is given up before they fail.
test_no_space() {
    local SNAPSHOTS=$DIR/small/snapshots before
    mkdir "$DIR/small"
    mount -t tmpfs -o size=200m,mode=711 tmpfs "$DIR/small" || return
    mkdir "$SNAPSHOTS"
    make_guest scarce 256M
    write_disk scarce 0x61 0 150M
    refused scarce stream "not enough space" "no room left for the guests" reserve=190
    before=$(whole_picture scarce)
    hold_at stream:mapped scarce stream reserve=60
    write_disk scarce 0x62 0 150M # of 200
    holds scarce 0x62 0 150M
    result $? "space that comes to its end: the guest can write"
    sleep 2 # it is looked at every second
    let_go
    result $((!$?)) "space that comes to its end: fails" "$(cat "$DIR/said")"
    grep -q "running out of space" "$DIR/said"
    result $? "space that comes to its end: told" "$(cat "$DIR/said")"
    left_as_before scarce "space that comes to its end" "$before"
    write_disk scarce 0x63 0 150M
    holds scarce 0x63 0 150M
    result $? "the guest writes on"
    remove scarce
    umount "$DIR/small"
}

test_disks
test_instant
test_quiesce
test_jobs_of_others
test_rate
test_midst
test_started
test_stopped
test_no_space
echo "1..$count"
[ "$failures" -eq 0 ]
