#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What virsh does with snapshots and saved memory on the libvirt at hand, by its version: what
# docs/libvirt.md says of it. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
DISKS=$DIR/disks
mkdir "$DISKS"

make_guest() { # name
    qemu-img create -q -f qcow2 "$DISKS/$1.vda" 64M
    define_guest "$1" "$(disk_xml vda qcow2 "$DISKS/$1.vda")" || exit 1
}
does() { # description arguments...
    local description=$1 said
    shift
    said=$($VIRSH "$@" 2>&1)
    result $? "virsh $1: $description" "$said"
}
refuses() { # text description arguments...
    local text=$1 description=$2 said
    shift 2
    said=$($VIRSH "$@" 2>&1)
    [ $? -eq 1 ] && grep -qF -- "$text" <<<"$said"
    result $? "virsh $1 refuses: $description" "$said"
}
# What it says until a libvirt, and does from that one on.
does_since() { # version text description arguments...
    local version=$1 text=$2 description=$3
    shift 3
    if libvirt_is_since "$version"; then
        does "$description" "$@"
    else
        refuses "$text" "$description" "$@"
    fi
}
external() { # guest name [arguments...]
    local guest=$1 name=$2
    shift 2
    does "an external one, $name $*" snapshot-create-as "$NAME-$guest" "$name" \
        --diskspec "vda,file=$DISKS/$guest.$name" "$@"
}

test_internal() {
    make_guest internal
    does "an internal one with memory" snapshot-create-as "$NAME-internal" first
    $VIRSH snapshot-dumpxml "$NAME-internal" first | grep -q "<memory snapshot='internal'/>"
    result $? "an internal snapshot of a running guest has its memory"
    refuses 'require external disk snapshots' "an internal one of a running guest without memory" \
        snapshot-create-as "$NAME-internal" second --disk-only --diskspec vda,snapshot=internal
    does "an internal one" snapshot-revert "$NAME-internal" first
    does "an internal one" snapshot-delete "$NAME-internal" first
    remove internal
    qemu-img create -q -f raw "$DISKS/raw" 32M
    define_guest raw "$(disk_xml vda raw "$DISKS/raw")" || exit 1
    refuses 'unsupported for storage type raw' "an internal one of a raw disk" \
        snapshot-create-as "$NAME-raw" first
    remove raw
}

# --live copies the memory while the guest runs, and has it stand still at the end.
test_live() {
    local said
    $VIRSH event --loop --event lifecycle --timeout 20 "$NAME-external" >"$DIR/events" 2>&1 &
    started+=($!)
    sleep 1
    external external live --live --memspec "file=$DISKS/memory"
    for _ in $(seq 100); do
        grep -q Resumed "$DIR/events" && break
        sleep 0.1
    done
    said=$(cat "$DIR/events")
    grep -q 'Suspended Paused' <<<"$said" && grep -q 'Resumed' <<<"$said"
    result $? "virsh snapshot-create-as --live pauses the guest all the same" "$said"
}

test_external() {
    make_guest external
    external external disk --disk-only --atomic
    refuses 'guest agent is not configured' "a freeze without an agent" snapshot-create-as \
        "$NAME-external" frozen --disk-only --quiesce --diskspec "vda,file=$DISKS/frozen"
    refuses "is required by flag" "a freeze with memory" snapshot-create-as "$NAME-external" \
        frozen --quiesce --memspec "file=$DISKS/frozen.memory" --diskspec "vda,file=$DISKS/frozen"
    test_live
    does_since 9.0.0 'not supported yet' "the newest external one, of a running guest" \
        snapshot-delete "$NAME-external" live
    does_since 9.9.0 'revert to external snapshot not supported yet' "an external one" \
        snapshot-revert "$NAME-external" disk
    remove external
}

# Of two disks, where the layer of the second has no room.
test_atomic() {
    local said files
    mkdir "$DIR/small" && mount -t tmpfs -o size=64k tmpfs "$DIR/small" || exit 1
    qemu-img create -q -f qcow2 "$DISKS/atomic.vda" 64M
    qemu-img create -q -f qcow2 "$DISKS/atomic.vdb" 64M
    define_guest atomic "$(disk_xml vda qcow2 "$DISKS/atomic.vda")$(disk_xml vdb qcow2 "$DISKS/atomic.vdb")" || exit 1
    files=$($VIRSH domblklist "$NAME-atomic")
    refuses 'No space left on device' "a layer without room" snapshot-create-as "$NAME-atomic" none --disk-only --atomic \
        --diskspec "vda,file=$DISKS/atomic.none" --diskspec "vdb,file=$DIR/small/none"
    said=$($VIRSH domblklist "$NAME-atomic")
    [ "$said" = "$files" ] && [ ! -e "$DISKS/atomic.none" ] && [ ! -e "$DIR/small/none" ]
    result $? "virsh snapshot-create-as --atomic: all disks, or none" "$said $(ls "$DISKS" "$DIR/small")"
    remove atomic
    umount "$DIR/small"
}

# A disk that was taken back is not on the layers of a snapshot of another time.
test_branch() {
    make_guest branch
    does "an internal one" snapshot-create-as "$NAME-branch" inside
    external branch outside --disk-only
    does "an internal one, with an external one behind it" snapshot-revert "$NAME-branch" inside
    if libvirt_is_since 9.0.0 && ! libvirt_is_since 9.9.0; then
        refuses 'could not find base disk source' "an external one that is on no layer of the disk" \
            snapshot-delete "$NAME-branch" outside
    fi
    remove branch
}

# Memory that meets other disks than it knew, which virsh does not mind.
test_memory() {
    make_guest saved
    does "to a file" save "$NAME-saved" "$DISKS/saved.memory"
    qemu-io -f qcow2 -c 'write -q -P 0x77 0 4k' "$DISKS/saved.vda"
    does "onto a disk that was written to since" restore "$DISKS/saved.memory"
    echo "somebody's" >"$DISKS/theirs"
    does "over a file that is there" save "$NAME-saved" "$DISKS/theirs"
    [ "$(head -c 16 "$DISKS/theirs")" = LibvirtQemudSave ]
    result $? "virsh save has overwritten it"
    does "again" restore "$DISKS/theirs"
    does "where libvirt keeps it" managedsave "$NAME-saved"
    qemu-io -f qcow2 -c 'write -q -P 0x78 0 4k' "$DISKS/saved.vda"
    does "from there, onto a disk that was written to since" start "$NAME-saved"
    remove saved
}

test_internal
test_external
test_atomic
test_branch
test_memory
echo "1..$count"
[ "$failures" -eq 0 ]
