# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Guests without an operating system, defined and removed by a test of the libvirt driver, whose
# disks are written through QEMU's monitor. Sourced; needs root. Cleans up when the test exits.
# shellcheck source=tests/integration/lib/driver.sh
. "${BASH_SOURCE%/*}/driver.sh"
NAME=${DIR##*/} # no domain of another run
NAME=nsa-test-${NAME#nsa-test.}
INSTANCES=$DIR/instances
SNAPSHOTS=$DIR/snapshots

cleanup() {
    for domain in $($VIRSH list --all --name 2>/dev/null | grep "^$NAME-"); do
        $VIRSH destroy "$domain" >/dev/null 2>&1
        $VIRSH undefine --managed-save --nvram --snapshots-metadata --checkpoints-metadata "$domain" >/dev/null 2>&1
    done
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    umount "$DIR/small" 2>/dev/null
    rm -rf "$DIR"
}
trap cleanup EXIT

# One uuid per guest name and run.
uuid_of() { echo "$NAME $1" | md5sum | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'; }
libvirt_is_since() { # version
    local found
    found=$($VIRSH version --daemon | sed -n 's/^Running against daemon: //p')
    [ "$(printf '%s\n' "$1" "$found" | sort -V | head -n 1)" = "$1" ]
}
state_of() { $VIRSH domstate "$NAME-$1" 2>&1; }
remove() {
    $VIRSH destroy "$NAME-$1" >/dev/null 2>&1
    $VIRSH undefine --managed-save --nvram --snapshots-metadata --checkpoints-metadata "$NAME-$1" >/dev/null 2>&1
}

disk_xml() { # target format file
    echo "<disk type='file' device='disk'><driver name='qemu' type='$2'/>
      <source file='$3'/><target dev='$1' bus='virtio'/></disk>"
}
# define_guest NAME DISK-XML: DOMAIN, OS, DEVICES: XML put inside <domain>, <os> and <devices>;
# EMULATOR: another program; MACHINE: its type; MEMORY in MiB; SHUT=1: not started.
define_guest() {
    local xml=$DIR/$1.xml
    cat >"$xml" <<XML
<domain type='qemu'>
  <name>$NAME-$1</name>
  <uuid>$(uuid_of "$1")</uuid>
  <memory unit='MiB'>${MEMORY:-64}</memory>
  <vcpu>1</vcpu>${DOMAIN:-}
  <os><type arch='x86_64' machine='${MACHINE:-pc}'>hvm</type>${OS:-}</os>
  <features><acpi/></features>
  <devices>
    <emulator>${EMULATOR:-/usr/bin/qemu-system-x86_64}</emulator>
    $2
    <graphics type='vnc' autoport='yes' listen='127.0.0.1' passwd='secret'/>
    ${DEVICES:-}
  </devices>
</domain>
XML
    $VIRSH define "$xml" || return 1
    [ -n "${SHUT:-}" ] || $VIRSH start "$NAME-$1"
}

monitor() { $VIRSH qemu-monitor-command "$NAME-$1" --hmp "$2"; }
# The guest's own writes, as it were.
write_disk() { # name pattern offset length
    monitor "$1" "qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"write -P $2 $3 $4\"" |
        grep -q wrote
}

# The functions test_<cell> that CELLS names, or these.
run_cells() { # cell...
    local cell
    for cell in ${CELLS:-$*}; do
        declare -F "test_$cell" >/dev/null || { echo "Bail out! there is no cell $cell"; exit 1; }
        "test_$cell"
    done
}

# Before the file of a disk is read whose guest runs.
flush() { tests/integration/lib/flush "$NAME-$1"; }

probe() { # command guest [option=value...]
    local command=$1 guest=$2
    shift 2
    "$PROBE" uri=qemu:///system "instances=$INSTANCES" "snapshots=$SNAPSHOTS" "$@" \
        "$command" "$(uuid_of "$guest")" "$DIR/image" 2>&1
}

# Begins a snapshot that stands still at a point, with its output in $DIR/said; its pid in $pid. The
# test has made the folder $STATE.
hold_at() { # point guest method [option...]
    local point=$1 guest=$2 method=$3
    shift 3
    rm -f "$DIR/image" "$STATE"/*
    echo "$point hold" >"$STATE/failpoint"
    "$PROBE" uri=qemu:///system "instances=$INSTANCES" "snapshots=$SNAPSHOTS" "state=$STATE" "$@" \
        "$method" "$(uuid_of "$guest")" "$DIR/image" >"$DIR/said" 2>&1 &
    pid=$!
    for _ in $(seq 1200); do
        [ -e "$STATE/failpoint.reached" ] && return
        kill -0 $pid 2>/dev/null || return
        sleep 0.05
    done
    echo "Bail out! $point is not reached: $(cat "$DIR/said")"
    exit 1
}
let_go() { # leaves the probe's status
    rm -f "$STATE/failpoint"
    wait "$pid"
}

# What has to be the same before and after; TARGET is the root disk's.
picture() { # guest
    $VIRSH dumpxml --inactive --security-info "$NAME-$1" 2>&1
    $VIRSH dominfo "$NAME-$1" | grep -E '^(State|Persistent|Autostart|Managed save):'
    $VIRSH blockjob "$NAME-$1" "${TARGET:-vda}" 2>&1 | grep -v 'domain is not running'
    find "$SNAPSHOTS" -mindepth 1 2>/dev/null
}

make -s BUILD="$BUILD" "$PROBE" || exit 1
chmod 755 "$DIR"
mkdir -p "$INSTANCES/_base" "$SNAPSHOTS"
ensure_libvirtd
