#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nova-snapshot domain save and restore, with a guest that writes. Needs root. TAP.
# Not a part of make check: make domain-check. CELLS="restarts": that alone; CELLS=cow
# COW="wishes kills": those of one guest.
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
MEMORY_FILE=$DIR/memory
mkdir "$DISKS"
mkdir -m 711 "$STATE"
make -s BUILD="$BUILD" "$TOOL" || exit 1

tool() { "$TOOL" domain "$@" --state-dir "$STATE" 2>&1; }

# Writes where the guest does not, so that it can go on all the same.
scribble() { # format file
    qemu-io -f "$1" -c 'write -q -P 0x77 60M 4k' "$2"
}

# A guest that writes to vda, a qcow2 file on a raw base or a raw file, and to a second one.
make_guest() { # name format
    local disk=$DISKS/$1
    build_writing_content "$disk.base"
    build_writing_content "$disk.vdb" 'other of a writing guest'
    case $2 in
    qcow2)
        qemu-img create -q -f qcow2 -b "$disk.base" -F raw "$disk.vda"
        scribble qcow2 "$disk.vda" # it grows no more there
        ;;
    raw) cp "$disk.base" "$disk.vda" ;;
    esac
    define_writing_guest "$1" "$(disk_xml vda "$2" "$disk.vda")$(disk_xml vdb raw "$disk.vdb")" ||
        exit 1
    writes_on "$1" 20 240
    result $? "$1: the guest writes" "$(cat "$(console_of "$1")")"
}

# Its memory is the counter; a guest that was started anew tells "boot", and one whose disk is not
# that of its memory "lost".
goes_on() { # guest description boots-before written-before
    local last
    writes_on "$1" 20 120
    result $? "$2: the guest writes on" "$(tail -n 3 "$(console_of "$1")")"
    [ "$(boots_of "$1")" -eq "$3" ] && ! grep -q 'lost' "$(console_of "$1")"
    result $? "$2: from its memory, on the disk it knew" "$(grep -E 'boot|lost' "$(console_of "$1")")"
    last=$(written "$1")
    [ "$last" -gt "$4" ]
    result $? "$2: the counter goes on from where it was" "$4, now $last"
}
nothing_left() { # description
    local left
    left=$(find "$STATE/records" -type f; find "$DIR" -name '*.partial' -o -name '*.new')
    [ -z "$left" ]
    result $? "$1: nothing is left over" "$left"
}
saves() { # guest description arguments...
    local guest=$1 description=$2 said
    shift 2
    said=$(tool save "$NAME-$guest" "$@")
    result $? "$description: is saved" "$said"
    [ "$(state_of "$guest")" = "shut off" ]
    result $? "$description: the guest has stopped" "$(state_of "$guest")"
    nothing_left "$description"
}
refused() { # description text arguments...: of a restore
    local description=$1 text=$2 said
    shift 2
    said=$(tool restore "$@")
    [ $? -eq 1 ] && grep -qE -- "$text" <<<"$said"
    result $? "$description: is refused" "$said"
    [ "$(state_of "$guest")" = "shut off" ]
    result $? "$description: nothing was started"
    nothing_left "$description"
}

# Each way there and back; what it was, and what it is to be.
there_and_back() { # guest file|managed running|paused
    local guest=$1 target=$MEMORY_FILE how=(-o "$MEMORY_FILE") description="$1, $2, $3" before boots said
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    [ "$2" = managed ] && target=$NAME-$guest how=(--managed)
    [ "$3" = paused ] && $VIRSH suspend "$NAME-$guest"
    boots=$(boots_of "$guest") before=$(written "$guest")
    saves "$guest" "$description" "${how[@]}"
    said=$(tool restore "$target")
    result $? "$description: is restored" "$said"
    grep -q 'no disk has changed; the guest stood still for' <<<"$said"
    result $? "$description: how long it stood still is told" "$said"
    [ "$(state_of "$guest")" = "$3" ]
    result $? "$description: it is as it was" "$(state_of "$guest")"
    [ "$3" = paused ] && $VIRSH resume "$NAME-$guest"
    goes_on "$guest" "$description" "$boots" "$before"
    nothing_left "$description: restored"
}

# The other way round than it was.
test_wishes() { # guest
    local said
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    saves "$1" "to be paused" -o "$MEMORY_FILE" --paused
    said=$(tool restore "$MEMORY_FILE")
    [ "$(state_of "$1")" = paused ]
    result $? "to be paused: it is" "$said"
    saves "$1" "to run, of one that is paused" --managed
    said=$(tool restore "$NAME-$1" --running)
    [ "$(state_of "$1")" = running ]
    result $? "to run: it does" "$said"
}

