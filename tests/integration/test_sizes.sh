#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How large images are: no larger than what qemu-img convert makes of the same disk, whatever of it
# is allocated without holding data; and how much room a snapshot asks for. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
METHODS="live blockcopy stream"

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }
make_folder() { mkdir -p "$INSTANCES/$(uuid_of "$1")"; }
fill() { # format disk qemu-io-command...
    local format=$1 disk=$2 command arguments=()
    shift 2
    for command in "$@"; do arguments+=(-c "$command"); done
    qemu-io -f "$format" "${arguments[@]}" "$disk" >/dev/null
}
# Data in every 64 KiB of a part of the disk.
scatter() { # bytes begin-MiB length-MiB step-KiB
    local at
    for ((at = $2 << 10; at < ($2 + $3) << 10; at += $4)); do
        echo "write -q -P $((1 + at / 64 % 250)) $at""k $1"
    done
}
start_guest() { # name format [source-type source]
    local source
    source="file='$(disk_of "$1")'"
    define_guest "$1" "<disk type='${3:-file}' device='disk'>
      <driver name='qemu' type='$2' cache='none'/><source ${4:-$source}/>
      <target dev='vda' bus='virtio'/></disk>" || exit 1
}

# The yardstick is made once the guest has its data on disk.
is_as_small() { # disk format description
    local said size limit
    qemu-img convert -U -f "$2" -O qcow2 "$1" "$DIR/yardstick"
    size=$(stat -c %s "$DIR/image") limit=$(($(stat -c %s "$DIR/yardstick") * 102 / 100))
    said=$(qemu-img compare -U -f "$2" -F qcow2 "$1" "$DIR/image" 2>&1) &&
        said=$(qemu-img check -f qcow2 "$DIR/image" 2>&1)
    result $? "$3: the image is the disk" "$said"
    [ "$size" -le $limit ]
    result $? "$3: no larger than qemu-img makes it" "$size bytes, at most $limit are right"
    rm -f "$DIR/yardstick" "$DIR/image"
}
snapshot() { # guest method format [disk]
    local said
    said=$(probe "$2" "$1") || {
        result 1 "$1, $2" "$said"
        return
    }
    is_as_small "${4:-$(disk_of "$1")}" "$3" "$1, $2"
}
snapshot_by_all() { # guest format
    local method
    flush "$1"
    for method in $METHODS; do snapshot "$1" "$method" "$2"; done
    $VIRSH destroy "$NAME-$1"
    snapshot "$1" stream "$2"
    snapshot "$1" cold "$2"
    remove "$1"
    rm -rf "${INSTANCES:?}/$(uuid_of "$1")" "$INSTANCES/_base/$1"
}

# As nova makes it of a raw Glance image: all of it written, a tenth of it data.
test_raw_base() {
    local base=$INSTANCES/_base/raw-base
    make_folder raw-base
    qemu-img create -q -f raw "$base" 256M
    fill raw "$base" 'write -P 0 0 256M' 'write -P 1 1M 16M' 'write -P 2 100M 10M' \
        'write -P 3 255M 64k'
    qemu-img create -q -f qcow2 -b "$base" -F raw "$(disk_of raw-base)" 300M
    start_guest raw-base qcow2
    write_disk raw-base 4 50M 5M
    snapshot_by_all raw-base qcow2
}

# By a guest that wipes its disk, or a file of its own.
test_written_zeroes() {
    make_folder zeroes
    qemu-img create -q -f qcow2 "$(disk_of zeroes)" 128M
    start_guest zeroes qcow2
    write_disk zeroes 5 0 20M
    write_disk zeroes 0 15M 100M
    write_disk zeroes 6 120M 1M
    snapshot_by_all zeroes qcow2
}

# preallocate_images = space, and what the operator's own tools make.
test_preallocated() {
    make_folder space
    qemu-img create -q -f qcow2 "$(disk_of space)" 256M
    fallocate -n -l 256M "$(disk_of space)"
    start_guest space qcow2
    write_disk space 7 3M 20M
    snapshot_by_all space qcow2

    make_folder full
    qemu-img create -q -f qcow2 -o preallocation=full "$(disk_of full)" 128M
    start_guest full qcow2
    write_disk full 8 3M 20M
    snapshot_by_all full qcow2
}

