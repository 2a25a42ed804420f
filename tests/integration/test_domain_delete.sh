#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nova-snapshot domain delete-checkpoint and domain flatten on domains of this host's libvirt. Needs
# root. TAP. Not a part of make check: make domain-check. CELLS="refusals kills": those alone;
# POINTS="committed ready": killed there alone.
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

checkpoint() { # guest name arguments...
    local said
    said=$(tool checkpoint "$1" --name "${@:2}") && return
    echo "Bail out! checkpoint $2 of $1: $said"
    exit 1
}
delete() { tool delete-checkpoint "$@"; }
flatten() { tool flatten "$@"; }
revert() { tool revert "$@"; }
# The guest is taken back to a checkpoint: what it left is checkpoint $left.
go_back() { # guest name arguments...
    local said
    said=$(revert "$@") && left=$(left_of "$1")
    result $? "$1: goes back to $2" "$said"
}
defined_file_of() { file_of "$1" "$2" --inactive; }
digest() { # file [qemu-img options...]: of all that is read there
    local file=$1 magic
    shift
    IFS= read -r -d '' -n 3 magic <"$file"
    qemu-img convert -U -f "$([ "$magic" = QFI ] && echo qcow2 || echo raw)" "$@" -O raw "$file" "$DIR/flat" 2>&1 &&
        sha256sum <"$DIR/flat"
}
# Of each checkpoint its name, and what its disks hold: the files that libvirt has them in.
points_of() { # guest [but-this-one]
    local name file
    for name in $(checkpoints_of "$1"); do
        [ "$name" = "${2:-}" ] && continue
        for file in $(files_of_checkpoint "$1" "$name"); do
            echo "$name $(digest "$file")"
        done
    done
}
# What a guest that stands still has on its disks.
disks_of() { # guest
    local target file
    tests/integration/lib/flush "$NAME-$1"
    while read -r target file; do
        [ "$file" = - ] || echo "$target $(digest "$file")"
    done < <($VIRSH domblklist "$NAME-$1")
}
# Of a guest that runs: it stands still while its disks are read.
are_whole() { # guest description
    local last
    $VIRSH suspend "$NAME-$1"
    last=$(now_of "$1")
    result $? "$2: the disks of one instant" "$last"
    $VIRSH resume "$NAME-$1"
}
made_while_it_writes() { # guest names...
    local guest=$1 name
    shift
    for name in "$@"; do
        checkpoint "$guest" "$name" --disk-only
        writes_on "$guest" 20 60
    done
}

# What test_domain_matrix.sh leaves out.
test_external() {
    local guest=writes boots=1 said
    build_writing_contents
    make_writing_guest $guest raw qcow2
    checkpoint $guest a
    said=$(delete $guest a) && [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ]
    result $? "after the last one the guest writes to its own file again" "$said, $(file_of $guest vda)"
    $VIRSH suspend "$NAME-$guest"
    checkpoint $guest saved
    refused $guest 'has to run for a moment first' delete $guest saved
    $VIRSH resume "$NAME-$guest"
    goes_on $guest "$boots" "paused, all deleted"
    said=$(delete $guest saved)
    result $? "a paused guest's with memory, when the guest has run" "$said"
    test_children
    $VIRSH destroy "$NAME-$guest"
    said=$(qemu-img check -q "$DISKS/${guest}2.img" 2>&1)
    result $? "qemu-img finds no fault" "$said"
    remove $guest
}
test_children() {
    local guest=writes
    checkpoint "$guest" i
    made_while_it_writes "$guest" j k
    said=$(delete "$guest" i --children) && [ -z "$(checkpoints_of "$guest")" ] &&
        [ "$(file_of "$guest" vda)" = "$DISKS/$guest.img" ]
    result $? "--children deletes all that were made after it" "$said"
    goes_on "$guest" "$boots" "children"
    are_whole "$guest" "children"
}

# Guests without an operating system: what is on their disks is written through the monitor.
make_guest() { # name [format]; SHUT=1: it does not run
    local disk
    for disk in '' 2; do
        qemu-img create -q -f "${2:-qcow2}" "$DISKS/$1$disk.img" 8M
    done
    define_guest "$1" "$(disk_xml vda "${2:-qcow2}" "$DISKS/$1.img")
        $(disk_xml vdb "${2:-qcow2}" "$DISKS/${1}2.img")" || exit 1
    write_both "$1" 0x01
}
# Each pattern over a part of the one before.
write_both() { # guest pattern
    local disk before
    before=$(disks_of "$1")
    for disk in 0 1; do
        if [ "$(state_of "$1")" = 'shut off' ]; then
            qemu-io -f qcow2 -c "write -q -P $2 $(($2 % 6 + 1))M 768k" \
                "$(defined_file_of "$1" "vd$([ $disk = 0 ] && echo a || echo b)")"
            continue
        fi
        monitor "$1" "qemu-io -d /machine/peripheral/virtio-disk$disk/virtio-backend \"write -P $2 $(($2 % 6 + 1))M 768k\"" \
            >/dev/null
    done
    [ "$(disks_of "$1")" != "$before" ] || { echo "Bail out! cannot write to $1"; exit 1; }
}
refused() { # guest text command...
    refuses "$1" 1 "${@:2}"
}