# From a memory whose restore is refused for more and more reasons.
test_changed() { # guest with a qcow2 file
    local guest=$1 boots before said disk=$DISKS/$1
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    boots=$(boots_of "$guest") before=$(written "$guest")
    saves "$guest" "changed" -o "$MEMORY_FILE"
    refused "a domain of which libvirt keeps nothing" 'keeps no saved memory' "$NAME-$guest"
    mv "$MEMORY_FILE.disks" "$DIR/away"
    refused "a memory without a record" 'when it was saved is not known.*memory.disks' "$MEMORY_FILE"
    sed -E 's/("tail_sha256": ")./\1_/' "$DIR/away" >"$MEMORY_FILE.disks"
    refused "another memory's record" 'record of another saved memory' "$MEMORY_FILE"
    mv "$DIR/away" "$MEMORY_FILE.disks"
    refused "a proof that was not taken" 'without its SHA-256' "$MEMORY_FILE" --verify-disks
    scribble qcow2 "$disk.vda"
    refused "a disk that was written to" "disk vda has changed since: $disk.vda: it has been written to" \
        "$MEMORY_FILE"
    touch -r "$disk.vdb" "$DIR/times"
    scribble raw "$disk.vdb"
    touch -r "$DIR/times" "$disk.vdb"
    refused "a disk whose time was set back" "disk vdb has changed since: .*times were changed" "$MEMORY_FILE"
    cp -p "$disk.vdb" "$DIR/new" && mv "$DIR/new" "$disk.vdb"
    refused "a disk that was replaced" "disk vdb .*another file is in its place" "$MEMORY_FILE"
    truncate -s +1M "$disk.base"
    refused "a backing file that was changed" "vda .*$disk.base: it has another size" "$MEMORY_FILE"
    truncate -s -1M "$disk.base"
    said=$(tool restore "$MEMORY_FILE" --force)
    result $? "changed disks, forced: is restored" "$said"
    grep -q 'restoring all the same: disk vda has changed' <<<"$said" && grep -q 'may have changed' <<<"$said"
    result $? "changed disks, forced: is told" "$said"
    goes_on "$guest" "changed disks, forced" "$boots" "$before"
}

# A SHA-256 tells one that was copied back from one that has changed.
test_verified() { # guest
    local guest=$1 boots before said disk=$DISKS/$1
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    boots=$(boots_of "$guest") before=$(written "$guest")
    saves "$guest" "verified" -o "$MEMORY_FILE" --verify-disks
    cp -p "$disk.vdb" "$DIR/kept"
    scribble raw "$disk.vdb"
    qemu-io -f raw -c 'write -q -P 0x78 60M 4k' "$disk.vdb"
    refused "verified: another content" 'vdb.*its content is another' "$MEMORY_FILE"
    cp "$DIR/kept" "$disk.vdb"
    said=$(tool restore "$MEMORY_FILE" --verify-disks)
    result $? "verified: content that was put back" "$said"
    goes_on "$guest" "verified" "$boots" "$before"
}

# What has run since: the domain itself, for a moment.
test_started_since() { # guest
    local guest=$1 boots before said
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    boots=$(boots_of "$guest") before=$(written "$guest")
    said=$(tool save "$NAME-$guest" -o "$DISKS/$guest.vda")
    [ $? -eq 1 ] && grep -q 'is there already' <<<"$said" && [ "$(state_of "$guest")" = running ]
    result $? "a file that is there is refused, the guest runs on" "$said"
    saves "$guest" "started since" -o "$MEMORY_FILE"
    $VIRSH start "$NAME-$guest" --paused
    said=$(tool restore "$MEMORY_FILE")
    [ $? -eq 1 ] && grep -q 'the domain runs' <<<"$said" && [ "$(state_of "$guest")" = paused ]
    result $? "a guest that runs is not replaced" "$said"
    $VIRSH destroy "$NAME-$guest"
    refused "a guest that was started since" 'a guest was started with it' "$MEMORY_FILE"
    $VIRSH undefine "$NAME-$guest"
    said=$(tool restore "$MEMORY_FILE" --force)
    result $? "a domain that libvirt does not know any more is restored" "$said"
    goes_on "$guest" "undefined since" "$boots" "$before"
    grep -q '"used_ms"' "$MEMORY_FILE.disks"
    result $? "the memory is marked as used" "$(cat "$MEMORY_FILE.disks")"
    said=$(tool save "$NAME-$guest" --managed)
    [ $? -eq 1 ] && grep -q 'save it to a file' <<<"$said" && [ "$(state_of "$guest")" = running ]
    result $? "managed, of a domain without a definition: is refused" "$said"
    $VIRSH define "$DIR/$guest.xml"
}

