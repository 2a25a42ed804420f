#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every method by every kind of disk, with guests that write. Needs root. TAP.
#
# One guest is booted for each kind; its snapshots are taken by one method after the other while it
# writes numbered records, each stable before the next is begun. Each image has to be its disk at an
# instant, to the byte: what was there before its first record, and the records 1 to k, where k is
# not less than what the guest had told of before the snapshot began. It may not be larger than
# qemu-img makes it. The guest goes on with the record that follows, without having been booted
# again, and everything of it is as before. In the end all it has written is on its own disk.
#
# A kind is a function that makes the files of a guest in $FOLDER, its instance's, and sets what
# differs from the first one: DISKS (XML), DISK and FORMAT (of the root disk's top layer), TARGET,
# what define_guest takes (DOMAIN, OS, DEVICES, MACHINE, MEMORY), SNAPSHOTS. The kinds are arguments, or
# KINDS=all; without either these are the hardest ones.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/writing_guest.sh
. tests/integration/lib/writing_guest.sh

HARDEST=(tpm root_on_vdb allocated_base preallocated chain_of_three)
EVERY=("${HARDEST[@]}" iothread config_drive flat scsi uefi)
METHODS=(stream blockcopy blockrebase cold) # each gives way to the next
# Where a method leaves the guest to the next one: it has to, or may where QEMU is at fault.
declare -A GIVES_WAY=([stream:iothread]=may [blockrebase:tpm]=must)
BOOT_S=240 SNAPSHOT_S=120 # for a busy machine
SPARSE=$INSTANCES/_base/sparse ALLOCATED=$INSTANCES/_base/allocated

root_disk() { # target bus [attributes-of-driver]
    echo "<disk type='file' device='disk'>
        <driver name='qemu' type='$FORMAT' cache='none' ${3:-}/>
        <source file='$DISK'/><target dev='$1' bus='$2'/></disk>"
}
ephemeral_disk() { # target
    qemu-img create -q -f qcow2 "$FOLDER/disk.eph0" 128M
    FORMAT=qcow2 DISK=$FOLDER/disk.eph0 root_disk "$1" virtio
}
overlay() { qemu-img create -q -f qcow2 -b "$1" -F "$2" "$3" 128M; }

iothread() {
    overlay "$SPARSE" raw "$DISK"
    DOMAIN="<iothreads>1</iothreads>"
    DISKS=$(root_disk vda virtio "iothread='1'")
}

tpm() {
    overlay "$SPARSE" raw "$DISK"
    DEVICES="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
}

root_on_vdb() {
    overlay "$SPARSE" raw "$DISK"
    TARGET=vdb
    DISKS=$(ephemeral_disk vda)$(root_disk vdb virtio)
}

config_drive() {
    overlay "$SPARSE" raw "$DISK"
    truncate -s 1M "$FOLDER/disk.config"
    DISKS=$(root_disk vda virtio)$(ephemeral_disk vdb)
    DISKS+="<disk type='file' device='cdrom'><driver name='qemu' type='raw' cache='none'/>
        <source file='$FOLDER/disk.config'/><target dev='hda' bus='ide'/><readonly/></disk>"
}

# The base image is a raw one of Glance's, which nova leaves as it came.
allocated_base() { overlay "$ALLOCATED" raw "$DISK"; }

# preallocate_images = space, and no room for what is allocated.
preallocated() {
    overlay "$SPARSE" raw "$DISK"
    fallocate -n -l 128M "$DISK"
    SNAPSHOTS=$SMALL
}

# images_type = flat, of such an image, and preallocate_images = space.
flat() {
    cp "$ALLOCATED" "$DISK"
    fallocate -l 128M "$DISK"
    FORMAT=raw
}

# What a backup tool leaves: its external snapshot.
chain_of_three() {
    overlay "$SPARSE" raw "$DISK"
    qemu-io -f qcow2 -c 'write -q -P 0xcc 44M 4M' -c 'write -q -P 0xcd 20M 1M' "$DISK"
    overlay "$DISK" qcow2 "$DISK.backup"
    DISK=$DISK.backup
}

scsi() {
    overlay "$SPARSE" raw "$DISK"
    TARGET=sda
    DISKS="<controller type='scsi' model='virtio-scsi'/>"$(root_disk sda scsi)
}

uefi() {
    overlay "$SPARSE" raw "$DISK"
    MACHINE=q35 MEMORY=192
    OS="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
        <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>$FOLDER/vars.fd</nvram>"
}

pid_of() { cat "/run/libvirt/qemu/$NAME-$1.pid"; }

# picture(), and what no definition tells of: its jobs, its files, its firmware's and TPM's state.
whole_picture() { # guest
    picture "$1"
    $VIRSH domjobinfo "$NAME-$1" 2>&1 | head -n 1
    ls "$FOLDER"
    find "$FOLDER/vars.fd" "/var/lib/libvirt/swtpm/$(uuid_of "$1")" -name '*lock' -prune -o \
        -type f -exec md5sum {} + 2>/dev/null
    monitor "$1" "info tpm"
}