test_refusals() {
    local guest=refused
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    checkpoint $guest b --disk-only
    write_both $guest 0x03
    refused $guest 'has no checkpoint none' delete $guest none
    qemu-img create -q -f qcow2 -b "$DISKS/$guest.img" -F qcow2 "$DISKS/clone.img"
    SHUT=1 define_guest clone "$(disk_xml vda qcow2 "$DISKS/clone.img")" || exit 1
    refused $guest "domain $NAME-clone names $DISKS/clone.img" delete $guest a
    refused $guest "domain $NAME-clone" delete $guest a --children
    remove clone
    # One that no domain names any more.
    refused $guest "$DISKS/clone.img, of a branch, stands on it" delete $guest a
    rm "$DISKS/clone.img"
    SHUT=1 define_guest clone "$(disk_xml vda qcow2 "$DISKS/none.img")" || exit 1
    qemu-img create -q -f qcow2 -u -b blkdebug::/x -F raw "$DISKS/none.img" 64M
    refused $guest 'cannot be told' delete $guest a
    remove clone
    refused $guest 'cannot be told' delete $guest a
    rm "$DISKS/none.img"
    $VIRSH blockcopy "$NAME-$guest" vdb --dest "$DISKS/copy" --transient-job >/dev/null
    refused $guest 'another block job' delete $guest b
    $VIRSH blockjob "$NAME-$guest" vdb --abort
    $VIRSH destroy "$NAME-$guest"
    qemu-img snapshot -c inside "$DISKS/$guest.img.a"
    refused $guest 'internal snapshots in it' delete $guest a
    qemu-img snapshot -d inside "$DISKS/$guest.img.a"
    qemu-img bitmap --add "$DISKS/$guest.img.b" dirty
    refused $guest 'bitmaps of increments in it' delete $guest b
    qemu-img bitmap --remove "$DISKS/$guest.img.b" dirty
    qemu-img resize -q "$DISKS/$guest.img.b" 9M
    refused $guest 'has been resized since' delete $guest b
    mv "$DISKS/$guest.img.a" "$DISKS/moved" && ln -s "$DISKS/moved" "$DISKS/$guest.img.a"
    refused $guest 'called by a link' delete $guest a
    rm "$DISKS/$guest.img.a" && mv "$DISKS/moved" "$DISKS/$guest.img.a"
    # A branch that nothing but its file tells of is one of a domain's.
    $VIRSH snapshot-create-as "$NAME-$guest" c --disk-only \
        --diskspec "vda,file=$DISKS/c" --diskspec "vdb,file=$DISKS/c2" >/dev/null
    $VIRSH dumpxml --inactive "$NAME-$guest" | sed "s|$DISKS/c'|$DISKS/$guest.img'|" >"$DIR/back.xml"
    $VIRSH define "$DIR/back.xml"
    refused $guest 'the guest writes to' delete $guest a
    refused $guest 'goes on from elsewhere' delete $guest b
    refused $guest 'the domain is not nova' flatten $guest
    refused $guest "checkpoint" flatten $guest --disk "vdb=$DISKS/${guest}2.img"
    remove $guest
}

# Inside the disks' own files.
test_internal() {
    local guest=inside said before
    make_guest $guest
    checkpoint $guest a --internal
    write_both $guest 0x02
    checkpoint $guest c --internal
    $VIRSH destroy "$NAME-$guest"
    before=$(digest "$DISKS/$guest.img" -l snapshot.name=a)$(disks_of $guest)
    qemu-img snapshot -c extra "$DISKS/${guest}2.img"
    said=$(delete $guest c)
    result $? "internal, stopped: one is deleted" "$said"
    [ "$(digest "$DISKS/$guest.img" -l snapshot.name=a)$(disks_of $guest)" = "$before" ] &&
        qemu-img snapshot -l "$DISKS/${guest}2.img" | grep -q extra
    result $? "internal, stopped: all else is as it was" "$(qemu-img snapshot -l "$DISKS/${guest}2.img")"
    checkpoint $guest above
    refused $guest 'goes on in another file' delete $guest a
    refused $guest 'internal snapshots in it' delete $guest above
    remove $guest
}

# A libvirtd that dies may not have written down that QEMU was through with a layer: test_stale.
recover_at_rest() { # guest what-was-said
    [[ $broken_by = libvirtd && $2 = *'when the guest is stopped' ]] || { echo "$2"; return; }
    $VIRSH destroy "$NAME-$1" >/dev/null
    recover "$1"
    $VIRSH start "$NAME-$1" --paused >/dev/null
}

