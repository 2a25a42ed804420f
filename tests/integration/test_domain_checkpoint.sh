#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nova-snapshot domain checkpoint on domains of this host's libvirt. Needs root. TAP.
# Not a part of make check: make domain-check. CELLS="kills restarts": those alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/writing_guest.sh
. tests/integration/lib/writing_guest.sh
# shellcheck source=tests/integration/lib/checkpoints.sh
. tests/integration/lib/checkpoints.sh
# shellcheck source=tests/integration/lib/restart.sh
. tests/integration/lib/restart.sh

checkpoint() { tool checkpoint "$@"; }
# What test_domain_matrix.sh leaves out.
test_external() {
    local guest=$1 boots=1 said
    make_writing_guest "$guest" raw raw
    said=$(checkpoint "$guest" --name live --live) && grep -qE 'stood still for [0-9]+\.[0-9]{3} s' <<<"$said"
    result $? "external, live: how long it stood still is told" "$said"
    goes_on "$guest" "$boots" "external, live"
    $VIRSH suspend "$NAME-$guest"
    make_checkpoint "$guest" paused
    said=$(checkpoint "$guest" --name again)
    [ $? -eq 1 ] && grep -q 'has to run for a moment first' <<<"$said"
    result $? "a second memory of a paused guest fails, and says why" "$said"
    $VIRSH resume "$NAME-$guest"
    goes_on "$guest" "$boots" "external, paused"
    said=$(checkpoint "$guest" --name halted --halt) && [ "$(state_of "$guest")" = 'shut off' ] &&
        grep -q 'was ended' <<<"$said"
    result $? "--halt ends the guest at that instant" "$said, $(state_of "$guest")"
    make_checkpoint "$guest" rested
    [ "$(stat -c %a "$DISKS/$guest.img.rested")" = "$(stat -c %a "$DISKS/$guest.img.halted")" ]
    result $? "a stopped domain's new file is no more open than its disk" "$(ls -l "$DISKS")"
    $VIRSH start "$NAME-$guest"
    boots=2
    goes_on "$guest" "$boots" "external, stopped"
}

# virsh wakes it up of such a memory, too, on the disks that hold the instant.
test_memory_fits() { # guest
    local guest=$1 files said boots
    mapfile -t files < <(files_of "$guest")
    said=$(checkpoint "$guest" --name woken --memory-file "$DISKS/elsewhere")
    result $? "memory in a file that is named" "$said"
    $VIRSH destroy "$NAME-$guest"
    boots=$(boots_of "$guest")
    said=$($VIRSH restore "$DISKS/elsewhere" 2>&1)
    result $? "virsh wakes the guest up of it" "$said"
    goes_on "$guest" "$boots" "woken"
    $VIRSH suspend "$NAME-$guest"
    flush "$guest"
    said=$(last_of "${files[@]}")
    result $? "woken: no record is missing" "$said"
    $VIRSH resume "$NAME-$guest"
}

refused() { # guest status text arguments...
    refuses "$1" "$2" "$3" checkpoint "$1" "${@:4}"
}
# What virsh does with a memory file that is there already.
virsh_overwrites() { # guest
    echo mine >"$DISKS/mine"
    $VIRSH snapshot-create-as "$NAME-$1" overwritten --memspec "file=$DISKS/mine" --no-metadata \
        --diskspec "vda,file=$DISKS/$1.img.virsh" --diskspec vdb,snapshot=no >/dev/null 2>&1
    [ -s "$DISKS/mine" ] && [ "$(head -c 4 "$DISKS/mine")" != mine ]
    result $? "virsh writes over a memory file that is there"
    echo mine >"$DISKS/mine"
    refused "$1" 1 "$DISKS/mine is there already" --memory-file "$DISKS/mine"
    [ "$(cat "$DISKS/mine")" = mine ]
    result $? "the tool does not"
}