# A guest that a snapshot has cost is made again, for the next method. It goes on where it was.
ensure_runs() { # kind
    $VIRSH dominfo "$NAME-$1" 2>&1 | grep -q '^Persistent: *yes' &&
        [ "$(state_of "$1")" = running ] && return
    local boots
    boots=$(boots_of "$1")
    $VIRSH destroy "$NAME-$1" >/dev/null 2>&1
    rm -rf "${SNAPSHOTS:?}"/*
    define_writing_guest "$1" "$DISKS" && $VIRSH autostart "$NAME-$1" && booted "$1" "$boots"
}
booted() { # kind boots
    for _ in $(seq $((BOOT_S * 10))); do
        [ "$(boots_of "$1")" -gt "$2" ] && writes_on "$1" 20 $BOOT_S && return
        sleep 0.1
    done
    return 1
}

complain() { complaints+=$1$'\n'; }

# is_prefix DISK FORMAT RECORDS: it holds at least so many, and nothing else that was not there.
is_prefix() {
    local last
    qemu-img convert -f "$2" -O raw "$1" "$DIR/raw" 2>&1 || return
    last=$(tests/integration/lib/prefix.py "$DIR/reference" "$DIR/raw" 2>&1) || {
        echo "$last"
        return 1
    }
    [ "$last" -ge "$3" ] || {
        echo "ends with record $last, $3 was told of before"
        return 1
    }
}

check_image() { # records
    local said size best
    said=$(is_prefix "$DIR/image" qcow2 "$1") || complain "$said"
    said=$(qemu-img check -q -f qcow2 "$DIR/image" 2>&1) || complain "$said"
    qemu-img info -f qcow2 "$DIR/image" | grep -q '^backing file' && complain "it has a backing file"
    qemu-img convert -f qcow2 -O qcow2 "$DIR/image" "$DIR/best"
    size=$(stat -c %s "$DIR/image") best=$(stat -c %s "$DIR/best")
    [ $((size * 100)) -le $((best * 102)) ] || complain "$size bytes, qemu-img makes $best"
}

check_guest() { # kind method picture pid boots
    local kind=$1 method=$2 after console
    console=$(console_of "$kind")
    { [ "$(state_of "$kind")" = running ] && writes_on "$kind" 20 60; } ||
        complain "the guest does not write: $(tail -n 3 "$console")"
    after=$(whole_picture "$kind")
    [ "$after" = "$3" ] || complain "not as before: $(diff <(echo "$3") <(echo "$after"))"
    [ "$method" = cold ] || [ "$(pid_of "$kind")" = "$4" ] || complain "another QEMU runs"
    [ "$(boots_of "$kind")" = "$5" ] || complain "it was booted again"
    grep -q 'lost [0-9]\|died' "$console" && complain "$(grep 'lost\|died' "$console")"
}

take_snapshot() { # kind method
    local kind=$1 method=$2 way=${GIVES_WAY[$2:$1]:-} complaints='' before pid boots records said
    said=$(ensure_runs "$kind" 2>&1) || {
        result 1 "$kind, $method: the guest runs" "$said$(tail -n 3 "$(console_of "$kind")")"
        return
    }
    before=$(whole_picture "$kind") pid=$(pid_of "$kind") boots=$(boots_of "$kind")
    rm -f "$DIR/image"
    records=$(written "$kind")
    said=$(timeout $SNAPSHOT_S "$PROBE" uri=qemu:///system "instances=$INSTANCES" \
        "snapshots=$SNAPSHOTS" "root=/dev/$TARGET" "${method/blockrebase/live}" \
        "$(uuid_of "$kind")" "$DIR/image" 2>&1)
    case $?:$way in
    0:must) complain "it has to leave this guest to the next method" ;;
    0:*) check_image "$records" ;;
    3:?*) ;;
    *) complain "it fails" ;;
    esac
    check_guest "$kind" "$method" "$before" "$pid" "$boots"
    [ -z "$complaints" ]
    result $? "$kind, $method" "$complaints$said"
}

try_kind() { # kind
    local kind=$1 DIR=$DIR/$1 FOLDER SNAPSHOTS=$SNAPSHOTS/$1 DISK FORMAT=qcow2 TARGET=vda DISKS='' \
        DOMAIN='' OS='' DEVICES='' MACHINE='' MEMORY='' \
        began=$SECONDS said
    FOLDER=$INSTANCES/$(uuid_of "$kind") DISK=$FOLDER/disk
    mkdir -p "$DIR" "$FOLDER" "$SNAPSHOTS"
    touch "$(console_of "$kind")"
    "$kind"
    DISKS=${DISKS:-$(root_disk vda virtio)}
    qemu-img convert -f $FORMAT -O raw "$DISK" "$DIR/reference"
    for method in "${METHODS[@]}"; do take_snapshot "$kind" "$method"; done
    $VIRSH destroy "$NAME-$kind" >/dev/null
    said=$(is_prefix "$DISK" $FORMAT "$(written "$kind")")
    result $? "$kind, all it wrote is on its disk" "$said"
    echo "# $kind: $((SECONDS - began)) s"
    remove "$kind"
    rm -rf "$DIR"
}

# As many at a time as there are CPUs; what each has to say in one piece.
try_all() {
    local kind
    for kind in "$@"; do
        [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
        { try_kind "$kind" >"$DIR/$kind.tap" 2>&1; flock "$DIR" cat "$DIR/$kind.tap"; } &
    done
    wait
}

SMALL=$DIR/small
mkdir "$SMALL"
mount -t tmpfs -o size=100m,mode=711 tmpfs "$SMALL" || exit 1
build_writing_guest
build_writing_content "$SPARSE"
cp --sparse=never "$SPARSE" "$ALLOCATED"
[ "${KINDS:-}" != all ] || set -- "${EVERY[@]}"
[ $# -gt 0 ] || set -- "${HARDEST[@]}"
try_all "$@" | awk -v all=$(($# * (${#METHODS[@]} + 1))) '
    /^(not )?ok [0-9]+/ { sub(/ok [0-9]+/, "ok " ++count) }
    /^ok/ { passed++ }
    { print; fflush() }
    END { print "1.." all; exit passed != all }'
