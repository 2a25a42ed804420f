#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of Cinder volumes, freeze and thaw by the libvirt driver against a real libvirtd and
# QEMU: a small guest without an operating system with a volume as Cinder's NFS driver makes it,
# written through QEMU's monitor. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/driver.sh
. tests/integration/lib/driver.sh
NAME=nsa-test-${DIR##*.}
VOLUME=$(cat /proc/sys/kernel/random/uuid)
UUID=$(cat /proc/sys/kernel/random/uuid)
SHARE=$DIR/share

cleanup() {
    $VIRSH destroy "$NAME" >/dev/null 2>&1
    $VIRSH undefine --managed-save "$NAME" >/dev/null 2>&1
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    mountpoint -q "$DIR/small" && umount "$DIR/small"
    rm -rf "$DIR"
}
trap cleanup EXIT

# A guest with a root disk and the volume, raw, 64 MiB. DEVICES: XML put inside <devices>.
guest() { # directory of the volume
    SHARE=$1
    rm -rf "${SHARE:?}"/*
    qemu-img create -q -f qcow2 "$DIR/root" 16M
    qemu-img create -q -f raw "$SHARE/vol" 64M
    cp "$SHARE/vol" "$DIR/expected"
    cat >"$DIR/domain.xml" <<XML
<domain type='qemu'>
  <name>$NAME</name>
  <uuid>$UUID</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$DIR/root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='$SHARE/vol'/>
      <target dev='vdb' bus='virtio'/>
      <serial>$VOLUME</serial>
    </disk>
    ${DEVICES:-}
  </devices>
</domain>
XML
    $VIRSH define "$DIR/domain.xml" && $VIRSH start "$NAME"
}
remove() {
    $VIRSH destroy "$NAME" >/dev/null 2>&1
    $VIRSH undefine --managed-save "$NAME" >/dev/null 2>&1
}

qemu_io() {
    $VIRSH qemu-monitor-command "$NAME" --hmp \
        "qemu-io -d /machine/peripheral/virtio-disk1/virtio-backend \"$1\"" >/dev/null
}
# Of the guest and of the copy that says what the volume has to hold.
write() { # pattern offset length
    qemu_io "write -P $1 $2 $3"
    qemu-io -f raw -c "write -q -P $1 $2 $3" "$DIR/expected"
}

# As RemoteFSSnapDriver._do_create_snapshot does it.
overlay() { # name backing-name
    local format=qcow2
    [ "$2" = vol ] && format=raw
    qemu-img create -q -f qcow2 -o "backing_file=$SHARE/$2,backing_fmt=$format" "$SHARE/$1" 64M
    qemu-img rebase -u -f qcow2 -b "$2" -F $format "$SHARE/$1"
}

probe() { # command [option=value...]
    local command=$1
    shift
    "$PROBE" uri=qemu:///system "volume=$VOLUME" "$@" "$command" "$UUID" 2>&1
}

# The names of the layers, as libvirt has them for the guest and as the headers have them.
layers() {
    local file=$1 path
    while [ -n "$file" ]; do
        echo -n "$file "
        [ "$file" = vol ] && break
        path=$(qemu-img info -U -f qcow2 --output=json "$SHARE/$file" |
            sed -n 's/.*"backing-filename": "\(.*\)",*/\1/p')
        file=$path
    done
}
live_layers() {
    $VIRSH dumpxml "$NAME" | sed -n "/<source file='${SHARE//\//\\/}/s|.*$SHARE/\([^']*\)'.*|\1|p" |
        sed "s/&lt;/</g; s/&gt;/>/g; s/&apos;/'/g; s/&amp;/\&/g" | tr '\n' ' '
}

has_layers() { # description name...
    local description=$1 online="" headers
    shift
    headers=$(layers "$1")
    online="$* "
    $VIRSH domstate "$NAME" | grep -q running && online=$(live_layers)
    [ "$headers" = "$* " ] && [ "$online" = "$* " ]
    result $? "$description: layers are $*" "headers: $headers; libvirt: $online"
}

has_data() { # description top-layer
    local format=qcow2 output
    [ "$2" = vol ] && format=raw
    tests/integration/lib/flush "$NAME"
    output=$(qemu-img compare -U -f $format -F raw "$SHARE/$2" "$DIR/expected" 2>&1)
    result $? "$1: data is the guest's" "$output"
}

create() { # description new-name present-name [option=value...]
    local description=$1 new=$2 present=$3 output
    shift 3
    overlay "$new" "$present"
    output=$(probe create "new_file=$new" "$@")
    result $? "$description" "$output"
}

delete() { # description [option=value...]
    local description=$1 output
    shift
    output=$(probe delete "$@")
    result $? "$description" "$output"
}

refused() { # text description command [option=value...]
    local text=$1 description=$2 output before
    shift 2
    before=$(live_layers)
    output=$(probe "$@") && {
        result 1 "$description: must fail" "$output"
        return
    }
    grep -qF -- "$text" <<<"$output"
    result $? "$description: told" "$output"
    [ "$before" = "$(live_layers)" ]
    result $? "$description: layers as before" "$(live_layers)"
}

three_layers() {
    write 0x01 0 8M
    create "create" vol.a vol
    write 0x02 4M 8M
    create "create again" vol.b vol.a
    write 0x03 8M 8M
    has_layers "created twice" vol.b vol.a vol
    has_data "created twice" vol.b
}

test_older_first() {
    guest "$DIR/share"
    three_layers
    delete "commit the older snapshot" file_to_merge=vol.a merge_target_file=vol
    has_layers "older one gone" vol.b vol
    write 0x04 10M 1M
    has_data "older one gone" vol.b
    delete "pull the last snapshot"
    has_layers "both gone" vol.b
    write 0x05 0 1M
    has_data "both gone" vol.b
    delete "pull what is pulled"
    rm "$SHARE/vol" "$SHARE/vol.a"
    $VIRSH destroy "$NAME" && $VIRSH start "$NAME"
    result $? "guest starts from what is left"
    remove
}

test_newer_first() {
    guest "$DIR/share"
    three_layers
    delete "pull the newer snapshot" file_to_merge=vol
    has_layers "newer one gone" vol.b vol
    has_data "newer one gone" vol.b
    create "create once more" "vol<&'>.c" vol.b
    has_layers "a name with markup" "vol<&'>.c" vol.b vol
    delete "pull to the end"
    has_layers "all gone" "vol<&'>.c"
    has_data "all gone" "vol<&'>.c"
    remove
}

test_paused() {
    guest "$DIR/share"
    $VIRSH suspend "$NAME"
    create "paused guest" vol.a vol
    delete "paused guest: pull"
    has_layers "paused guest" vol.a
    $VIRSH domstate "$NAME" | grep -q paused
    result $? "paused guest is paused"
    remove
}

test_offline() {
    guest "$DIR/share"
    three_layers
    $VIRSH destroy "$NAME"
    overlay vol.c vol.b
    output=$(probe create new_file=vol.c)
    grep -q InstanceNotRunning <<<"$output"
    result $? "create with the guest stopped is refused" "$output"
    output=$(probe delete file_to_merge=vol.a merge_target_file=vol)
    grep -q "only while its guest runs" <<<"$output"
    result $? "commit with the guest stopped is refused" "$output"
    delete "rebase with the guest stopped" file_to_merge=vol
    has_layers "stopped, newer one gone" vol.b vol
    has_data "stopped, newer one gone" vol.b
    delete "rebase to the end with the guest stopped"
    has_layers "stopped, all gone" vol.b
    has_data "stopped, all gone" vol.b
    remove
    output=$(probe delete)
    grep -q InstanceNotRunning <<<"$output"
    result $? "delete without a domain" "$output"
    output=$(probe create new_file=vol.c)
    grep -q InstanceNotRunning <<<"$output"
    result $? "create without a domain" "$output"
}

test_refusals() {
    guest "$DIR/share"
    three_layers
    overlay forged vol.b
    qemu-img rebase -u -f qcow2 -b /etc/passwd -F raw "$SHARE/forged"
    refused "not what the guest writes to" "forged overlay" create new_file=forged
    refused "no file name" "path for a name" create new_file=../share/forged
    refused "No disk at" "missing overlay" create new_file=nowhere
    refused "not found attached" "unknown volume" create new_file=forged volume=nothing
    refused "is no layer" "layer that is none" delete file_to_merge=forged
    refused "guest writes to" "commit of the first layer" delete file_to_merge=vol.b \
        merge_target_file=vol.a
    refused "not right below" "commit upwards" delete file_to_merge=vol merge_target_file=vol.a
    $VIRSH blockcopy "$NAME" vdb "$DIR/foreign" --transient-job --bandwidth 1 >/dev/null
    refused "another block job" "foreign job" delete file_to_merge=vol
    refused "another block job" "foreign job, create" create new_file=forged
    $VIRSH blockjob "$NAME" vdb 2>&1 | grep -q 'Block Copy'
    result $? "foreign job goes on"
    $VIRSH blockjob "$NAME" vdb --abort
    delete "once the foreign job is over" file_to_merge=vol
    has_data "once the foreign job is over" vol.b
    remove
}

# The pull does not fit into the share.
test_full_share() {
    mkdir -p "$DIR/small"
    mount -t tmpfs -o size=40M,mode=755 tmpfs "$DIR/small" || {
        echo "# no tmpfs to be had"
        return
    }
    guest "$DIR/small"
    # tmpfs knows no O_DIRECT
    $VIRSH destroy "$NAME"
    sed -i "s/ cache='none'//" "$DIR/domain.xml"
    $VIRSH define "$DIR/domain.xml" && $VIRSH start "$NAME"
    write 0x01 0 24M
    create "full share: create" vol.a vol
    write 0x02 30M 4M
    refused "ended before it was complete" "pull into a full share" delete
    has_layers "full share" vol.a vol
    has_data "full share" vol.a
    $VIRSH domstate "$NAME" | grep -q running
    result $? "full share: guest runs on"
    refused "job status" "pull into a full share, again" delete
    $VIRSH destroy "$NAME"
    output=$(probe delete)
    result $((!$?)) "rebase in a full share fails"
    has_layers "full share, stopped" vol.a vol
    has_data "full share, stopped" vol.a
    remove
    umount "$DIR/small"
}

# A job slowed down so far that it stands still is ended by us.
test_stall() {
    guest "$DIR/share"
    write 0x01 0 48M
    create "stall: create" vol.a vol
    probe delete stall=2 >"$DIR/output" &
    local pid=$!
    for _ in $(seq 500); do
        $VIRSH blockjob "$NAME" vdb --bytes 1 >/dev/null 2>&1 && break
        kill -0 $pid 2>/dev/null || break
    done
    wait $pid
    result $((!$?)) "stalled pull fails" "$(cat "$DIR/output")"
    grep -q "made no progress for 2 s" "$DIR/output"
    result $? "stalled pull: told" "$(cat "$DIR/output")"
    ! $VIRSH blockjob "$NAME" vdb 2>&1 | grep -q 'Block Pull'
    result $? "stalled pull: no job left"
    has_layers "stalled pull" vol.a vol
    has_data "stalled pull" vol.a
    delete "pull at full speed"
    has_layers "pull at full speed" vol.a
    remove
}

test_agent() {
    DEVICES="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" \
        guest "$DIR/share"
    refused InstanceQuiesceFailed "freeze without an agent in the guest" freeze freeze=2
    create "agent that does not answer: borne" vol.a vol quiesce=1 freeze=2
    overlay vol.b vol.a
    refused os_require_quiesce "agent that does not answer: required" create new_file=vol.b \
        quiesce=1 require_quiesce=1 freeze=2
    $VIRSH destroy "$NAME"
    refused InstanceNotRunning "freeze of a stopped guest" freeze
    output=$(probe thaw)
    result $? "thaw of a stopped guest" "$output"
    remove
    output=$(probe thaw)
    result $? "thaw without a domain" "$output"
}

make -s BUILD="$BUILD" "$PROBE" || exit 1
chmod 755 "$DIR"
mkdir -p "$SHARE"
ensure_libvirtd
test_older_first
test_newer_first
test_paused
test_offline
test_refusals
test_full_share
test_stall
test_agent
echo "1..$count"
[ "$failures" -eq 0 ]