test_refusals() {
    local guest=raw
    virsh_overwrites $guest
    refused $guest 1 'has a checkpoint live already' --name live
    refused $guest 1 "$DISKS/content is there already" --disk "vda=$DISKS/content"
    refused $guest 1 'is none that takes part' --disk "vdq=$DISKS/new"
    refused $guest 1 'would be two files' --disk "vda=$DISKS/new" --disk "vdb=$DISKS/new"
    refused $guest 1 'cannot find the folder' --memory-file "$DISKS/none/new"
    refused $guest 1 'guest agent' --disk-only --quiesce
    refused $guest 2 'would wake up frozen' --quiesce
    refused $guest 2 'either --disk-only or' --disk-only --memory
    refused $guest 2 'either --live or' --live --halt
    refused $guest 2 'no --disk and no' --internal --memory-file "$DISKS/new"
    refused $guest 2 'can have that --name' --name ../evil
    refused $guest 2 'can have that --name' --name=-x
    $VIRSH blockcopy "$NAME-$guest" vdb --dest "$DISKS/$guest.img.copy" --transient-job >/dev/null
    refused $guest 1 'disk vdb: it is being copied'
    $VIRSH blockjob "$NAME-$guest" vdb --abort
    $VIRSH destroy "$NAME-$guest"
    refused $guest 1 'does not run' --memory
    refused $guest 1 'has a comma' --name a,b
    remove $guest
    refuse_devices
    refuse_what_the_next_start_lacks
}

refuse_what_the_next_start_lacks() {
    local guest=plugged said
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    qemu-img create -q -f qcow2 "$DISKS/${guest}2.img" 16M
    define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")" || exit 1
    $VIRSH attach-disk "$NAME-$guest" "$DISKS/${guest}2.img" vdb --driver qemu --subdriver qcow2 \
        --live >/dev/null
    refused $guest 1 'disk vdb: the running guest alone has it' --name live
    $VIRSH attach-disk "$NAME-$guest" "$DISKS/${guest}2.img" vdb --driver qemu --subdriver qcow2 \
        --config >/dev/null
    said=$(checkpoint $guest --name both) &&
        [ "$(file_of $guest vdb --inactive)" = "$DISKS/${guest}2.img.both" ]
    result $? "of a disk that the next start has, too, it has the new layer" "$said"
    said=$(checkpoint $guest --name a,b --disk-only) && said+=$(tool delete-checkpoint $guest a,b)
    result $? "a layer of a guest that runs may have a comma in its name" "$said"
    remove $guest
    $VIRSH create "$DIR/$guest.xml"
    refused $guest 1 'the domain is transient' --name transient
    $VIRSH destroy "$NAME-$guest"
}

refuse_devices() {
    local said found expected=1
    qemu-img create -q -f qcow2 "$DISKS/a.img" 16M
    SHUT=1 OS="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>" \
        define_guest uefi "$(disk_xml vda qcow2 "$DISKS/a.img")" || exit 1
    said=$($VIRSH snapshot-create-as "$NAME-uefi" inside 2>&1)
    found=$?
    libvirt_is_since 10.10.0 && expected=0
    [ $found -eq $expected ]
    result $? "virsh makes no internal one with UEFI, until libvirt 10.10" "$said"
    refused uefi 1 'UEFI' --internal
    refused uefi 1 "nvram would not be in it: the firmware's variables stay as they are; "
    said=$(checkpoint uefi --name forced --force) && grep -q '^nvram  not in it: ' <<<"$said"
    result $? "UEFI, with --force: it is made, and what cannot work is told" "$said"
    remove uefi
    SHUT=1 define_guest net "$(disk_xml vda qcow2 "$DISKS/a.img")
        <disk type='network' device='disk'><driver name='qemu' type='raw'/>
        <source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source>
        <target dev='vdb' bus='virtio'/></disk>" || exit 1
    refused net 1 'disk vdb: it is neither a file nor a block device'
    remove net
    refuse_dead_ends
}

# No way back, or no merge.
refuse_dead_ends() {
    qemu-img create -q -f qcow2 "$DISKS/b.img" 16M
    ln -s b.img "$DISKS/link"
    SHUT=1 define_guest link "$(disk_xml vda qcow2 "$DISKS/link")" || exit 1
    refused link 1 'vda: it is called by a link: neither'
    remove link
    SHUT=1 define_guest shared "$(disk_xml vda qcow2 "$DISKS/a.img")
        <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$DISKS/b.img'/>
        <target dev='vdb' bus='virtio'/><shareable/></disk>" || exit 1
    refused shared 1 'vdb would not be in it: it is shared with other guests; '
    remove shared
}

