#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What nova-snapshot domain's --quiesce freezes: a real guest agent, a file system that is written to. ext4
# says on its disk whether its journal has to be replayed; of a frozen one it has not. Needs root. TAP.
# Not a part of make check: make domain-check.
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
guest=frozen
FROZEN='with its filesystems frozen'

# The system of the lab's guest: it writes to a file system, and has a guest agent.
make_guest() {
    local work=$DIR/os
    mkdir -p "$work/disk"
    unpack_kernel "$work"
    build_initramfs "$work" "$INITRAMFS"
    mv "$work"/kernel/boot/vmlinuz-* "$VMLINUZ"
    mke2fs -q -t ext4 -E lazy_itable_init=0 -d "$work/disk" "$work/raw" 64M >"$DIR/said" 2>&1
    qemu-img convert -f raw -O qcow2 "$work/raw" "$DISKS/$guest.img"
    qemu-img create -q -f qcow2 "$DISKS/${guest}2.img" 8M
    MEMORY=160 DEVICES="<channel type='unix'><source mode='bind'/>
        <target type='virtio' name='org.qemu.guest_agent.0'/></channel>" define_writing_guest $guest \
        "$(disk_xml vda qcow2 "$DISKS/$guest.img")$(disk_xml vdb qcow2 "$DISKS/${guest}2.img")" || exit 1
    for _ in $(seq 600); do
        [ "$(frozen_or_not)" = thawed ] && break
        sleep 0.2
    done
    is_thawed "the guest agent answers"
}
frozen_or_not() {
    $VIRSH qemu-agent-command "$NAME-$guest" '{"execute": "guest-fsfreeze-status"}' 2>&1 |
        sed 's/^{"return":"\(.*\)"}$/\1/'
}
is_thawed() { # description
    local said
    for _ in $(seq 100); do # libvirtd may have to find the agent again
        said=$(frozen_or_not)
        case $said in frozen | thawed) break ;; esac
        sleep 0.1
    done
    [ "$said" = thawed ]
    result $? "$1: the guest is not frozen" "$said"
}
# Whether the file system of this image or layer was left at rest: clean or to-be-replayed.
journal_of() { # file
    qemu-img convert -U -O raw "$1" "$DIR/flat" || return
    dumpe2fs -h "$DIR/flat" 2>&1 | grep -q '^Filesystem features:.* needs_recovery' && { echo to-be-replayed; return; }
    e2fsck -fn "$DIR/flat" >"$DIR/said" 2>&1 && echo clean
}
is_clean() { # file description
    local found
    found=$(journal_of "$1")
    [ "$found" = clean ]
    result $? "$2: its file system is at rest" "$found: $(cat "$DIR/said")"
}
image() { # arguments...
    rm -rf "$DIR/image"
    tool image $guest -o "$DIR/image" "$@"
}
checkpoint() { tool checkpoint $guest --disk-only "$@"; }

test_image() {
    local said
    said=$(image)
    said+=$(journal_of "$DIR/image")
    [[ $said = *to-be-replayed ]]
    result $? "not frozen: its file system is in the middle of something" "$said"
    said=$(image --quiesce) && grep -q "$FROZEN" <<<"$said"
    result $? "an image, and that it was frozen is told" "$said"
    is_clean "$DIR/image" "an image"
    is_thawed "an image"
    said=$(image --quiesce --all-disks) && grep -q "$FROZEN" <<<"$said"
    result $? "an image of two disks" "$said"
    is_clean "$DIR/image/vda.qcow2" "an image of two disks"
    is_thawed "an image of two disks"
    said=$(image --quiesce --method blockcopy) && grep -q "$FROZEN" <<<"$said"
    result $? "an image by blockcopy" "$said"
    is_clean "$DIR/image" "an image by blockcopy"
    is_thawed "an image by blockcopy"
}

# What ends while the guest is frozen.
test_broken() {
    local broken_by disks what said
    for broken_by in kill libvirtd; do
        [ "$broken_by" = kill ] || has_own_libvirtd || continue
        for disks in one all; do
            what="frozen, an image of $disks, broken by $broken_by"
            if [ $disks = all ]; then set -- --all-disks; else set --; fi
            break_at stream:frozen image --quiesce "$@"
            if [ "$broken_by" = kill ]; then
                [ "$(frozen_or_not)" = frozen ]
                result $? "$what: so it is" "$(frozen_or_not)"
            fi
            said=$(recover $guest)
            result $? "$what: recover" "$said"
            is_thawed "$what"
            forgotten "$what"
        done
    done
}

test_checkpoint() {
    local said
    said=$(checkpoint --name power-cut)
    said+=$(journal_of "$DISKS/$guest.img")
    [[ $said = *to-be-replayed ]]
    result $? "a checkpoint, not frozen: its file system is in the middle of something" "$said"
    said=$(checkpoint --name frozen --quiesce)
    result $? "a checkpoint" "$said"
    is_clean "$DISKS/$guest.img.power-cut" "a checkpoint"
    is_thawed "a checkpoint"
    said=$(tree_of $guest)
    grep -qE '^ +power-cut +external +power cut ' <<<"$said" && grep -qE '^\* +frozen +external +frozen ' <<<"$said"
    result $? "checkpoints: which of them is consistent is told" "$said"
}

# By somebody else: who does so counts on it.
test_others() {
    local command said
    $VIRSH domfsfreeze "$NAME-$guest" >/dev/null
    for command in "image $guest -o $DIR/other --quiesce" "checkpoint $guest --disk-only --quiesce --name other" \
        "save $guest -o $DIR/memory"; do
        # shellcheck disable=SC2086
        said=$(tool $command)
        [ $? -eq 1 ] && grep -q ': somebody else has frozen' <<<"$said"
        result $? "frozen by somebody else: ${command%% *} is refused" "$said"
        [ "$(frozen_or_not)" = frozen ] && [ "$(state_of $guest)" = running ]
        result $? "frozen by somebody else: ${command%% *} leaves it so" "$(frozen_or_not)"
        forgotten "frozen by somebody else: ${command%% *}"
    done
    $VIRSH domfsthaw "$NAME-$guest" >/dev/null
    $VIRSH suspend "$NAME-$guest"
    said=$(image --quiesce)
    [ $? -eq 1 ] && grep -q 'the guest stands still: it cannot be frozen' <<<"$said"
    result $? "a paused guest is refused" "$said"
    $VIRSH resume "$NAME-$guest"
    is_thawed "a paused guest"
}

make_guest
run_cells image broken checkpoint others
echo "1..$count"
[ "$failures" -eq 0 ]