# broken GUEST NAME POINT DESCRIPTION: what it comes to is the state before or after, and nothing is lost.
broken() {
    local guest=$1 name=$2 point=$3 what="$4, broken at $3 by $broken_by" others before said
    others=$(points_of "$guest" "$name")
    $VIRSH suspend "$NAME-$guest" >/dev/null 2>&1
    before=$(disks_of "$guest")
    [[ $point = *:* ]] || point=merge:$point
    break_at "$point" delete "$guest" "$name"
    said=$(recover "$guest") || said=$(recover_at_rest "$guest" "$said")
    no_record
    result $? "$what: recover" "$said, $(cat "$STATE"/records/* 2>&1)"
    [ "$(disks_of "$guest")" = "$before" ] &&
        [ "$(points_of "$guest" "$name")" = "$others" ]
    result $? "$what: so they are afterwards, and the others" \
        "$(diff <(echo "$before$others") <(disks_of "$guest"; points_of "$guest" "$name"))"
    if [[ " $(checkpoints_of "$guest") " = *" $name "* ]]; then
        [ "$point" = merge:written-down ]
        result $? "$what: it is deleted" "$(checkpoints_of "$guest")"
        said=$(delete "$guest" "$name")
        result $? "$what: it still can be deleted" "$said"
    fi
    [ ! -e "$DISKS/$guest.img.$name" ] && [ ! -e "$DISKS/${guest}2.img.$name" ] &&
        [ ! -e "$DISKS/$guest.img.$name.memory" ] &&
        ! qemu-img snapshot -U -l "$(file_of "$guest" vda)" | grep -q " $name "
    result $? "$what: what it was kept in has gone" "$(ls "$DISKS")"
    $VIRSH resume "$NAME-$guest" >/dev/null 2>&1
}

wanted() { [ -z "${POINTS:-}" ] || [[ " $POINTS " = *" $1 "* ]]; }
test_kills() {
    local guest=killed n=2 point
    make_guest $guest
    checkpoint $guest first
    for point in written-down begun started ready pivot-noted pivoted disk-merged relinked metadata-gone file-removed; do
        wanted $point || continue
        checkpoint $guest top
        write_both $guest $((n++))
        broken $guest top $point 'newest, running'
    done
    for point in started disk-merged relinked file-removed; do
        wanted $point || continue
        checkpoint $guest middle
        write_both $guest $((n++))
        checkpoint $guest last --disk-only
        write_both $guest $((n++))
        broken $guest middle $point 'middle, running'
        delete $guest last >/dev/null
    done
    for point in delete:internal-begun delete:internal-done; do
        wanted $point || continue
        checkpoint $guest inside --internal
        write_both $guest $((n++))
        broken $guest inside $point 'internal, running'
        checkpoint $guest inside --internal
        $VIRSH destroy "$NAME-$guest"
        broken $guest inside $point 'internal, stopped'
        $VIRSH start "$NAME-$guest"
    done
    [ "$(checkpoints_of $guest)" = first ] || { echo "Bail out! $(checkpoints_of $guest) are left"; exit 1; }
    for point in begun committed defined disk-merged relinked metadata-gone file-removed; do
        wanted $point || continue
        checkpoint $guest top --disk-only
        write_both $guest $((n++))
        $VIRSH destroy "$NAME-$guest"
        broken $guest top $point 'newest, stopped'
        $VIRSH start "$NAME-$guest"
    done
    for point in committed rebased relinked; do
        wanted $point || continue
        checkpoint $guest middle --disk-only
        write_both $guest $((n++))
        checkpoint $guest last --disk-only
        write_both $guest $((n++))
        $VIRSH destroy "$NAME-$guest"
        broken $guest middle $point 'middle, stopped'
        delete $guest last >/dev/null
        $VIRSH start "$NAME-$guest"
    done
    remove $guest
}

names_of() { (cd "$DISKS" && find . -name "$1*" -printf '%f\n' | sed "s/-20[0-9TZ]*/-TIME/g" | sort | xargs); }
# left_goes GUEST DESCRIPTION NAMES: all that stays is as it was, and of the guest there are files of NAMES.
left_goes() {
    local guest=$1 what=$2 names=$3 before seen said
    $VIRSH suspend "$NAME-$guest" >/dev/null 2>&1
    before=$(points_of "$guest" "$left")
    seen=$(disks_of "$guest")
    said=$(delete "$guest" "$left") && grep -q "$left is deleted, and that instant of a branch is lost" <<<"$said"
    result $? "$what: what was left goes" "$said"
    [ "$(points_of "$guest")" = "$before" ] && [ "$(disks_of "$guest")" = "$seen" ]
    result $? "$what: all else is what it was" "$(diff <(echo "$before$seen") <(points_of "$guest"; disks_of "$guest"))"
    [ "$(names_of "$guest")" = "$names" ]
    result $? "$what: its files have gone" "$(names_of "$guest"), not $names"
    forgotten "$what"
    $VIRSH resume "$NAME-$guest" >/dev/null 2>&1
}