kill_at() { # point arguments...: the tool dies there
    local point=$1
    shift
    rm -f "$STATE/failpoint.reached"
    echo "$point kill" >"$STATE/failpoint"
    (tool "$@" >"$DIR/said") 2>"$DIR/shells"
    [ $? -eq 137 ] && [ ! -e "$STATE/failpoint" ]
}
# killed GUEST POINT file|managed running|"shut off": what `domain recover` ends in.
killed() {
    local guest=$1 point=$2 target=$MEMORY_FILE how=(-o "$MEMORY_FILE") description="killed at $2 ($3)"
    local boots before said force=()
    boots=$(boots_of "$guest") before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    [ "$3" = managed ] && target=$NAME-$guest how=(--managed)
    case $point in
    save:*) kill_at "$point" save "$NAME-$guest" "${how[@]}" ;;
    *) tool save "$NAME-$guest" "${how[@]}" >/dev/null && kill_at "$point" restore "$target" ;;
    esac
    result $? "$description: is come by" "$(cat "$DIR/said")"
    said=$(tool recover "$NAME-$guest")
    result $? "$description: recovers" "$said"
    [ "$(state_of "$guest")" = "$4" ]
    result $? "$description: the guest is $4" "$(state_of "$guest")"
    nothing_left "$description"
    if [ "$4" = "shut off" ]; then
        if [ "$point $3" = "save:memory-written managed" ]; then # nothing tells when it was written
            refused "$description: disks nobody has looked at" 'killed before it looked' "$target"
            force=(--force)
        fi
        said=$(tool restore "$target" "${force[@]}")
        result $? "$description: is restored" "$said"
    fi
    goes_on "$guest" "$description" "$boots" "$before"
}
test_kills() { # guest
    local way
    for way in file managed; do
        killed "$1" save:noted $way running
        killed "$1" save:memory-written $way "shut off"
        killed "$1" save:disks-written $way "shut off"
        killed "$1" save:disks-in-place $way "shut off"
        killed "$1" restore:noted $way "shut off"
        killed "$1" restore:started $way running
    done
}

# libvirt starts a memory that it keeps as it was saved: it is let run behind that.
test_killed_before_it_runs() { # guest
    local guest=$1 boots before said
    boots=$(boots_of "$guest") before=$(written "$guest")
    saves "$guest" "killed before it runs" --managed --paused
    kill_at restore:created restore "$NAME-$guest" --running
    [ "$(state_of "$guest")" = paused ]
    result $? "killed before it runs: it is paused" "$(state_of "$guest")"
    said=$(tool recover "$NAME-$guest")
    grep -q 'the guest goes on from its memory' <<<"$said"
    result $? "killed before it runs: that it goes on is told" "$said"
    [ "$(state_of "$guest")" = running ]
    result $? "killed before it runs: it does" "$(state_of "$guest")"
    nothing_left "killed before it runs"
    goes_on "$guest" "killed before it runs" "$boots" "$before"
}

# Somebody comes between the look at the disks and the start.
test_changed_late() { # guest
    local guest=$1 boots before said pid
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks" "$STATE/failpoint.reached"
    boots=$(boots_of "$guest") before=$(written "$guest")
    saves "$guest" "changed late" -o "$MEMORY_FILE" --verify-disks
    echo "restore:noted hold" >"$STATE/failpoint"
    tool restore "$MEMORY_FILE" --verify-disks >"$DIR/said" &
    pid=$!
    for _ in $(seq 600); do
        [ -e "$STATE/failpoint.reached" ] && break
        sleep 0.1
    done
    scribble raw "$DISKS/$guest.vdb"
    rm -f "$STATE/failpoint"
    wait $pid
    [ $? -eq 1 ] && grep -q 'vdb has changed since' "$DIR/said"
    result $? "changed late: is refused" "$(cat "$DIR/said")"
    [ "$(state_of "$guest")" = "shut off" ]
    result $? "changed late: nothing was started"
    nothing_left "changed late"
    said=$(tool restore "$MEMORY_FILE" --force)
    result $? "changed late: forced" "$said"
    goes_on "$guest" "changed late" "$boots" "$before"
}

