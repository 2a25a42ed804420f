#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Guests whose disk is served by an iothread, by every method, against a real libvirtd and QEMU: the
# reader of a backup job that goes away ends QEMU 7.2.22 then; from 9.0 on such a disk is streamed. Needs
# root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
STATE=$DIR/state
mkdir "$STATE"
REFUSED='disk vda has an iothread'
MAPPED="iothread='1'"

streamed() { # by the QEMU at hand
    local version
    version=$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p')
    [ "$(printf '%s\n' 9.0.0 "$version" | sort -V | head -n 1)" = 9.0.0 ]
}
disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }
pid_of() { cat "/run/libvirt/qemu/$NAME-$1.pid" 2>/dev/null; }

# A guest with 16 MiB in its base and a disk on iothread 1, or as DRIVER says.
make_guest() { # name
    local base=$INSTANCES/_base/$1 disk
    disk=$(disk_of "$1")
    mkdir -p "${disk%/*}"
    qemu-img create -q -f raw "$base" 64M
    qemu-io -f raw -c 'write -q -P 0xba 40M 16M' "$base"
    qemu-img create -q -f qcow2 -b "$base" -F raw "$disk"
    DOMAIN='<iothreads>2</iothreads>' define_guest "$1" "
      <disk type='file' device='disk'><driver name='qemu' type='qcow2' ${DRIVER-$MAPPED}/>
      <source file='$disk'/><target dev='${TARGET:-vda}' bus='${BUS:-virtio}'/></disk>" || exit 1
}

# The guest can still write, and does: what it wrote has come to its disk.
writes_on() { # guest pattern
    write_disk "$1" "$2" 0 64k
    flush "$1"
    [[ $(qemu-io -U -r -f qcow2 -c "read -P $2 0 64k" "$(disk_of "$1")") = "read "* ]]
}

# Blocks of 64 KiB in the order of the disk, one after the other: block 1, 2, 3, ... until the file
# is gone. What has been written at any instant is a prefix of them.
write_on() { # guest
    local block
    touch "$DIR/writing"
    for block in $(seq 1 500); do
        [ -e "$DIR/writing" ] || return
        write_disk "$1" $((block % 250 + 1)) $((block * 64))k 64k
        echo "$block" >"$DIR/written"
    done
}
start_writing() { # guest
    rm -f "$DIR/written"
    write_on "$1" 2>/dev/null &
    writer=$!
    for _ in $(seq 200); do [ -s "$DIR/written" ] && return; sleep 0.05; done
}
stop_writing() {
    rm -f "$DIR/writing"
    wait "$writer"
}
# How many blocks of the writer are in the image, -1 when they are no prefix or the base is not there.
prefix_of() { # image format
    python3 - "$1" <<'PY'
import sys
with open(sys.argv[1], "rb") as image:
    def block(number):
        image.seek(number << 16)
        return image.read(1 << 16)
    n = 0
    while n < 500 and block(n + 1) == bytes([(n + 1) % 250 + 1]) * (1 << 16):
        n += 1
    rest = all(block(i) == bytes(1 << 16) for i in range(n + 1, 501))
    base = all(block(i) == b"\xba" * (1 << 16) for i in range(640, 896))
    print(n if rest and base and block(0) == bytes(1 << 16) else -1)
PY
}
image_is_of_an_instant() { # description least
    local blocks
    qemu-img convert -f qcow2 -O raw "$DIR/image" "$DIR/raw" && qemu-img check -q -f qcow2 "$DIR/image"
    blocks=$(prefix_of "$DIR/raw")
    [ "$blocks" -ge "$2" ] && [ "$blocks" -le "$(cat "$DIR/written")" ]
    result $? "$1: the image is a prefix of the guest's writes" "$blocks of $(cat "$DIR/written")"
}

