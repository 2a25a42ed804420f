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
# shellcheck source=tests/integration/lib/checkpoints.sh
. tests/integration/lib/checkpoints.sh
# shellcheck source=tests/integration/lib/restart.sh
. tests/integration/lib/restart.sh

revert() { tool revert "$@"; }
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
        { [[ " $* " == *' --discard '* ]] || grep -q "checkpoint $(left_of "$guest")" <<<"$said"; }
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

# From each state to those that were another one; from a state to its own is test_domain_matrix.sh's.
test_across() {
    local guest=across left
    make_writing_guest "$guest" qcow2 raw
    make_checkpoint "$guest" disk --disk-only
    writes_on "$guest" 20 120
    make_checkpoint "$guest" memory
    writes_on "$guest" 20 120
    $VIRSH suspend "$NAME-$guest"
    make_checkpoint "$guest" paused
    reverts "$guest" running memory running
    left=$(left_of "$guest") # with what was written since it was paused
    held[$guest.$left]=$(last_of_checkpoint "$guest" "$left" external)
    reverts "$guest" paused memory paused --paused
    reverts "$guest" running "$left" running --running # what was left behind
    bring_to "$guest" 'shut off'
    make_checkpoint "$guest" rested
    reverts "$guest" 'shut off' paused paused
    reverts "$guest" paused disk 'shut off'
    reverts "$guest" 'shut off' rested paused --paused
    reverts "$guest" running rested 'shut off'
    reverts "$guest" 'shut off' memory running
    remove "$guest"
}

test_internal() {
    local guest=inside boots left lefts said
    qemu-img create -q -f raw "$DISKS/cd.iso" 1M
    make_writing_guest $guest qcow2 qcow2
    make_checkpoint $guest running --internal
    $VIRSH change-media "$NAME-$guest" sda "$DISKS/cd.iso" --insert --live --config >/dev/null
    make_checkpoint $guest cd --internal
    $VIRSH change-media "$NAME-$guest" sda --eject --live --config >/dev/null
    rm "$DISKS/cd.iso"
    make_checkpoint $guest later --internal
    reverts $guest 'shut off' running paused --paused
    left=$(left_of $guest) # of a guest that was stopped
    held[$guest.$left]=$(last_of_checkpoint $guest "$left" internal)
    reverts $guest paused later running
    reverts $guest running "$left" 'shut off'
    left=$(left_of $guest) # of one that ran
    held[$guest.$left]=$(last_of_checkpoint $guest "$left" internal)
    reverts $guest 'shut off' "$left" running --running
    lefts=$(checkpoints_of $guest)
    reverts $guest running later running --discard
    [ "$(checkpoints_of $guest)" = "$lefts" ]
    result $? "internal, --discard: nothing is left" "$(checkpoints_of $guest), not $lefts"
    bring_to $guest running
    boots=$(boots_of $guest)
    said=$(revert $guest cd)
    [ $? -eq 1 ] && grep -q 'where it was again' <<<"$said" && [ "$(current_of $guest)" = "$(left_of $guest)" ]
    result $? "internal, a CD has gone: it fails" "$said"
    goes_on $guest "$boots" "internal, a CD has gone"
    no_record
    result $? "internal, a CD has gone: no record is left"
    tool checkpoint $guest --name above >/dev/null
    refused $guest running 'go back to a checkpoint of that file first' --discard
    remove $guest
}

# Wherever the command dies: the guest goes on from now, or is where it was to go.
test_internal_kills() {
    local guest=inside boots point said last
    make_writing_guest $guest qcow2 qcow2
    make_checkpoint $guest inside --internal
    boots=$(boots_of $guest)
    for point in revert:written-down revert:suspended checkpoint:written-down checkpoint:made \
        revert:left-kept revert:internal-begun revert:internal; do
        writes_on $guest 20 120
        last=$(written $guest)
        break_at $point revert $guest inside
        said=$(recover $guest) && no_record
        result $? "internal, killed at $point: recover" "$said"
        goes_on $guest "$boots" "internal, killed at $point"
        case $point in
        revert:internal | revert:written-down | revert:suspended | checkpoint:written-down) said=inside ;;
        *) said=$(left_of $guest) ;; # of now, which the guest goes on from
        esac
        [ "$(current_of $guest)" = "$said" ] && { [ $point = revert:internal ] || [ "$(written $guest)" -gt "$last" ]; }
        result $? "internal, killed at $point: it is where it should be" "$(current_of $guest), $(written $guest) after $last"
    done
    bring_to $guest 'shut off'
    make_checkpoint $guest rested --internal
    for point in revert:left-kept revert:internal-begun revert:internal; do
        bring_to $guest running
        bring_to $guest 'shut off'
        last=$(now_of $guest)
        break_at $point revert $guest rested
        said=$(recover $guest) && no_record
        result $? "internal, at rest, killed at $point: recover" "$said"
        [ $point != revert:internal ] || last=${held[$guest.rested]}
        [ "$(now_of $guest)" = "$last" ]
        result $? "internal, at rest, killed at $point: it is where it should be" "$(now_of $guest), not $last: $said"
    done
    remove $guest
}