# What a guest has left by going back goes, then the checkpoints it went back to, to the flat disk.
branch_of() { # guest [how it is to go back...]
    local guest=$1 memory='' left said before
    shift
    [ $# -eq 0 ] || memory=$guest.img.a.memory
    checkpoint "$guest" a
    write_both "$guest" 0x02
    checkpoint "$guest" b --disk-only
    write_both "$guest" 0x03
    go_back "$guest" a "$@"
    refused "$guest" "checkpoint $left was made after it" delete "$guest" b
    refused "$guest" "of domain $NAME-$guest names $DISKS/$guest.img." delete "$guest" a
    qemu-img create -q -f qcow2 -b "$DISKS/$guest.img.b" -F qcow2 "$DISKS/clone.img"
    refused "$guest" "$DISKS/clone.img, of a branch, stands on it" delete "$guest" "$left"
    SHUT=1 define_guest clone "$(disk_xml vda qcow2 "$DISKS/clone.img")" || exit 1
    refused "$guest" "domain $NAME-clone names $DISKS/clone.img" delete "$guest" "$left"
    remove clone
    rm "$DISKS/clone.img"
    write_both "$guest" 0x04
    left_goes "$guest" "$guest" "$(xargs <<<"$guest.img $guest.img.a $guest.img.a-TIME $memory
        $guest.img.b-TIME ${guest}2.img ${guest}2.img.a ${guest}2.img.a-TIME ${guest}2.img.b-TIME")"
    said=$(revert "$guest" b --discard "$@") && grep -q 'that instant of a branch is lost' <<<"$said" &&
        [ "$(checkpoints_of "$guest")" = 'a b' ]
    result $? "$guest, --discard: nothing is left behind" "$said, $(checkpoints_of "$guest")"
    before=$(disks_of "$guest")
    said=$(delete "$guest" b) && said+=$(delete "$guest" a)
    result $? "$guest: the checkpoints it went back to go" "$said"
    [ "$(disks_of "$guest")" = "$before" ] && [ "$(names_of "$guest")" = "$guest.img ${guest}2.img" ]
    result $? "$guest: the checkpoints it went back to go: the disks are flat" "$(names_of "$guest")"
    checkpoint "$guest" a --disk-only
    checkpoint "$guest" b --disk-only
    go_back "$guest" a "$@"
    before=$(disks_of "$guest")
    said=$(delete "$guest" b --children) && [ "$(checkpoints_of "$guest")" = a ]
    result $? "$guest, --children: a branch goes" "$said"
    go_back "$guest" a "$@"
    said=$(delete "$guest" a --children) && [ -z "$(checkpoints_of "$guest")" ] &&
        [ "$(disks_of "$guest")" = "$before" ] && [ "$(names_of "$guest")" = "$guest.img ${guest}2.img" ]
    result $? "$guest, --children: all of it goes" "$said, $(names_of "$guest")"
    remove "$guest"
}
test_branch() {
    make_guest branch
    branch_of branch --running
}
test_branch_at_rest() {
    SHUT=1 make_guest rest
    branch_of rest
}

# The whole story, of a guest that writes: there, back, and nothing is left of it.
test_story() {
    local guest=story left boots=1 said
    build_writing_contents
    make_writing_guest $guest raw qcow2
    checkpoint $guest "then"
    writes_on $guest 20 120
    go_back $guest "then"
    goes_on $guest $boots "story, gone back"
    refused $guest "checkpoint $left of domain" delete $guest "then"
    said=$(delete $guest "$left")
    result $? "story: what was left goes" "$said"
    goes_on $guest $boots "story, what was left has gone"
    said=$(delete $guest "then") && [ -z "$(checkpoints_of $guest)" ]
    result $? "story: the checkpoint it went back to goes" "$said"
    goes_on $guest $boots "story, all has gone"
    are_whole $guest "story"
    [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ] && [ "$(names_of $guest)" = "$guest.img ${guest}2.img" ]
    result $? "story: the disks are flat" "$(names_of $guest)"
    forgotten "story"
    remove $guest
}

kill_branches() { # guest points...
    local guest=$1 left n=2 point
    shift
    checkpoint "$guest" a
    write_both "$guest" $((n++))
    checkpoint "$guest" b --disk-only
    for point in "$@"; do
        wanted "$point" || continue
        write_both "$guest" $((n++))
        go_back "$guest" a
        broken "$guest" "$left" "$point" "$guest, a branch"
    done
    remove "$guest"
}
test_branch_kills() {
    SHUT=1 make_guest killed
    # A new layer takes the place of one that goes the first time alone.
    kill_branches killed branch:layer-made written-down branch:begun branch:relinked branch:metadata-gone file-removed
    make_guest dies
    kill_branches dies branch:relinked file-removed
}

# The definition of now, and the one from before that checkpoint was made.
write_definitions() { # guest checkpoint
    $VIRSH dumpxml --inactive "$NAME-$1" >"$DIR/layers.xml"
    sed -e "s|\.img\.$2'|.img'|" -e '/<backingStore/,/<\/backingStore>/d' "$DIR/layers.xml" >"$DIR/novas.xml"
}

# While the command itself waits for the commit.
test_meanwhile() {
    local guest=meanwhile said before pid found
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    before=$(disks_of $guest)
    write_definitions $guest a
    echo "merge:started hold" >"$STATE/failpoint"
    delete $guest a >"$DIR/said" &
    pid=$!
    await_failpoint $pid
    $VIRSH define "$DIR/novas.xml"
    $VIRSH destroy "$NAME-$guest"
    release_failpoint
    wait $pid
    found=$?
    [ $found -eq 1 ] && grep -q 'alone has it all' "$DIR/said" && [ -e "$DISKS/$guest.img.a" ]
    result $? "defined on the file below while it is merged: the layer stays" "status $found: $(cat "$DIR/said")"
    $VIRSH define "$DIR/layers.xml"
    said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
    result $? "defined on the file below: back on its layer all is merged" "$said"
    remove $guest
}

# Started while the layers of a stopped domain are merged: what the guest writes is merged as well.
test_started_meanwhile() {
    local guest=woken said before pid how n=2
    make_guest $guest
    for how in delete flatten; do
        checkpoint $guest a --disk-only
        write_both $guest $((n++))
        $VIRSH destroy "$NAME-$guest"
        if [ $how = delete ]; then
            hold_command merge:committed delete $guest a
        else
            $VIRSH snapshot-delete "$NAME-$guest" a --metadata
            hold_command merge:committed flatten $guest --disk "vda=$DISKS/$guest.img" --disk "vdb=$DISKS/${guest}2.img"
        fi
        $VIRSH start "$NAME-$guest"
        write_both $guest $((n++))
        before=$(disks_of $guest)
        $VIRSH destroy "$NAME-$guest"
        go_on
        result $? "$how, started and stopped meanwhile: ends" "$(cat "$DIR/said")"
        $VIRSH start "$NAME-$guest"
        [ "$(disks_of $guest)" = "$before" ] && [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ]
        result $? "$how, started and stopped meanwhile: nothing is lost" "$(file_of $guest vda)"
    done
    checkpoint $guest a --disk-only
    write_both $guest $((n++))
    $VIRSH destroy "$NAME-$guest"
    hold_command merge:committed delete $guest a
    $VIRSH start "$NAME-$guest"
    write_both $guest $((n++))
    before=$(disks_of $guest)
    go_on && [ "$(disks_of $guest)" = "$before" ] && [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ]
    result $? "started meanwhile: it is merged while it runs" "$(cat "$DIR/said")"
    remove $guest
}

# Its memory goes on with the layers of then, also with those that it has below.
test_saved_meanwhile() {
    local guest=asleep said before pid above
    make_guest $guest
    for above in '' ', with a layer above'; do
        checkpoint $guest a --disk-only
        write_both $guest $((${#above} + 2))
        [ -z "$above" ] || checkpoint $guest b --disk-only
        before=$(disks_of $guest)
        $VIRSH destroy "$NAME-$guest"
        hold_command merge:committed delete $guest a
        $VIRSH start "$NAME-$guest" && $VIRSH managedsave "$NAME-$guest"
        go_on
        [ $? -eq 1 ] && grep -q 'keeps a memory' "$DIR/said" && [ -e "$DISKS/$guest.img.a" ]
        result $? "saved meanwhile$above: the layer stays" "$(cat "$DIR/said")"
        said=$(recover $guest)
        [ $? -eq 1 ] && grep -q 'keeps a memory' <<<"$said" && [ -e "$DISKS/$guest.img.a" ]
        result $? "saved meanwhile$above: also of recover" "$said"
        $VIRSH start "$NAME-$guest" && [ "$(state_of $guest)" = running ]
        result $? "saved meanwhile$above: the guest goes on of its memory" "$(state_of $guest)"
        [ -z "$above" ] || $VIRSH destroy "$NAME-$guest"
        said=$(recover $guest)
        result $? "saved meanwhile$above: the rest is done when it runs, or is stopped" "$said"
        [ -z "$above" ] || $VIRSH start "$NAME-$guest"
        [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
        result $? "saved meanwhile$above: nothing is lost" "$(ls "$DISKS")"
    done
    remove $guest
}

# Somebody's own layers, put on disks that are merged already, all or one.
test_under() {
    local guest=under said before point n=2
    make_guest $guest
    for point in disk-merged relinked file-removed; do
        wanted $point || continue
        checkpoint $guest d --disk-only
        write_both $guest $((n++))
        before=$(disks_of $guest)
        $VIRSH destroy "$NAME-$guest"
        echo "merge:$point kill" >"$STATE/failpoint"
        (delete $guest d >/dev/null) 2>"$DIR/shells"
        $VIRSH snapshot-create-as "$NAME-$guest" e --disk-only >/dev/null
        said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ "$(checkpoints_of $guest)" = e ]
        result $? "another layer came on top at $point: the rest is done" "$said, $(checkpoints_of $guest)"
        [ ! -e "$DISKS/$guest.img.d" ] && [ ! -e "$DISKS/${guest}2.img.d" ]
        result $? "another layer came on top at $point: the files have gone" "$(ls "$DISKS")"
        forgotten "another layer came on top at $point"
        said=$(delete $guest e)
        result $? "another layer came on top at $point: that can be deleted" "$said"
        [ "$(disks_of $guest)" = "$before" ] && [ "$(defined_file_of $guest vda)" = "$DISKS/$guest.img" ] &&
            [ "$(defined_file_of $guest vdb)" = "$DISKS/${guest}2.img" ]
        result $? "another layer came on top at $point: the disks are read as before" "$(ls "$DISKS")"
        $VIRSH start "$NAME-$guest"
    done
    remove $guest
}

# The guest is on the file below, the command that put it there saw nothing more, and it is started
# anew, and writes.
test_pivot() {
    local guest=pivot said before
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    sleep 1 # so that it is older than the pivot by as much as a commit may be behind
    echo "merge:pivoted kill" >"$STATE/failpoint"
    (delete $guest a >/dev/null) 2>"$DIR/shells"
    [ "$(defined_file_of $guest vda)" = "$DISKS/$guest.img" ]
    result $? "killed when it was put on the file below: it is there" "$(defined_file_of $guest vda)"
    $VIRSH destroy "$NAME-$guest"
    $VIRSH start "$NAME-$guest"
    write_both $guest 0x03
    before=$(disks_of $guest)
    said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
    result $? "killed when it was put on the file below, started anew: all is merged" "$said"
    forgotten "killed when it was put on the file below"
    remove $guest
}

qmp() { $VIRSH qemu-monitor-command "$NAME-$1" "$2"; } # guest command
# QEMU merges a layer, and libvirt does not hear of it: as one that dies at that moment.
merge_unheard() { # guest layer file-below
    local nodes layer below
    nodes=$(qmp "$1" '{"execute": "query-named-block-nodes"}')
    node_of() { jq -r --arg file "$1" '.return[] | select(.drv == "qcow2" and .file == $file) | ."node-name"' <<<"$nodes"; }
    layer=$(node_of "$2") below=$(node_of "$3")
    qmp "$1" "{\"execute\": \"block-commit\", \"arguments\": {\"job-id\": \"unheard\", \"top-node\": \"$layer\",
        \"base-node\": \"$below\", \"device\": \"$(node_of "$(file_of "$1" vda)")\"}}"
}
test_stale() {
    local guest=stale said before
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    checkpoint $guest b --disk-only
    write_both $guest 0x03
    echo "merge:begun kill" >"$STATE/failpoint"
    (delete $guest a >/dev/null) 2>"$DIR/shells"
    merge_unheard $guest "$DISKS/$guest.img.a" "$DISKS/$guest.img" >/dev/null
    for _ in $(seq 50); do
        qemu-img info -U "$DISKS/$guest.img.b" | grep -q "^backing file: $DISKS/$guest.img\$" && break
        sleep 0.1
    done
    before=$(disks_of $guest)
    said=$(recover $guest)
    [ $? -eq 1 ] && grep -q 'they can be merged when the guest is stopped' <<<"$said" && [ "$(disks_of $guest)" = "$before" ]
    result $? "a layer that libvirt counts in vain: refused while the guest runs" "$said"
    $VIRSH destroy "$NAME-$guest"
    said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
    result $? "a layer that libvirt counts in vain: merged when it is stopped" "$said"
    $VIRSH start "$NAME-$guest"
    said=$(delete $guest b) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.b" ]
    result $? "a layer that libvirt counts in vain: it counts right when it is started" "$said"
    remove $guest
}

# Saved with the layer that is to go.
test_saved() {
    local guest=saved said before
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    before=$(disks_of $guest)
    $VIRSH destroy "$NAME-$guest"
    echo "merge:committed kill" >"$STATE/failpoint"
    (delete $guest a >/dev/null) 2>"$DIR/shells"
    $VIRSH start "$NAME-$guest"
    $VIRSH managedsave "$NAME-$guest"
    said=$(recover $guest)
    [ $? -eq 1 ] && grep -q 'keeps a memory' <<<"$said" && [ -e "$DISKS/$guest.img.a" ]
    result $? "saved before recover: the layer stays" "$said"
    $VIRSH start "$NAME-$guest" && [ "$(state_of $guest)" = running ]
    result $? "saved before recover: the guest goes on of its memory" "$(state_of $guest)"
    said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
    result $? "saved before recover: when it runs it is merged" "$said"
    remove $guest
}

# Stopped when it was killed, and running when that is found, or the other way round.
test_changes() {
    local guest=changed said before
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    $VIRSH destroy "$NAME-$guest"
    before=$(disks_of $guest)
    echo "merge:committed kill" >"$STATE/failpoint"
    (delete $guest a >/dev/null) 2>"$DIR/shells"
    $VIRSH start --paused "$NAME-$guest"
    said=$(recover $guest)
    result $? "started before recover: it is merged while it runs" "$said"
    [ "$(disks_of $guest)" = "$before" ] && [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ]
    result $? "started before recover: the disks are read as before" "$(file_of $guest vda)"
    $VIRSH resume "$NAME-$guest"
    checkpoint $guest b
    write_both $guest 0x03
    $VIRSH suspend "$NAME-$guest"
    before=$(disks_of $guest)
    echo "merge:ready kill" >"$STATE/failpoint"
    (delete $guest b >/dev/null) 2>"$DIR/shells"
    $VIRSH destroy "$NAME-$guest"
    said=$(recover $guest)
    result $? "stopped before recover: it is merged at rest" "$said"
    [ "$(disks_of $guest)" = "$before" ] && [ "$(file_of $guest vda)" = "$DISKS/$guest.img" ]
    result $? "stopped before recover: the disks are read as before" "$(file_of $guest vda)"
    $VIRSH start "$NAME-$guest"
    test_another_start
    remove $guest
}
# Somebody's own, put on top since.
test_another_layer() {
    local guest=changed said before
    checkpoint $guest d --disk-only
    write_both $guest 0x05
    before=$(disks_of $guest)
    $VIRSH destroy "$NAME-$guest"
    echo "merge:begun kill" >"$STATE/failpoint"
    (delete $guest d >/dev/null) 2>"$DIR/shells"
    $VIRSH snapshot-create-as "$NAME-$guest" e --disk-only >/dev/null
    said=$(recover $guest) &&
        grep -q 'nothing of the disk is lost' <<<"$said" && [ "$(disks_of $guest)" = "$before" ]
    result $? "another layer came on top: it is told" "$said"
    forgotten "another layer came on top"
    said=$(delete $guest e) && said+=$(delete $guest d) && [ "$(disks_of $guest)" = "$before" ]
    result $? "another layer came on top: both can be deleted" "$said"
}
# As nova's hard reboot does it: from a definition that names the file of before.
test_another_start() {
    local guest=changed said before state
    checkpoint $guest c --disk-only
    write_both $guest 0x04
    before=$(disks_of $guest)
    $VIRSH destroy "$NAME-$guest"
    write_definitions $guest c
    echo "merge:begun kill" >"$STATE/failpoint"
    (delete $guest c >/dev/null) 2>"$DIR/shells"
    $VIRSH define "$DIR/novas.xml"
    for state in 'shut off' paused; do
        [ "$state" = 'shut off' ] || $VIRSH start --paused "$NAME-$guest" || exit 1
        said=$(recover $guest)
        [ $? -eq 1 ] && grep -q 'alone has it all' <<<"$said" && [ -e "$DISKS/$guest.img.c" ]
        result $? "put on the file below by somebody else, $state: the layer stays" "$said"
    done
    $VIRSH destroy "$NAME-$guest"
    $VIRSH define "$DIR/layers.xml"
    said=$(recover $guest)
    [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.c" ]
    result $? "put back on its layer: all is merged" "$said"
    $VIRSH start "$NAME-$guest"
    test_another_layer
}

# The same after a restart of libvirtd, which counts on from the highest id in use: what runs on the
# file below has the id of the guest that was being merged.
test_same_id() {
    local guest=same said before id
    has_own_libvirtd || return
    restart_libvirtd true # no guest runs: it begins at 1, now and then
    make_guest $guest
    checkpoint $guest a --disk-only
    write_both $guest 0x02
    before=$(disks_of $guest)
    id=$($VIRSH domid "$NAME-$guest")
    write_definitions $guest a
    echo "merge:started kill" >"$STATE/failpoint"
    (delete $guest a >/dev/null) 2>"$DIR/shells"
    $VIRSH destroy "$NAME-$guest"
    $VIRSH define "$DIR/novas.xml"
    restart_libvirtd true
    $VIRSH start --paused "$NAME-$guest"
    [ "$($VIRSH domid "$NAME-$guest")" = "$id" ]
    result $? "the id of a merged guest is given again" "$id, now $($VIRSH domid "$NAME-$guest")"
    said=$(recover $guest)
    [ $? -eq 1 ] && grep -q 'alone has it all' <<<"$said" && [ -e "$DISKS/$guest.img.a" ]
    result $? "another guest of the same id: the layer stays" "$said"
    $VIRSH destroy "$NAME-$guest"
    $VIRSH define "$DIR/layers.xml"
    said=$(recover $guest) && [ "$(disks_of $guest)" = "$before" ] && [ ! -e "$DISKS/$guest.img.a" ]
    result $? "another guest of the same id: back on its layer all is merged" "$said"
    forgotten "another guest of the same id"
    remove $guest
}

# Whatever the command had come to when libvirtd died: it goes on, or recover does.
test_restarts() {
    local broken_by=libvirtd
    has_own_libvirtd || return
    rm -f "$DISKS"/{killed,dies}* # of the guests of before
    test_kills
    test_branch_kills
}

# Killed at a point: recover goes on with it.
flatten_by_way_of() { # point|'' guest
    [ -n "$1" ] || { flatten "$2"; return; }
    echo "merge:$1 kill" >"$STATE/failpoint"
    (flatten "$2") 2>"$DIR/shells"
    [ $? -eq 137 ] && recover "$2"
}
unforced() { tool checkpoint "$1" --disk-only; }
# nova.virt.libvirt.guest, delete_configuration(): a hard reboot begins with it.
undefine_as_nova() { $VIRSH undefine --managed-save "$NAME-$1" 2>&1 || $VIRSH undefine "$NAME-$1" 2>&1; }
# A server of nova's: its disk is its own file on nova's base image again.
test_nova() {
    local guest=nova folder said before row state point what
    folder=$INSTANCES/$(uuid_of $guest)
    mkdir "$folder"
    qemu-img create -q -f raw "$INSTANCES/_base/image" 64M
    qemu-io -f raw -c 'write -q -P 0xba 0 8M' "$INSTANCES/_base/image"
    qemu-img create -q -f qcow2 -b "$INSTANCES/_base/image" -F raw "$folder/disk"
    before=$(sha256sum <"$INSTANCES/_base/image")
    DOMAIN="<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'/></metadata>" \
        define_guest $guest "$(disk_xml vda qcow2 "$folder/disk")" || exit 1
    for row in running stopped 'running started' 'running disk-merged' 'stopped committed'; do
        read -r state point <<<"$row"
        what="nova, $state${point:+, killed at $point}"
        [ "$(state_of $guest)" = running ] || $VIRSH start "$NAME-$guest"
        refused $guest resume_guests_state_on_host_boot unforced $guest
        checkpoint $guest a --disk-only --force
        checkpoint $guest b --disk-only --force
        monitor $guest 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P 7 9M 1M"' >/dev/null
        refused $guest ' of domain ' flatten $guest
        refused $guest "is not in the instance's own folder" flatten $guest --disk "vda=$INSTANCES/_base/image"
        [ "$state" = running ] || $VIRSH destroy "$NAME-$guest"
        [ "$state" = running ] || refused $guest 'with 2 snapshots' undefine_as_nova $guest
        $VIRSH snapshot-delete "$NAME-$guest" a --metadata
        $VIRSH snapshot-delete "$NAME-$guest" b --metadata
        said=$(flatten_by_way_of "$point" $guest)
        result $? "$what: is flat" "$said"
        [ -n "$point" ] || grep -q "nova's own files again" <<<"$said"
        result $? "$what: that its disks are nova's again is told" "$said"
        [ "$(file_of $guest vda)" = "$folder/disk" ] && [ "$(defined_file_of $guest vda)" = "$folder/disk" ] &&
            [ "$(ls "$folder")" = disk ]
        result $? "$what: its disk is nova's own file" "$said, $(ls "$folder")"
        [ "$(qemu-img info -U --output=json "$folder/disk" | grep -o '"full-backing-filename": "[^"]*"')" = \
            "\"full-backing-filename\": \"$INSTANCES/_base/image\"" ] &&
            [ "$(sha256sum <"$INSTANCES/_base/image")" = "$before" ]
        result $? "$what: on nova's base image, which is as it was"
        grep -q 'nothing to merge' <<<"$(flatten $guest)"
        result $? "$what: a second time there is nothing to do"
    done
    remove $guest
}

run_cells refusals internal nova kills branch_at_rest branch_kills branch story changes under meanwhile \
    started_meanwhile saved_meanwhile pivot stale saved same_id restarts restarts_missed external
echo "1..$count"
[ "$failures" -eq 0 ]
