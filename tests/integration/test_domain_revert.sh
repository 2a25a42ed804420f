#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nova-snapshot domain revert on domains of this host's libvirt. Needs root. TAP.
# Not a part of make check: make domain-check. CELLS="refusals kills": those alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/writing_guest.sh
. tests/integration/lib/writing_guest.sh
# shellcheck source=tests/integration/lib/restart.sh
. tests/integration/lib/restart.sh
STATE=$DIR/state
DISKS=$DIR/disks
TOOL=$BUILD/nova-snapshot
mkdir "$DISKS"
mkdir -m 711 "$STATE"
make -s BUILD="$BUILD" "$TOOL" || exit 1
declare -A held # the record that each checkpoint's disks end with, by guest and name

disk_xml() { # target format file
    echo "<disk type='file' device='disk'><driver name='qemu' type='$2'/>
      <source file='$3'/><target dev='$1' bus='virtio'/></disk>"
}
tool() { # command guest arguments...
    local command=$1 guest=$2
    shift 2
    "$TOOL" domain "$command" "$NAME-$guest" "$@" --state-dir "$STATE" 2>&1
}
revert() { tool revert "$@"; }
recover() { tool recover "$1"; }
file_of() { # guest target: what it writes to
    $VIRSH domblklist "$NAME-$1" | awk -v disk="$2" '$1 == disk { print $2 }'
}
current_of() { $VIRSH snapshot-current "$NAME-$1" --name 2>&1; }
left_of() { $VIRSH snapshot-list --name "$NAME-$1" | grep '^left-' | sort | tail -n 1; }

# The last record of both disks, where they are of one instant; "" where they are not.
last_of() { # first second [qemu-img options...]
    local first second images=("$1" "$2")
    shift 2
    qemu-img convert -U "$@" -O raw "${images[0]}" "$DIR/flat" &&
        qemu-img convert -U "$@" -O raw "${images[1]}" "$DIR/flat2" || return 1
    first=$(tests/integration/lib/prefix.py "$DISKS/content" "$DIR/flat") &&
        second=$(tests/integration/lib/prefix.py "$DISKS/content2" "$DIR/flat2") &&
        [ $((first - second)) -ge 0 ] && [ $((first - second)) -le 1 ] && echo "$first"
}
now_of() { # guest, which does not run on
    [ "$(state_of "$1")" = 'shut off' ] || flush "$1"
    last_of "$(file_of "$1" vda)" "$(file_of "$1" vdb)"
}

# Two disks that a guest writes to: qcow2 on raw ones, or raw ones themselves.
make_guest() { # name qcow2|raw
    local disk
    for disk in '' 2; do
        if [ "$2" = raw ]; then
            cp "$DISKS/content$disk" "$DISKS/$1$disk.img"
        else
            qemu-img create -q -f qcow2 -b "$DISKS/content$disk" -F raw "$DISKS/$1$disk.img"
        fi
    done
    define_writing_guest "$1" "$(disk_xml vda "$2" "$DISKS/$1.img")
        $(disk_xml vdb "$2" "$DISKS/${1}2.img")
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>" || exit 1
    writes_on "$1" 50 240
    result $? "$1: the guest writes" "$(cat "$(console_of "$1")")"
}
make_checkpoint() { # guest name arguments...
    local guest=$1 name=$2 vda vdb said
    shift 2
    vda=$(file_of "$guest" vda) vdb=$(file_of "$guest" vdb)
    said=$(tool checkpoint "$guest" --name "$name" "$@")
    result $? "$guest: checkpoint $name is made" "$said"
    case "$*" in
    *--internal*) held[$guest.$name]=$(last_of "$vda" "$vdb" -f qcow2 -l "snapshot.name=$name") ;;
    *) held[$guest.$name]=$(last_of "$vda" "$vdb") ;;
    esac
    [ -n "${held[$guest.$name]}" ]
    result $? "$guest: checkpoint $name is of one instant"
}
# Until it has written more, of what it has in its memory: it says so when a record is lost.
goes_on() { # guest boots description
    local from=$(($(stat -c %s "$(console_of "$1")") + 1)) deadline=$((SECONDS + 120))
    until [ "$(tail -c "+$from" "$(console_of "$1")" | grep -c 'written ')" -ge 4 ]; do
        [ $SECONDS -lt $deadline ] || break
        sleep 0.1
    done
    [ $SECONDS -lt $deadline ] && ! grep -q 'lost ' "$(console_of "$1")"
    result $? "$3: the guest writes on" "$(state_of "$1"), $(tail -n 3 "$(console_of "$1")")"
    [ "$(boots_of "$1")" -eq "$2" ]
    result $? "$3: it was started anew as often as it had to be" "$(boots_of "$1") boots, not $2"
}
bring_to() { # guest state
    case "$2 $(state_of "$1")" in
    'running shut off') $VIRSH start "$NAME-$1" && writes_on "$1" 10 240 ;;
    'running paused') $VIRSH resume "$NAME-$1" && writes_on "$1" 10 240 ;;
    'paused running') writes_on "$1" 10 240 && $VIRSH suspend "$NAME-$1" ;;
    'paused shut off') bring_to "$1" running && $VIRSH suspend "$NAME-$1" ;;
    'shut off '[rp]*) $VIRSH destroy "$NAME-$1" ;;
    esac
}