refused() { # guest name text arguments...
    refuses "$1" 1 "$3" revert "$1" "$2" "${@:4}"
}
make_plain() { # guest
    qemu-img create -q -f qcow2 "$DISKS/$1.img" 16M
    define_guest "$1" "$(disk_xml vda qcow2 "$DISKS/$1.img")${2:-}" || exit 1
    tool checkpoint "$1" --name one >"$DIR/said"
    result $? "$1: a checkpoint is made" "$(cat "$DIR/said")"
}

test_refusals() {
    local guest=plain disk=$DISKS/plain.img said
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
    $VIRSH snapshot-delete "$NAME-told" one --metadata >/dev/null
    if [ "$(files_of_checkpoint told two)" = "$DISKS/told.img.one" ]; then
        said=$(revert told two)
        result $? "libvirt has forgotten an older one: back to the next" "$said"
    else # libvirt 9.0 takes it for merged
        refused told two 'does not stand on the disk of checkpoint two'
    fi
    remove told
    make_plain merged
    $VIRSH blockcommit "$NAME-merged" vda --active --pivot --wait >/dev/null
    refused merged one 'as well: it may have been written to since'
    remove merged
    qemu-img create -q -f qcow2 "$DISKS/uefi.img" 16M
    SHUT=1 OS="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>" \
        define_guest uefi "$(disk_xml vda qcow2 "$DISKS/uefi.img")" || exit 1
    tool checkpoint uefi --name one --force >/dev/null
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
    make_writing_guest $guest qcow2 qcow2
    $VIRSH change-media "$NAME-$guest" sda "$DISKS/cd.iso" --insert --live --config >/dev/null
    make_checkpoint $guest cd
    $VIRSH change-media "$NAME-$guest" sda --eject --live --config >/dev/null
    rm "$DISKS/cd.iso"
    writes_on $guest 20 120
    said=$(revert $guest cd)
    [ $? -eq 1 ] && grep -q 'where it was again' <<<"$said"
    result $? "what cannot be gone to: it fails" "$said"
    goes_on $guest $boots "what cannot be gone to"
    [ "$(current_of $guest)" = "$(left_of $guest)" ] && ! ls "$DISKS/$guest"*.cd-* >/dev/null 2>&1
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
    make_writing_guest $guest qcow2 qcow2
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

layers_on_then() { find "$DISKS" -name "$1*.then-*" | sort; } # guest
# Wherever the command dies: the guest goes on from now, or is where it was to go.
test_kills() {
    local guest=killed point said boots=1 last
    make_writing_guest $guest qcow2 qcow2
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
        [ -z "$(layers_on_then $guest)" ] && no_record
        result $? "killed at $point: nothing of it is there" "$said, $(layers_on_then $guest)"
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
            no_record
        result $? "killed at $point: it is where it was to go" "$last, not ${held[$guest.then]}: $said"
        $VIRSH resume "$NAME-$guest"
        goes_on $guest $boots "killed at $point"
        said=$(revert $guest "$(left_of $guest)" --running)
        result $? "killed at $point: what was left is there" "$said"
        goes_on $guest $boots "killed at $point: what was left"
    done
    remove $guest
}

# The same to a checkpoint without memory, of a guest that runs and of one that does not. The command that
# lives through libvirtd's death may have to go back.
test_kills_at_rest() {
    local guest=rested state point
    make_writing_guest $guest qcow2 raw
    make_checkpoint $guest "then" --disk-only
    for state in running 'shut off'; do
        for point in revert:switch-noted revert:stopped revert:defined revert:is-current; do
            bring_to $guest running
            writes_on $guest 5 120
            bring_to $guest "$state"
            broken_at_rest $guest "$state" $point
        done
    done
    remove $guest
}
broken_at_rest() { # guest state point
    local guest=$1 state=$2 what="$2, broken at $3 by $broken_by" boots last said layers found
    local expected=${held[$guest.then]}
    boots=$(boots_of "$guest") layers=$(layers_on_then "$guest")
    last=$([ "$state" = running ] || now_of "$guest")
    break_at "$3" revert "$guest" "then"
    found=$?
    said=$(recover "$guest") && no_record
    result $? "$what: recover" "$said"
    said+=$(cat "$DIR/said")
    if [ "$broken_by" = libvirtd ] && [ "$(current_of "$guest")" != "then" ]; then
        [ "$(state_of "$guest")" = "$state" ] && [ "$(layers_on_then "$guest")" = "$layers" ] &&
            [ $found -eq 1 ] && grep -q 'stays where it was' <<<"$said"
        result $? "$what: it is where it was, which is told" "status $found: $said"
        case $state in
        running) goes_on "$guest" "$boots" "$what" ;;
        *)
            said=$(now_of "$guest") && [ "$said" = "$last" ]
            result $? "$what: the disks, too" "$said, not $last"
            ;;
        esac
        return
    fi
    last=$(now_of "$guest")
    [ "$last" = "$expected" ] && [ "$(current_of "$guest")" = "then" ] && [ "$(state_of "$guest")" = 'shut off' ]
    result $? "$what: it is where it was to go" "$last, not $expected; $(state_of "$guest"): $said"
    said=$(revert "$guest" "$(left_of "$guest")")
    result $? "$what: what was left is there" "$said"
}