# Between a kill and the recovery: who looks at the disks late has to see what came before.
test_late() { # guest
    local guest=$1 boots before said
    boots=$(boots_of "$guest") before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    kill_at save:memory-written save "$NAME-$guest" -o "$MEMORY_FILE"
    result $? "late: killed" "$(cat "$DIR/said")"
    scribble qcow2 "$DISKS/$guest.vda"
    said=$(tool recover "$NAME-$guest")
    grep -q "$DISKS/$guest.vda has been written to since" <<<"$said"
    result $? "a disk that was written to before the recovery: is told" "$said"
    refused "a disk that was written to before the recovery" 'has been written to since' "$MEMORY_FILE"
    said=$(tool restore "$MEMORY_FILE" --force)
    result $? "a disk that was written to before the recovery: forced" "$said"
    goes_on "$guest" "late" "$boots" "$before"

    before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    kill_at save:memory-written save "$NAME-$guest" -o "$MEMORY_FILE"
    $VIRSH start "$NAME-$guest" --paused
    said=$(tool recover "$NAME-$guest")
    [ "$(state_of "$guest")" = paused ] && [ -s "$MEMORY_FILE" ]
    result $? "started before the recovery: it is left alone, and so is the memory" "$said"
    $VIRSH destroy "$NAME-$guest"
    refused "a guest that was started before the recovery" 'was started after it was saved' "$MEMORY_FILE"
    said=$(tool restore "$MEMORY_FILE" --force)
    goes_on "$guest" "started before the recovery" "$boots" "$before"
}

# A command that is told to end, at a point where it stands still.
interrupted() { # point description arguments...
    local point=$1 description=$2 pid
    shift 2
    rm -f "$STATE/failpoint.reached" "$MEMORY_FILE" "$MEMORY_FILE.disks"
    echo "$point hold" >"$STATE/failpoint"
    "$TOOL" domain "$@" -o "$MEMORY_FILE" --state-dir "$STATE" >"$DIR/said" 2>&1 &
    pid=$!
    for _ in $(seq 600); do
        [ -e "$STATE/failpoint.reached" ] && break
        sleep 0.1
    done
    kill -INT $pid
    rm -f "$STATE/failpoint"
    wait $pid
    [ $? -eq 1 ] && grep -q 'interrupted by signal 2' "$DIR/said"
    result $? "$description: is told" "$(cat "$DIR/said")"
    nothing_left "$description"
}
test_interrupted() { # guest
    local guest=$1 boots before said
    boots=$(boots_of "$guest") before=$(written "$guest")
    interrupted save:noted "interrupted before its memory is written" save "$NAME-$guest"
    [ "$(state_of "$guest")" = running ] && [ ! -e "$MEMORY_FILE" ]
    result $? "interrupted before its memory is written: the guest runs" "$(state_of "$guest")"
    interrupted save:memory-written "interrupted while its disks are read" save "$NAME-$guest" --verify-disks
    said=$(tool restore "$MEMORY_FILE")
    result $? "interrupted while its disks are read: it is saved, without that proof" "$said"
    goes_on "$guest" "interrupted" "$boots" "$before"
}

# Wherever it is: libvirtd goes on.
test_killed_while_writing() { # guest
    local guest=$1 boots before said pid
    boots=$(boots_of "$guest") before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    "$TOOL" domain save "$NAME-$guest" -o "$MEMORY_FILE" --state-dir "$STATE" >"$DIR/said" 2>&1 &
    pid=$!
    for _ in $(seq 600); do
        [ "$(state_of "$guest")" != running ] && break
    done
    kill -KILL $pid
    wait $pid 2>/dev/null
    said=$(tool recover "$NAME-$guest")
    result $? "killed while its memory is written: recovers" "$said"
    nothing_left "killed while its memory is written"
    case $(state_of "$guest") in
    running) [ ! -e "$MEMORY_FILE" ] ;;
    *) said=$(tool restore "$MEMORY_FILE") ;;
    esac
    result $? "killed while its memory is written: runs or is saved" "$said"
    goes_on "$guest" "killed while its memory is written" "$boots" "$before"
}

# What would change the disks that a memory goes on with.
test_guarded() { # guest
    local guest=$1 boots before command said
    boots=$(boots_of "$guest") before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    saves "$guest" "guarded" -o "$MEMORY_FILE"
    for command in "checkpoint $NAME-$guest --disk-only" "revert $NAME-$guest none" \
        "delete-checkpoint $NAME-$guest none" "flatten $NAME-$guest"; do
        # shellcheck disable=SC2086
        said=$(tool $command)
        [ $? -eq 1 ] && grep -qF "saved to $MEMORY_FILE," <<<"$said"
        result $? "guarded: ${command%% *} is refused" "$said"
    done
    nothing_left guarded
    said=$(tool restore "$MEMORY_FILE")
    result $? "guarded: is restored" "$said"
    goes_on "$guest" guarded "$boots" "$before"
    said=$(tool delete-checkpoint "$NAME-$guest" none)
    grep -q 'has no checkpoint none' <<<"$said"
    result $? "guarded: once it goes on that is over" "$said"
}