# reverts GUEST FROM NAME STATE [arguments...]: afterwards it is in STATE, and all is as it was then.
reverts() {
    local guest=$1 from=$2 name=$3 state=$4 what said boots
    shift 4
    what="$guest, $from, to $name${*:+ $*}"
    bring_to "$guest" "$from" >/dev/null
    boots=$(boots_of "$guest")
    said=$(revert "$guest" "$name" "$@")
    result $? "$what" "$said"
    [ "$(state_of "$guest")" = "$state" ]
    result $? "$what: it is $state" "$(state_of "$guest")"
    [ "$(current_of "$guest")" = "$name" ] &&
        { [[ " $* " == *' --force '* ]] || grep -q "checkpoint $(left_of "$guest")" <<<"$said"; }
    result $? "$what: the tree goes on from there" "$said, $($VIRSH snapshot-list --tree "$NAME-$guest")"
    if [ "$state" = running ]; then
        goes_on "$guest" "$boots" "$what"
        $VIRSH suspend "$NAME-$guest"
        said=$(now_of "$guest")
        [ -n "$said" ] && [ "$said" -ge "${held[$guest.$name]}" ]
        result $? "$what: no record is missing" "$said after ${held[$guest.$name]}"
        return
    fi
    said=$(now_of "$guest")
    [ -n "$said" ] && [ "$said" = "${held[$guest.$name]}" ]
    result $? "$what: the disks are those of then" "record $said, not ${held[$guest.$name]}"
    [ "$state" = 'shut off' ] && return
    $VIRSH resume "$NAME-$guest"
    case "$name" in disk | rested) boots=$((boots + 1)) ;; esac
    goes_on "$guest" "$boots" "$what, resumed"
}

# A guest that was cut off and boots has a hole in what it writes to its second disk: what it has
# written then is compared with nothing.
make_branches() { # guest
    make_checkpoint "$1" disk --disk-only
    writes_on "$1" 20 120
    make_checkpoint "$1" memory
    writes_on "$1" 20 120
    $VIRSH suspend "$NAME-$1"
    make_checkpoint "$1" paused
    reverts "$1" running memory running
    left=$(left_of "$1") # with what was written since it was paused
    held[$1.$left]=$(last_of "$DISKS/$1.img.paused" "$DISKS/${1}2.img.paused")
}
test_raw() {
    local guest=raw left
    make_guest "$guest" raw
    make_branches "$guest"
    reverts "$guest" paused "$left" paused
    reverts "$guest" running disk 'shut off'
    remove "$guest"
}
test_qcow2() {
    local guest=qcow2 left
    make_guest "$guest" qcow2
    make_branches "$guest"
    reverts "$guest" paused memory paused --paused
    reverts "$guest" running "$left" running --running # what was left behind
    bring_to "$guest" 'shut off'
    make_checkpoint "$guest" rested
    reverts "$guest" 'shut off' paused paused
    reverts "$guest" running disk 'shut off'
    reverts "$guest" 'shut off' rested paused --paused
    reverts "$guest" running rested 'shut off'
    reverts "$guest" 'shut off' memory running
    remove "$guest"
}