# libvirt's checkpoints of increments beside one to come back to.
test_bitmaps() {
    local guest=marked said
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")" || exit 1
    $VIRSH checkpoint-create-as "$NAME-$guest" bitmap >/dev/null
    said=$(checkpoint $guest --name beside)
    result $? "beside a checkpoint of increments" "$said"
    grep -q '^increments  beware: ' <<<"$said"
    result $? "beside a checkpoint of increments: that there is no way back is told" "$said"
    $VIRSH suspend "$NAME-$guest"
    refused $guest 1 'QEMU lets go of their bitmaps' --name paused
    $VIRSH resume "$NAME-$guest"
    said=$(tree_of $guest)
    grep -q '^  bitmap' <<<"$said" && grep -q '^\* beside' <<<"$said"
    result $? "beside a checkpoint of increments: both are listed" "$said"
    $VIRSH destroy "$NAME-$guest"
    said=$($VIRSH snapshot-create-as "$NAME-$guest" rested --disk-only 2>&1)
    result $((! $?)) "virsh makes none of a stopped domain with a checkpoint of increments" "$said"
    refused $guest 1 'has checkpoints of increments'
    remove $guest
}

# Whatever the command came to: all of it or nothing, and a guest that writes on.
whole_or_nothing() { # guest name description: $made; what recover has $said
    said=$(recover "$1")
    result $? "$3: recover" "$said"
    if $VIRSH snapshot-list --name "$NAME-$1" | grep -qx "$2"; then
        [ "$(file_of "$1" vda)" = "$DISKS/$1.img.$2" ] &&
            [ "$(file_of "$1" vdb)" = "$DISKS/${1}2.img.$2" ] &&
            [ -s "$DISKS/$1.img.$2.memory" ]
        result $? "$3: all of it is there" "$said, $(ls -l "$DISKS")"
        made=yes
    else
        ! ls "$DISKS/$1"*".$2"* >/dev/null 2>&1
        result $? "$3: nothing of it is there" "$said, $(ls -l "$DISKS")"
        made=no
    fi
    no_record
    result $? "$3: nothing is written down any more" "$(cat "$STATE"/records/* 2>&1)"
    goes_on "$1" "$boots" "$3"
}

test_kills() {
    local guest=killed boots=1 point pid i made said expected
    make_writing_guest $guest qcow2 qcow2
    for point in written-down memory-file-made made libvirt-is-done; do
        echo "checkpoint:$point kill" >"$STATE/failpoint"
        (checkpoint $guest --name "at-$point" >"$DIR/said") 2>"$DIR/shells"
        [ $? -eq 137 ]
        result $? "killed at $point" "$(cat "$DIR/said")"
        whole_or_nothing $guest "at-$point" "killed at $point"
        case $point in written-down | memory-file-made) expected=no ;; *) expected=yes ;; esac
        [ "$made" = $expected ]
        result $? "killed at $point: what was made stays, and nothing else" "made: $made"
        [ $point = made ] || continue # before it could say so itself
        grep -q "checkpoint at-made was made all the same" <<<"$said"
        result $? "killed at $point: that it was made is told" "$said"
    done
    for i in 0 3 6 10 20; do # while libvirt is at it
        "$TOOL" domain checkpoint "$NAME-$guest" --name "in-$i" --state-dir "$STATE" >"$DIR/said" 2>&1 &
        pid=$!
        for _ in $(seq 2000); do
            [ -e "$DISKS/$guest.img.in-$i.memory" ] && break
            sleep 0.01
        done
        sleep "$(printf '0.%02d' $i)"
        kill -KILL $pid 2>/dev/null
        wait $pid 2>"$DIR/shells"
        whole_or_nothing $guest "in-$i" "killed ${i}0 ms after it has begun"
    done
    remove $guest
}