test_methods() {
    local method said before pid wrote
    make_guest methods
    pid=$(pid_of methods)
    before=$(picture methods)
    for method in blockcopy live $(streamed && echo stream) cold; do
        start_writing methods
        # What is saved to disk writes no more; the monitor would, which QEMU does not bear.
        [ "$method" = cold ] && stop_writing
        wrote=$(cat "$DIR/written")
        said=$(probe "$method" methods "state=$STATE")
        result $? "$method: a guest that writes through its iothread" "$said"
        stop_writing
        [ "$method" = cold ] || [ "$(pid_of methods)" = "$pid" ]
        result $? "$method: QEMU is the same"
        [ "$before" = "$(picture methods)" ]
        result $? "$method: left as before" "$(picture methods)"
        image_is_of_an_instant "$method" "$wrote"
        write_disk methods 0 64k 32M # for the next writer
    done
    remove methods
}

# Whatever way the mapping is written, and whatever is to be made of the disk: refused, or streamed, and the
# guest lives on.
test_mappings() {
    local kind pid said found before
    for kind in driver compressed controller; do
        local DRIVER=$MAPPED TARGET=vda BUS=virtio DEVICES=
        if [ $kind = controller ]; then
            DRIVER='' TARGET=sda BUS=scsi
            DEVICES="<controller type='scsi' index='0' model='virtio-scsi'><driver iothread='2'/></controller>"
        fi
        make_guest $kind
        pid=$(pid_of $kind)
        before=$(picture $kind)
        said=$(probe stream $kind "compress=$([ $kind = compressed ] && echo 1 || echo 0)")
        found=$?
        if streamed; then
            result $found "$kind: streamed" "$said"
        else
            [ $found -ne 0 ] && grep -q "disk $TARGET has an iothread, and .*7\.2\." <<<"$said"
            result $? "$kind: not streamed, and the reason is told" "$said"
        fi
        sleep 0.5 # QEMU would end a little later
        [ -n "$pid" ] && [ "$(pid_of $kind)" = "$pid" ] && [ "$(state_of $kind)" = running ]
        result $? "$kind: the guest lives on" "$(state_of $kind)"
        [ "$before" = "$(picture $kind)" ]
        result $? "$kind: left as before"
        remove $kind
    done
}

# The live definition counts, not the one the guest will start with.
test_live_definition() {
    local pid said found
    make_guest plain
    sed -i "s/$MAPPED//" "$DIR/plain.xml"
    $VIRSH define "$DIR/plain.xml" >/dev/null
    pid=$(pid_of plain)
    said=$(probe stream plain)
    found=$?
    # Both are streamed from 9.0 on.
    streamed || { [ $found -ne 0 ] && grep -q "$REFUSED" <<<"$said"; found=$?; }
    result $found "a mapping that only the running guest has counts" "$said"
    [ "$(pid_of plain)" = "$pid" ]
    result $? "the guest lives on"
    remove plain
}

# Dies at each point of a stream, as far as it comes there.
test_death() {
    local point pid iothread
    for iothread in "$MAPPED" ""; do
        DRIVER=$iothread make_guest "death${iothread:+-io}"
        local guest=death${iothread:+-io}
        pid=$(pid_of "$guest")
        local pattern=0
        for point in written-down files-made frozen begun thawed connected mapped; do
            rm -f "$DIR/journal"
            echo "stream:$point kill" >"$STATE/failpoint"
            (probe stream "$guest" "state=$STATE" "journal=$DIR/journal") >/dev/null 2>&1
            sleep 0.3
            rm -f "$STATE/failpoint"
            [ ! -e "$DIR/journal" ] || probe recover "$guest" "journal=$DIR/journal" >/dev/null
            result $? "killed at $point${iothread:+, iothread}: recovers"
            [ -n "$pid" ] && [ "$(pid_of "$guest")" = "$pid" ] && writes_on "$guest" $((pattern += 1))
            result $? "killed at $point${iothread:+, iothread}: QEMU lives on" "$(state_of "$guest")"
        done
        [ -z "$(ls -A "$SNAPSHOTS")" ] && $VIRSH domjobinfo "$NAME-$guest" | grep -q None
        result $? "killed${iothread:+, iothread}: nothing is left"
        remove "$guest"
    done
}

test_mappings
test_live_definition
test_methods
test_death
echo "1..$count"
[ "$failures" -eq 0 ]