test_raw() {
    make_folder flat
    qemu-img create -q -f raw "$(disk_of flat)" 128M
    fallocate -l 128M "$(disk_of flat)"
    fill raw "$(disk_of flat)" 'write -P 0 50M 60M'
    start_guest flat raw
    write_disk flat 9 3M 20M
    snapshot_by_all flat raw
}

# Clusters of 2 MiB that hold 4 KiB each.
test_coarse_clusters() {
    make_folder coarse
    qemu-img create -q -f qcow2 -o cluster_size=2M "$(disk_of coarse)" 256M
    scatter 4k 0 256 2048 | qemu-io -f qcow2 "$(disk_of coarse)" >/dev/null
    start_guest coarse qcow2
    snapshot_by_all coarse qcow2
}

# All of it data but for 3 %: in one piece, or wherever it happens to be.
test_few_zeroes() {
    make_folder piece
    qemu-img create -q -f qcow2 "$(disk_of piece)" 128M
    fill qcow2 "$(disk_of piece)" 'write -P 10 0 128M' 'write -P 0 77M 4M'
    start_guest piece qcow2
    snapshot_by_all piece qcow2

    make_folder spread
    qemu-img create -q -f qcow2 "$(disk_of spread)" 128M
    { echo write -q -P 11 0 128M && scatter 64k 0 128 2048 | sed 's/-P [0-9]*/-P 0/'; } |
        qemu-io -f qcow2 "$(disk_of spread)" >/dev/null
    start_guest spread qcow2
    snapshot_by_all spread qcow2
}

# A disk that knows nothing of what was never written.
test_block_device() {
    local loop
    truncate -s 128M "$DIR/device"
    fill raw "$DIR/device" 'write -P 12 20M 10M'
    loop=$(losetup -f --show "$DIR/device") || {
        result 1 "a loop device" "$loop"
        return
    }
    SHUT=1 start_guest device raw block "dev='$loop'"
    snapshot device stream raw "$loop"
    remove device
    losetup -d "$loop"
    rm "$DIR/device"
}

# How much a snapshot of it asks for, where there is none of it.
room_for() { # guest method
    local said
    said=$(probe "$2" "$1" reserve=$((64 << 20))) # MiB
    grep -om 1 'up to [0-9]* bytes are needed' <<<"$said" | tr -dc 0-9
}
asks_for() { # guest method least-MiB most-MiB description
    local bytes
    bytes=$(room_for "$1" "$2")
    [ -n "$bytes" ] && [ "$bytes" -ge $(($3 << 20)) ] && [ "$bytes" -le $(($4 << 20)) ]
    result $? "$2: $5" "$bytes bytes, $3 to $4 MiB are right"
}
# The room of a live snapshot: what the copy will write, an eighth of it and 64 MiB.
test_room() {
    local method
    make_folder reserved
    qemu-img create -q -f qcow2 "$(disk_of reserved)" 1G
    fallocate -n -l 1G "$(disk_of reserved)"
    start_guest reserved qcow2
    write_disk reserved 13 0 8M
    flush reserved
    for method in live blockcopy; do
        asks_for reserved $method 72 76 "room for what is in a disk, not for what is reserved for it"
    done
    asks_for reserved stream 64 68 "room for what the guest may overwrite"
    $VIRSH destroy "$NAME-reserved"
    asks_for reserved cold 8 10 "room for the image"
    remove reserved

    make_folder compressed
    qemu-img create -q -f qcow2 "$(disk_of compressed)" 256M
    fill qcow2 "$(disk_of compressed)" 'write -c -P 14 0 96M'
    start_guest compressed qcow2
    for method in live blockcopy; do
        asks_for compressed $method 172 176 "room for a copy of a compressed disk"
        snapshot compressed $method qcow2
    done
    remove compressed
}

test_raw_base
test_written_zeroes
test_preallocated
test_raw
test_coarse_clusters
test_few_zeroes
test_block_device
test_room
echo "1..$count"
[ "$failures" -eq 0 ]