has_checkpoint() { # guest name kind: as far as its disks tell
    local disk suffix
    for disk in vda vdb; do
        suffix=${disk#vd} suffix=${suffix/a/} suffix=${suffix/b/2}
        case $3 in
        --internal) qemu-img snapshot -U -l "$(file_of "$1" $disk)" | grep -q " $2 " || return ;;
        *) [ "$(file_of "$1" $disk)" = "$DISKS/$1$suffix.img.$2" ] || return ;;
        esac
    done
}
# broken_elsewhere GUEST STATE KIND POINT: before libvirt makes it, or when it has.
broken_elsewhere() {
    local guest=$1 state=$2 kind=$3 point=$4 name="${2/ /-}-${4%-*}" expected=no made=no what said found
    what="$kind, $state, broken at $point by $broken_by"
    case $(state_of "$guest") in
    paused) $VIRSH resume "$NAME-$guest" ;;
    'shut off') $VIRSH start "$NAME-$guest" ;;
    esac
    writes_on "$guest" 5 240
    case $state in
    paused) $VIRSH suspend "$NAME-$guest" ;;
    'shut off') $VIRSH destroy "$NAME-$guest" ;;
    esac
    case $kind in --*) name=${kind#--}-$name ;; esac
    # shellcheck disable=SC2086
    break_at "checkpoint:$point" checkpoint "$guest" --name "$name" ${kind/external/}
    found=$?
    said=$(recover "$guest") && no_record
    result $? "$what: recover" "$(cat "$DIR/said")$said"
    [ "$point" = made ] || [ $found -eq 0 ] && expected=yes
    $VIRSH snapshot-list --name "$NAME-$guest" | grep -qx "$name" &&
        has_checkpoint "$guest" "$name" "$kind" && made=yes
    [ $made = $expected ] && { [ $made = yes ] || ! ls "$DISKS/$guest"*".$name"* >/dev/null 2>&1; }
    result $? "$what: all or nothing of it is there" "$made, not $expected: $(ls "$DISKS")"
    [ "$(state_of "$guest")" = "$state" ]
    result $? "$what: the guest is as it was" "$(state_of "$guest")"
}
test_kills_elsewhere() {
    local guest=elsewhere kind state point
    make_writing_guest $guest qcow2 qcow2
    for kind in --internal --disk-only external; do
        for state in running paused 'shut off'; do
            case $kind,$state in
            external,running) continue ;;       # as test_kills has it
            external,'shut off') continue ;; # has no memory anyway
            esac
            for point in written-down made; do broken_elsewhere $guest "$state" $kind $point; done
        done
    done
    remove $guest
}

# All or nothing as well, and what the command says is true.
test_restarts() {
    local guest=restarted boots=1 point made found
    has_own_libvirtd || return
    make_writing_guest $guest qcow2 qcow2
    for point in written-down memory-file-made made libvirt-is-done; do
        through_restart "checkpoint:$point" checkpoint $guest --name "at-$point"
        found=$?
        whole_or_nothing $guest "at-$point" "libvirtd dies at $point"
        [ $found -ne 0 ] || [ "$made" = yes ]
        result $? "libvirtd dies at $point: what is told is there" "status $found: $(cat "$DIR/said")"
    done
    remove $guest
    rm -f "$DISKS"/elsewhere* # of the guest of before
    broken_by=libvirtd test_kills_elsewhere
}

# Of a stopped guest: whose content is in a device is not for all to read in a file.
test_device() {
    local guest=device device said layer=$DISKS/device.layer
    [ -e /dev/loop-control ] || { echo "# no device can be made here (tests/lab/inside), so none is tried"; return; }
    truncate -s 16M "$DISKS/$guest"
    device=$(losetup -f --show "$DISKS/$guest") || exit 1
    SHUT=1 define_guest $guest "<disk type='block' device='disk'><driver name='qemu' type='raw'/>
        <source dev='$device'/><target dev='vda' bus='virtio'/></disk>" || exit 1
    refused $guest 1 'vda: it is no file; ' --disk "vda=$layer"
    said=$(checkpoint $guest --name at --disk-only --disk "vda=$layer" --force) &&
        grep -q '^vda  beware: it is no file' <<<"$said"
    result $? "a device, with --force: a file takes what is written from now on" "$said"
    said=$(stat -c '%a %U %G' "$layer") && [ "$said" = "$(stat -c '%a %U %G' "$device")" ]
    result $? "a device: its layer has its owner and mode" "$said"
    remove $guest
    losetup -d "$device"
}

# The layer of the second disk has no room, which libvirt finds out.
test_all_or_none() {
    local guest=none state said files
    mkdir "$DIR/small" && mount -t tmpfs -o size=64k tmpfs "$DIR/small" || exit 1
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    qemu-img create -q -f qcow2 "$DISKS/$guest.more.img" 16M
    define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")$(disk_xml vdb qcow2 "$DISKS/$guest.more.img")" || exit 1
    files=$(files_of $guest)
    for state in running 'shut off'; do
        [ "$state" = running ] || $VIRSH destroy "$NAME-$guest"
        said=$(checkpoint $guest --name none --disk-only --disk "vdb=$DIR/small/layer")
        [ $? -eq 1 ] && grep -qi 'no space left' <<<"$said" && [ "$(state_of $guest)" = "$state" ] &&
            [ "$(files_of $guest)" = "$files" ] && [ -z "$(checkpoints_of $guest)" ] && no_record &&
            [ ! -e "$DISKS/$guest.img.none" ] && [ ! -e "$DIR/small/layer" ]
        result $? "all disks or none, $state: no room for a layer" "$said $(files_of $guest) $(ls "$DISKS" "$DIR/small")"
    done
    remove $guest
    umount "$DIR/small"
}