# It is where it was to go, with what was left behind, or goes on from now.
one_or_the_other() { # guest boots description layers-before
    local guest=$1 boots=$2 what=$3 last said
    if [ "$(current_of "$guest")" != "then" ]; then
        goes_on "$guest" "$boots" "$what"
        [ "$(layers_on_then "$guest")" = "$4" ]
        result $? "$what: nothing of it is there" "$(layers_on_then "$guest"), not $4"
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
    local guest=restarted point said before
    has_own_libvirtd || return
    make_writing_guest $guest qcow2 qcow2
    make_checkpoint $guest "then"
    make_checkpoint $guest later --disk-only
    for point in revert:written-down revert:layer-made revert:suspended checkpoint:written-down \
        checkpoint:made revert:left-kept revert:switch-noted revert:stopped revert:defined revert:is-current revert:started; do
        bring_to $guest running
        before=$(layers_on_then $guest)
        through_restart $point revert $guest "then" --paused
        said="status $?, $(cat "$DIR/said")"
        said+=$(recover $guest) && no_record
        result $? "libvirtd dies at $point: recover" "$said"
        one_or_the_other $guest 1 "libvirtd dies at $point" "$before"
    done
    remove $guest
    rm -f "$DISKS"/rested* # of the guest of before
    broken_by=libvirtd test_kills_at_rest
    test_restart_internal
}
test_restart_internal() {
    local guest=restarted boots said point
    make_writing_guest $guest qcow2 qcow2
    make_checkpoint $guest inside --internal
    boots=$(boots_of $guest)
    for point in revert:left-kept revert:internal-begun; do
        writes_on $guest 20 120
        through_restart $point revert $guest inside
        said="status $?, $(cat "$DIR/said")"
        said+=$(recover $guest) && no_record
        result $? "internal, libvirtd dies at $point: recover" "$said"
        goes_on $guest "$boots" "internal, libvirtd dies at $point"
    done
    writes_on $guest 20 120
    boots=$(boots_of $guest)
    through_restart revert:internal revert $guest inside
    said="status $?, $(cat "$DIR/said")"
    said+=$(recover $guest) && [ "$(current_of $guest)" = inside ] && no_record
    result $? "internal, libvirtd dies when it has gone back: it is there" "$said"
    goes_on $guest "$boots" "internal, libvirtd dies when it has gone back"
    remove $guest
}

# It is there, and dies while what was left behind goes.
test_discard_kills() {
    local guest=discards point said boots left what
    make_writing_guest $guest qcow2 qcow2
    make_checkpoint $guest "then"
    for point in merge:written-down branch:relinked branch:metadata-gone merge:file-removed; do
        what="--discard, killed at $point"
        writes_on $guest 20 120
        boots=$(boots_of $guest)
        break_at $point revert $guest "then" --discard
        said=$(recover $guest) && no_record && [ "$(current_of $guest)" = "then" ]
        result $? "$what: it is where it was to go" "$said, $(current_of $guest)"
        goes_on $guest "$boots" "$what"
        left=$(left_of $guest)
        if [ -n "$left" ]; then
            said=$(tool delete-checkpoint $guest "$left") && [ $point = merge:written-down ]
            result $? "$what: what was left is whole, and goes" "$said"
        fi
        [ "$(checkpoints_of $guest)" = "then" ] && ! ls "$DISKS/$guest"*.left-* >/dev/null 2>&1
        result $? "$what: nothing is left of it" "$(checkpoints_of $guest), $(ls "$DISKS")"
    done
    $VIRSH suspend "$NAME-$guest"
    said=$(now_of $guest)
    result $? "--discard, killed: no record is missing" "$said"
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
    said=$(recover $guest) && [ "$(state_of $guest)" = running ] &&
        [ "$(current_of $guest)" = one ] && no_record
    result $? "twice: the guest runs after recover, where it was to go" "$(state_of $guest), $said"
    remove $guest
}

