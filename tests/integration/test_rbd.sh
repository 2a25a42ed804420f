#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The libvirt driver against a real Ceph cluster: root disks on RBD, as nova makes them. Needs root
# and the lab's Ceph (or $LAB_CEPH_CONF) with the pools images and vms. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
CONF=${LAB_CEPH_CONF:-$(tests/lab/folder)/etc/ceph/ceph.conf}
export CEPH_CONF=$CONF
FSID=$(timeout 30 ceph fsid) || {
    echo "Bail out! no Ceph cluster answers by $CONF"
    exit 1
}
# As nova writes it: QEMU's user need not be able to read the configuration.
MONITOR=$(ceph mon dump --format json 2>/dev/null | jq -r '.mons[0].public_addrs.addrvec[] |
    select(.type == "v1").addr / ":" | "<host name=\u0027\(.[0])\u0027 port=\u0027\(.[1])\u0027/>"')
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
BASE=$(uuid_of base-image)
IMAGE=$(uuid_of image) # the snapshot's

purge_image() { # pool/image
    rbd snap unprotect "$1@snap" >/dev/null 2>&1
    rbd snap purge --no-progress "$1" >/dev/null 2>&1
    rbd rm --no-progress "$1" >/dev/null 2>&1
}
purge() {
    cleanup
    purge_image "images/$IMAGE"
    for guest in clone locked alone; do purge_image "vms/$(disk_of $guest)"; done
    purge_image "images/$BASE"
}
trap purge EXIT

disk_of() { echo "$(uuid_of "$1")_disk"; }
qemu_name() { echo "rbd:$1:conf=$CONF"; }
define() { # guest
    define_guest "$1" "<disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='writeback'/>
      <source protocol='rbd' name='vms/$(disk_of "$1")'>$MONITOR</source>
      <target dev='vda' bus='virtio'/>
    </disk>"
}
# probe_rbd COMMAND SUBJECT ARGUMENT [option=value...]
probe_rbd() {
    local command=$1 subject=$2 argument=$3
    shift 3
    "$PROBE" uri=qemu:///system "instances=$INSTANCES" "snapshots=$SNAPSHOTS" \
        "ceph_conf=$CONF" "$@" "$command" "$subject" "$argument" 2>&1
}
direct() { # guest [option=value...]
    local guest=$1
    shift
    probe_rbd direct "$(uuid_of "$guest")" "$IMAGE" "$@"
}
undo() { probe_rbd undo "$1" ""; }
location() { echo "rbd://$FSID/images/$IMAGE/snap"; }

same_content() { # guest pool/image-or-file format
    local other=$2
    [ "$3" = rbd ] && other=$(qemu_name "$2")
    flush "$1"
    qemu-img compare -U -f raw -F "${3/rbd/raw}" "$(qemu_name "vms/$(disk_of "$1")")" "$other" 2>&1
}
snaps_of() { rbd snap ls --all --format json "$1" 2>&1; }
nothing_left() { # guest description: neither the image nor a snapshot of the disk
    local left
    left=$(snaps_of "vms/$(disk_of "$1")")$(rbd ls images | grep "$IMAGE")
    [ "$left" = "[]" ] && [ "$(state_of "$1")" = running ]
    result $? "$2: nothing left, guest runs" "$left $(state_of "$1")"
}

test_direct() { # guest description [option=value...]
    local guest=$1 description=$2 output before after
    shift 2
    before=$(picture "$guest")
    output=$(direct "$guest" "$@")
    grep -qxE "direct_ms=[0-9]+ location=$(location)" <<<"$output"
    result $? "$description" "$output"
    output=$(same_content "$guest" "images/$IMAGE" rbd)
    result $? "$description: content" "$output"
    rbd info "images/$IMAGE" | grep -q 'parent:'
    result $((!$?)) "$description: flattened"
    output=$(snaps_of "images/$IMAGE")
    grep -q '"name":"snap".*"protected":"true"' <<<"$output"
    result $? "$description: protected snapshot" "$output"
    output=$(snaps_of "vms/$(disk_of "$guest")")
    [ "$output" = "[]" ]
    result $? "$description: the disk's snapshot is gone" "$output"
    after=$(picture "$guest")
    output=$(diff <(echo "$before") <(echo "$after"))
    result $? "$description: left as before" "$output"
    # Glance's image stands alone: what is written later is not in it.
    write_disk "$guest" $((count % 250 + 1)) 12M 64k
    same_content "$guest" "images/$IMAGE" rbd >/dev/null
    result $((!$?)) "$description: a copy of its own"
    output=$(undo "$(location)")
    result $? "$description: undone" "$output"
    nothing_left "$guest" "$description"
    output=$(undo "$(location)")
    result $? "$description: undone twice" "$output"
}

test_cold() { # guest format
    local before after output
    before=$(picture "$1")
    output=$(probe_rbd cold "$(uuid_of "$1")" "$DIR/image" "format=$2")
    result $? "cold, $1 to $2" "$output"
    after=$(picture "$1")
    output=$(diff <(echo "$before") <(echo "$after"))
    result $? "cold, $1 to $2: left as before" "$output"
    output=$(same_content "$1" "$DIR/image" "$2")
    result $? "cold, $1 to $2: content" "$output"
    rm -f "$DIR/image"
}

# A stopped guest's disk, which may be started while it is read.
test_stream() { # guest
    local output
    mkdir -m 700 "$DIR/state"
    $VIRSH destroy "$NAME-$1"
    output=$(probe_rbd stream "$(uuid_of "$1")" "$DIR/image" format=qcow2)
    result $? "stream, stopped $1" "$output"
    output=$(same_content "$1" "$DIR/image" qcow2)
    result $? "stream, stopped $1: content" "$output"
    echo "stopped:disk-shown hold" >"$DIR/state/failpoint"
    probe_rbd stream "$(uuid_of "$1")" "$DIR/image" format=qcow2 "state=$DIR/state" >"$DIR/said" &
    for _ in $(seq 200); do [ -e "$DIR/state/failpoint.reached" ] && break; sleep 0.1; done
    output=$($VIRSH start "$NAME-$1" 2>&1)
    result $? "stream, stopped $1: can be started meanwhile" "$output"
    write_disk "$1" 0x41 20M 10M
    rm "$DIR/state/failpoint"
    wait $!
    result $((!$?)) "stream, $1 started meanwhile: fails" "$(cat "$DIR/said")"
    grep -qE 'guest was started(, stopped, paused or resumed meanwhile| while its disk)' "$DIR/said"
    result $? "stream, $1 started meanwhile: told" "$(cat "$DIR/said")"
    rm -rf "$DIR/state" "$DIR/image"
}

refused() { # guest text description [option=value...]
    local guest=$1 text=$2 description=$3 output start=$SECONDS
    shift 3
    output=$(direct "$guest" "$@") && output="must fail"
    grep -qF -- "$text" <<<"$output"
    result $? "$description" "$output"
    [ $((SECONDS - start)) -le 30 ]
    result $? "$description: in time" "$((SECONDS - start)) s"
    nothing_left "$guest" "$description"
}

test_refusals() {
    local other=${FSID//[1-9a-f]/0} output
    refused alone "ImageUnacceptable Cannot determine the parent storage pool" "no parent"
    refused alone "ImageUnacceptable Cannot determine" "parent in another cluster" \
        "parent=rbd://$other/images/$BASE/snap"
    refused alone "ImageUnacceptable Cannot determine" "pool that is not there" \
        "parent=rbd://$FSID/nowhere/$BASE/snap"
    refused clone "os_require_quiesce" "guest that cannot be frozen" \
        quiesce=1 require_quiesce=1 freeze=2
    printf '[global]\nmon_host = v1:127.0.0.1:9\nauth_client_required = none\n[client]\nlog_file = /dev/null\nadmin_socket =\n' >"$DIR/nowhere.conf"
    refused clone "cannot connect to the Ceph cluster" "cluster that is not there" \
        "ceph_conf=$DIR/nowhere.conf"
    refused clone "cannot read Ceph's configuration file" "configuration that is not there" \
        "ceph_conf=$DIR/missing.conf"
    output=$(undo "rbd://$other/images/$BASE/snap")
    grep -q 'is not the one of this host' <<<"$output"
    result $? "nothing is undone in another cluster" "$output"
    output=$(undo "rbd://$FSID/vms/$(disk_of clone)/snap")
    grep -q 'is no image of a direct snapshot' <<<"$output"
    result $? "disks are not undone" "$output"
}

# An image of that id that is there belongs to somebody else.
test_existing_image() {
    rbd create --size 1 "images/$IMAGE"
    local output
    output=$(direct clone)
    grep -q 'File exists' <<<"$output"
    result $? "image that is there is not overwritten" "$output"
    output=$(rbd info "images/$IMAGE" 2>&1)
    result $? "image that is there stays" "$output"
    rbd rm --no-progress "images/$IMAGE"
    nothing_left clone "image that is there"
}

points() { grep -hoE 'failpoint\("direct:[a-z-]+"\)' driver/*/*.c | cut -d'"' -f2 | sort -u; }

# Killed at every step; another process recovers from what was written down.
test_recovery() {
    local point output
    mkdir -m 700 "$DIR/state"
    for point in $(points); do
        rm -f "$DIR/journal"
        echo "$point kill" >"$DIR/state/failpoint"
        output=$(direct clone "journal=$DIR/journal" "state=$DIR/state")
        [ ! -e "$DIR/state/failpoint" ]
        result $? "killed at $point" "$output"
        rm -f "$DIR/state/failpoint"
        output=$(probe_rbd recover "$(uuid_of clone)" "" "journal=$DIR/journal")
        result $? "killed at $point: recovers" "$output"
        nothing_left clone "killed at $point"
    done
}

qemu-img create -q -f raw "$DIR/base" 64M
qemu-io -f raw -c "write -q -P 0xba 0 8M" -c "write -q -P 0xbb 16M 4M" "$DIR/base"
rbd import --no-progress "$DIR/base" "images/$BASE"
rbd snap create --no-progress "images/$BASE@snap"
rbd snap protect "images/$BASE@snap"
rbd clone "images/$BASE@snap" "vms/$(disk_of clone)"
rbd clone --image-feature layering,exclusive-lock,object-map,fast-diff \
    "images/$BASE@snap" "vms/$(disk_of locked)"
rbd create --size 64 "vms/$(disk_of alone)"
for guest in clone locked alone; do
    DEVICES="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" \
        define $guest || exit 1
    write_disk $guest 0x11 1M 10M
    write_disk $guest 0x12 40M 3M
done
test_direct clone "direct, clone of an image"
test_direct locked "direct, disk with an exclusive lock"
test_direct alone "direct, disk without a parent" "parent=rbd://$FSID/im%61ges/$BASE/snap"
test_direct clone "direct, agent that does not answer" quiesce=1 freeze=2
for format in raw qcow2; do
    for guest in clone locked; do test_cold $guest $format; done
done
for guest in clone locked; do test_stream $guest; done
$VIRSH suspend "$NAME-clone"
test_cold clone raw
[ "$(state_of clone)" = paused ]
result $? "paused guest is paused"
$VIRSH resume "$NAME-clone"
test_refusals
test_existing_image
test_recovery
echo "1..$count"
[ "$failures" -eq 0 ]