# What is there when a killed command is settled may be somebody else's, or needed.
test_others() {
    local guest=others said
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")" || exit 1
    echo "checkpoint:written-down kill" >"$STATE/failpoint"
    (checkpoint $guest --name foreign --disk-only >"$DIR/said") 2>"$DIR/shells"
    echo "somebody's" >"$DISKS/$guest.img.foreign"
    said=$(recover $guest)
    grep -q "somebody's" "$DISKS/$guest.img.foreign"
    result $? "a file that somebody has put there stays" "$said"
    echo "checkpoint:made kill" >"$STATE/failpoint"
    (checkpoint $guest --name needed --disk-only >"$DIR/said") 2>"$DIR/shells"
    $VIRSH snapshot-delete "$NAME-$guest" needed --metadata >/dev/null
    $VIRSH snapshot-create-as "$NAME-$guest" above --disk-only \
        --diskspec "vda,file=$DISKS/$guest.above" >/dev/null
    $VIRSH snapshot-delete "$NAME-$guest" above --metadata >/dev/null
    $VIRSH destroy "$NAME-$guest"
    said=$(recover $guest)
    [ -e "$DISKS/$guest.img.needed" ] && qemu-img info "$DISKS/$guest.above" >/dev/null 2>&1
    result $? "a layer that others stand on stays" "$said"
    no_record
    result $? "files of others: nothing is written down any more" "$(cat "$STATE"/records/* 2>&1)"
    remove $guest
}

forget_switch() { # guest: libvirt has died before it wrote down that the disks were switched
    cp "$DIR/status.xml" "/run/libvirt/qemu/$NAME-$1.xml"
    cp "$DIR/definition.xml" "/etc/libvirt/qemu/$NAME-$1.xml"
    rm -f "/var/lib/libvirt/qemu/snapshot/$NAME-$1"/*
}
test_lost_account() {
    local guest=lost said layer=$DISKS/lost.img.at
    has_own_libvirtd || return
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")" || exit 1
    cp "/run/libvirt/qemu/$NAME-$guest.xml" "$DIR/status.xml"
    cp "/etc/libvirt/qemu/$NAME-$guest.xml" "$DIR/definition.xml"
    echo "checkpoint:made kill" >"$STATE/failpoint"
    (checkpoint $guest --name at --disk-only >"$DIR/said") 2>"$DIR/shells"
    restart_libvirtd forget_switch $guest
    write_disk $guest 0x5a 1M 64k
    [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ] && [ "$(state_of $guest)" = running ]
    result $? "a lost account: libvirt takes the file below for the disk" "$(file_of $guest vda)"
    for _ in 1 2; do
        said=$(recover $guest)
        [ $? -eq 1 ] && grep -q 'virsh edit. before the guest stops' <<<"$said" && [ -e "$layer" ]
        result $? "a lost account: what to do is told, each time" "$said"
    done
    $VIRSH dumpxml --inactive "$NAME-$guest" | sed "s|$DISKS/$guest.img'|$layer'|" >"$DIR/edited.xml"
    $VIRSH define "$DIR/edited.xml"
    said=$(recover $guest)
    [ $? -eq 1 ] && grep -q 'until the guest is stopped and started' <<<"$said"
    result $? "a lost account: the guest has to be started anew" "$said"
    $VIRSH destroy "$NAME-$guest"
    $VIRSH start "$NAME-$guest"
    said=$(recover $guest) && [ -e "$layer" ] && no_record
    result $? "a lost account: then it is done" "$said"
    $VIRSH destroy "$NAME-$guest"
    qemu-io -f qcow2 -c 'read -q -P 0x5a 1M 64k' "$layer"
    result $? "a lost account: nothing that was written is lost"
    remove $guest
}

build_writing_contents
test_all_external() { # each on the guest of the one before
    test_external raw
    test_memory_fits raw
    test_refusals
}
run_cells all_external bitmaps kills kills_elsewhere restarts restarts_missed device all_or_none others lost_account
echo "1..$count"
[ "$failures" -eq 0 ]