# Both within a second, after which what they leave is called.
test_at_once() {
    local guest=fast said
    qemu-img create -q -f qcow2 "$DISKS/$guest.img" 16M
    SHUT=1 define_guest $guest "$(disk_xml vda qcow2 "$DISKS/$guest.img")" || exit 1
    tool checkpoint $guest --name one >/dev/null
    said=$(revert $guest one) && said+=$(revert $guest one) && said+=$(revert $guest one) &&
        [ "$(checkpoints_of $guest | grep -o 'left-' | wc -l)" -eq 3 ]
    result $? "three at once: each leaves a checkpoint" "$said, $(checkpoints_of $guest)"
    remove $guest
}

# libvirt renames a domain with its checkpoints, and defines none of them by another name.
test_renamed() {
    local guest=renamed said
    make_plain $guest
    $VIRSH destroy "$NAME-$guest"
    $VIRSH domrename "$NAME-$guest" "$NAME-called"
    refused called one "was called $NAME-$guest when"
    [ "$(checkpoints_of called)" = one ] && no_record
    result $? "renamed: nothing has changed" "$(checkpoints_of called)"
    $VIRSH domrename "$NAME-called" "$NAME-$guest"
    said=$(tool revert $guest one)
    result $? "renamed back: it goes back" "$said"
    remove $guest
}

# Started in the moment before a stopped domain is defined for the checkpoint: it runs on, and its next
# start is where it runs.
test_started() {
    local guest=early name how file left pid
    make_plain $guest
    tool checkpoint $guest --name disk --disk-only >/dev/null
    for name in one disk; do
        for how in started 'started, and writes'; do
            bring_to $guest 'shut off'
            left=$(ls "$DISKS")
            hold_command revert:stopped revert $guest $name
            $VIRSH start "$NAME-$guest"
            file=$(file_of $guest vda)
            [ "$how" = started ] || touch "$file"
            go_on
            [ $? -eq 1 ] && no_record
            result $? "$how before it is defined for $name: that is told" "$(cat "$DIR/said")"
            [ "$(state_of $guest)" = running ] && [ "$(file_of $guest vda)" = "$file" ] &&
                [ "$(file_of $guest vda --inactive)" = "$file" ]
            result $? "$how before it is defined for $name: it starts next where it runs" \
                "$(state_of $guest), $file, $(file_of $guest vda --inactive)"
            [ "$(current_of $guest)" = "$(left_of $guest)" ] &&
                [ "$(diff <(echo "$left") <(ls "$DISKS") | grep '^>')" = "> ${file##*/}" ]
            result $? "$how before it is defined for $name: nothing is left of the way" "$(current_of $guest), $(ls "$DISKS")"
        done
    done
    remove $guest
}

# Undefined while its way back was broken off: there is nobody to put anything back to.
test_gone() {
    local guest=gone
    make_plain $guest
    ended_by_undefine revert:defined revert $guest one
    make_plain $guest
    $VIRSH destroy "$NAME-$guest"
    tool checkpoint $guest --name in --internal >/dev/null
    ended_by_undefine revert:internal-begun revert $guest in --discard
}
ended_by_undefine() { # point command guest arguments...
    local point=$1 guest=$3 files said
    break_at "$@"
    files=$(ls "$DISKS")
    remove "$guest"
    said=$(recover "$guest") && grep -q 'given up, as the domain has gone' <<<"$said"
    result $? "undefined at $point: that is told" "$said"
    [ "$(ls "$DISKS")" = "$files" ] && no_record
    result $? "undefined at $point: the files stay" "$(ls "$DISKS")"
    rm -f "$DISKS/$guest".img*
}

build_writing_contents
run_cells across internal internal_kills refusals renamed started gone back after_deletion kills kills_at_rest \
    discard_kills restarts restarts_missed twice at_once
echo "1..$count"
[ "$failures" -eq 0 ]