test_internal() {
    local guest=inside boots said
    make_guest $guest qcow2
    make_checkpoint $guest running --internal
    writes_on $guest 20 120
    $VIRSH suspend "$NAME-$guest"
    make_checkpoint $guest paused --internal
    bring_to $guest 'shut off'
    make_checkpoint $guest rested --internal
    bring_to $guest running
    refused $guest running 'what was written since would be lost'
    reverts $guest running running running --force
    reverts $guest paused paused paused --force
    reverts $guest 'shut off' running paused --force --paused
    reverts $guest running rested 'shut off' --force
    bring_to $guest running
    boots=$(boots_of $guest)
    echo "revert:internal kill" >"$STATE/failpoint"
    (revert $guest running --force >"$DIR/said") 2>"$DIR/shells"
    [ $? -eq 137 ] && said=$(recover $guest) && [ "$(current_of $guest)" = running ] &&
        [ -z "$(find "$STATE/records" -type f)" ]
    result $? "internal, killed when libvirt has gone back: it is there" "$(cat "$DIR/said")${said:-}"
    goes_on $guest "$boots" "internal, killed"
    tool checkpoint $guest --name above >/dev/null
    refused $guest rested 'go back to a checkpoint of that file first' --force
    remove $guest
}

# What has to be the same when nothing was done.
whole_picture() { # guest
    picture "$1"
    $VIRSH dumpxml "$NAME-$1" | grep -E "<(source|backingStore|memory)"
    $VIRSH snapshot-list --name "$NAME-$1"
    current_of "$1"
    ls "$DISKS"
    find "$STATE/records" -type f 2>/dev/null
}
refused() { # guest name text arguments...
    local guest=$1 name=$2 text=$3 before said found
    shift 3
    before=$(whole_picture "$guest")
    said=$(revert "$guest" "$name" "$@")
    found=$?
    [ $found -eq 1 ] && grep -qF -- "$text" <<<"$said"
    result $? "refused: $text" "status $found: $said"
    [ "$before" = "$(whole_picture "$guest")" ]
    result $? "refused ($text): nothing has changed" "$(diff <(echo "$before") <(whole_picture "$guest"))"
}
make_plain() { # guest
    qemu-img create -q -f qcow2 "$DISKS/$1.img" 16M
    define_guest "$1" "$(disk_xml vda qcow2 "$DISKS/$1.img")${2:-}" || exit 1
    tool checkpoint "$1" --name one >"$DIR/said"
    result $? "$1: a checkpoint is made" "$(cat "$DIR/said")"
}