# What it was saved on is kept by a checkpoint then, and changes by nothing that its file tells.
test_checkpointed() { # guest
    local guest=$1 disk=$DISKS/$1
    $VIRSH start "$NAME-$guest" >/dev/null
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    saves "$guest" "before a checkpoint" -o "$MEMORY_FILE" --verify-disks
    $VIRSH snapshot-create-as "$NAME-$guest" kept --disk-only --diskspec "vda,file=$disk.vda.kept" \
        --diskspec "vdb,file=$disk.vdb.kept" >/dev/null
    refused "a disk that a checkpoint keeps" 'on disk vda .* stands another layer now' \
        "$MEMORY_FILE" --verify-disks
    $VIRSH snapshot-delete "$NAME-$guest" kept --metadata >/dev/null
}

# Its memory is nowhere but in libvirt's hands: it runs on, or is saved, and goes on from there.
restarted() { # guest point file|managed
    local guest=$1 point=$2 target=$MEMORY_FILE how=(-o "$MEMORY_FILE") what="libvirtd dies at $2 ($3)"
    local boots before said
    boots=$(boots_of "$guest") before=$(written "$guest")
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    [ "$3" = managed ] && target=$NAME-$guest how=(--managed)
    case $point in
    save:*) through_restart "$point" tool save "$NAME-$guest" "${how[@]}" ;;
    *) tool save "$NAME-$guest" "${how[@]}" >/dev/null && through_restart "$point" tool restore "$target" ;;
    esac
    said="status $?, $(cat "$DIR/said")"
    said+=$(tool recover "$NAME-$guest")
    result $? "$what: recover" "$said"
    nothing_left "$what"
    [ "$(state_of "$guest")" = running ] || said+=$(tool restore "$target")
    result $? "$what: it runs, or is restored" "$said"
    goes_on "$guest" "$what" "$boots" "$before"
}
test_restarts() {
    local guest=restarted way point
    has_own_libvirtd || return
    make_guest $guest qcow2
    for way in file managed; do
        for point in save:noted save:memory-written save:disks-written save:disks-in-place \
            restore:noted restore:started; do
            restarted $guest $point $way
        done
    done
    restarted $guest restore:created managed
    remove $guest
}

# What all of the above rests on: a guest finds that its disk is older than its memory, which virsh
# restores without a word. Its console says so from then on.
test_older_disk() { # guest
    local guest=$1 files i said
    mapfile -t files < <($VIRSH domblklist "$NAME-$guest" | awk '$2 ~ "^/" { print $2 }')
    rm -f "$MEMORY_FILE" "$MEMORY_FILE.disks"
    $VIRSH start "$NAME-$guest"
    writes_on "$guest" 20 240
    $VIRSH suspend "$NAME-$guest"
    flush "$guest"
    for i in "${!files[@]}"; do cp "${files[i]}" "$DISKS/older.$i"; done
    $VIRSH resume "$NAME-$guest"
    writes_on "$guest" 20 120
    $VIRSH save "$NAME-$guest" "$MEMORY_FILE"
    for i in "${!files[@]}"; do cp "$DISKS/older.$i" "${files[i]}"; done
    said=$($VIRSH restore "$MEMORY_FILE" 2>&1)
    result $? "a disk older than its memory: virsh restores it" "$said"
    writes_on "$guest" 20 120
    grep -q 'lost before' "$(console_of "$guest")"
    result $? "a disk older than its memory: the guest finds its last record gone" \
        "${files[*]}: $(tail -n 3 "$(console_of "$guest")")"
}

test_cow() {
    local cell
    make_guest cow qcow2
    [ -n "${COW:-}" ] || { there_and_back cow file running; there_and_back cow managed paused; }
    for cell in ${COW:-wishes changed verified changed_late kills killed_before_it_runs late interrupted guarded killed_while_writing}; do
        "test_$cell" cow
    done
    remove cow
}
test_flat() {
    make_guest flat raw
    there_and_back flat file paused
    there_and_back flat managed running
    test_started_since flat
    test_checkpointed flat
    test_older_disk flat
    remove flat
}

build_writing_guest
run_cells cow flat restarts restarts_missed
echo "1..$count"
[ "$failures" -eq 0 ]