test_refusals() {
    local guest=plain disk=$DISKS/plain.img
    make_plain $guest
    refused $guest none 'has no checkpoint none'
    qemu-img create -q -f qcow2 "$DISKS/more.img" 16M
    $VIRSH attach-disk "$NAME-$guest" "$DISKS/more.img" vdb --driver qemu --subdriver qcow2 \
        --config >/dev/null
    refused $guest one 'disk vdb: the checkpoint does not hold it'
    $VIRSH detach-disk "$NAME-$guest" vdb --config >/dev/null
    touch -d '+2 minutes' "$disk"
    refused $guest one "$disk, which keeps it, was written to after"
    touch -d '-2 minutes' "$disk"
    SHUT=1 define_guest other "$(disk_xml vda qcow2 "$disk")" || exit 1
    refused $guest one 'may have been written to since'
    remove other
    mv "$disk.one.memory" "$DISKS/away"
    refused $guest one "$disk.one.memory, which keeps it, has gone"
    mv "$DISKS/away" "$disk.one.memory"
    tool checkpoint $guest --name two >/dev/null
    touch -d '+2 minutes' "$disk" # two stands on it
    refused $guest two "$disk, which keeps it, was written to after"
    touch -d '-2 minutes' "$disk"
    mv "$disk.one" "$DISKS/away" # QEMU has it open
    refused $guest one 'does not stand on it any more'
    mv "$DISKS/away" "$disk.one"
    $VIRSH blockcommit "$NAME-$guest" vda --top "$disk.one" --base "$disk" --wait >/dev/null
    refused $guest one 'layers were merged since'
    remove $guest
    make_plain told
    tool checkpoint told --name two >/dev/null
    $VIRSH snapshot-delete "$NAME-told" one --metadata >/dev/null # libvirt takes it for merged
    refused told two 'does not stand on the disk of checkpoint two'
    remove told
    make_plain merged
    $VIRSH blockcommit "$NAME-merged" vda --active --pivot --wait >/dev/null
    refused merged one 'as well: it may have been written to since'
    remove merged
    qemu-img create -q -f qcow2 "$DISKS/uefi.img" 16M
    SHUT=1 OS="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>" \
        define_guest uefi "$(disk_xml vda qcow2 "$DISKS/uefi.img")" || exit 1
    tool checkpoint uefi --name one >/dev/null
    refused uefi one UEFI
    remove uefi
    make_plain novas
    $VIRSH metadata "$NAME-novas" --uri http://openstack.org/xmlns/libvirt/nova/1.1 --key nova \
        --set '<instance/>' --live --config >/dev/null
    refused novas one 'nova owns this domain'
    remove novas
}

# A place it cannot get to: a CD of then has gone.
test_back() {
    local guest=back boots=1 said
    qemu-img create -q -f raw "$DISKS/cd.iso" 1M
    make_guest $guest qcow2
    $VIRSH change-media "$NAME-$guest" sda "$DISKS/cd.iso" --insert --live --config >/dev/null
    make_checkpoint $guest cd
    $VIRSH change-media "$NAME-$guest" sda --eject --live --config >/dev/null
    rm "$DISKS/cd.iso"
    writes_on $guest 20 120
    said=$(revert $guest cd)
    [ $? -eq 1 ] && grep -q 'where it was again' <<<"$said"
    result $? "what cannot be gone to: it fails" "$said"
    goes_on $guest $boots "what cannot be gone to"
    [ "$(current_of $guest)" = "$(left_of $guest)" ] && ! ls "$DISKS"/*.cd-* >/dev/null 2>&1
    result $? "what cannot be gone to: the tree goes on from now" "$($VIRSH snapshot-list --tree "$NAME-$guest")"
    $VIRSH suspend "$NAME-$guest"
    said=$(now_of $guest)
    [ -n "$said" ]
    result $? "what cannot be gone to: no record is missing"
    remove $guest
}

# The file that keeps it takes in an older one's layer: it is as old as what it holds, not as the merge.
test_after_deletion() {
    local guest=shorter said written_s
    make_guest $guest qcow2
    make_checkpoint $guest one
    writes_on $guest 20 120
    make_checkpoint $guest two
    writes_on $guest 20 120
    written_s=$(stat -c %Y "$DISKS/$guest.img.one")
    sleep 2
    said=$(tool delete-checkpoint $guest one)
    result $? "after a deletion: an older checkpoint goes" "$said"
    said=$(stat -c %Y "$DISKS/$guest.img")
    [ "$said" = "$written_s" ]
    result $? "after a deletion: the file is as old as its content" "$said, not $written_s"
    reverts $guest running two running
    remove $guest
}

# Wherever the command dies: the guest goes on from now, or is where it was to go.
test_kills() {
    local guest=killed point said boots=1 last
    make_guest $guest qcow2
    make_checkpoint $guest "then"
    writes_on $guest 20 120
    for point in revert:written-down revert:layer-made revert:suspended checkpoint:written-down \
        checkpoint:made revert:left-kept; do
        echo "$point kill" >"$STATE/failpoint"
        (revert $guest "then" >"$DIR/said") 2>"$DIR/shells"
        [ $? -eq 137 ]
        result $? "killed at $point" "$(cat "$DIR/said")"
        said=$(recover $guest)
        result $? "killed at $point: recover" "$said"
        goes_on $guest $boots "killed at $point"
        ! ls "$DISKS"/*.then-* >/dev/null 2>&1 && [ -z "$(find "$STATE/records" -type f)" ]
        result $? "killed at $point: nothing of it is there" "$said, $(ls "$DISKS")"
    done
    for point in revert:switch-noted revert:stopped revert:defined revert:is-current revert:started; do
        bring_to $guest running
        echo "$point kill" >"$STATE/failpoint"
        (revert $guest "then" --paused >"$DIR/said") 2>"$DIR/shells"
        [ $? -eq 137 ]
        result $? "killed at $point" "$(cat "$DIR/said")"
        said=$(recover $guest)
        result $? "killed at $point: recover" "$said"
        last=$(now_of $guest)
        [ "$last" = "${held[$guest.then]}" ] && [ "$(current_of $guest)" = "then" ] &&
            [ -z "$(find "$STATE/records" -type f)" ]
        result $? "killed at $point: it is where it was to go" "$last, not ${held[$guest.then]}: $said"
        $VIRSH resume "$NAME-$guest"
        goes_on $guest $boots "killed at $point"
        said=$(revert $guest "$(left_of $guest)" --running)
        result $? "killed at $point: what was left is there" "$said"
        goes_on $guest $boots "killed at $point: what was left"
    done
    remove $guest
}

# It is where it was to go, with what was left behind, or goes on from now.
one_or_the_other() { # guest boots description
    local guest=$1 boots=$2 what=$3 last said
    if [ "$(current_of "$guest")" != "then" ]; then
        goes_on "$guest" "$boots" "$what"
        ! ls "$DISKS"/*.then-* >/dev/null 2>&1
        result $? "$what: nothing of it is there" "$(ls "$DISKS")"
        return
    fi
    last=$(now_of "$guest")
    [ "$last" = "${held[$guest.then]}" ]
    result $? "$what: it is where it was to go" "$last, not ${held[$guest.then]}"
    $VIRSH resume "$NAME-$guest"
    goes_on "$guest" "$boots" "$what"
    said=$(revert "$guest" "$(left_of "$guest")" --running)
    result $? "$what: what was left is there" "$said"
    goes_on "$guest" "$boots" "$what: what was left"
}
test_restarts() {
    local guest=restarted point said
    has_own_libvirtd || return
    make_guest $guest qcow2
    make_checkpoint $guest "then"
    make_checkpoint $guest later --disk-only
    for point in revert:written-down revert:layer-made revert:suspended checkpoint:made revert:left-kept \
        revert:switch-noted revert:stopped revert:defined revert:is-current revert:started; do
        bring_to $guest running
        through_restart $point revert $guest "then" --paused
        said="status $?, $(cat "$DIR/said")"
        said+=$(recover $guest) && [ -z "$(find "$STATE/records" -type f)" ]
        result $? "libvirtd dies at $point: recover" "$said"
        one_or_the_other $guest 1 "libvirtd dies at $point"
    done
    remove $guest
}

# The command that undoes what a dead one has left, and starts the guest anew for it, dies as well.
test_twice() {
    local guest=twice point said
    make_plain $guest
    for point in revert:stopped revert:suspended; do
        echo "$point kill" >"$STATE/failpoint"
        (revert $guest one >"$DIR/said") 2>"$DIR/shells"
        [ $? -eq 137 ]
        result $? "twice: killed at $point" "$(cat "$DIR/said")"
    done
    said=$(recover $guest) && [ "$(state_of $guest)" = running ] && [ -z "$(find "$STATE/records" -type f)" ]
    result $? "twice: the guest runs after recover" "$(state_of $guest), $said"
    remove $guest
}

build_writing_guest
build_writing_content "$DISKS/content"
build_writing_content "$DISKS/content2" 'other of a writing guest'
for cell in ${CELLS:-raw qcow2 internal refusals back after_deletion kills restarts twice}; do "test_$cell"; done
echo "1..$count"
[ "$failures" -eq 0 ]
