#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nova-snapshot domain image on domains of this host's libvirt. Needs root. TAP.
# Killed at the points of domain/; KILLS=all: at those of the driver, which has tests of its own, too.
# CELLS="writes restarts": those alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/writing_guest.sh
. tests/integration/lib/writing_guest.sh
# shellcheck source=tests/integration/lib/restart.sh
. tests/integration/lib/restart.sh
STATE=$DIR/state
DISKS=$DIR/disks # of no nova
TOOL=$BUILD/nova-snapshot
mkdir "$DISKS"
make -s BUILD="$BUILD" "$TOOL" || exit 1

tool() { "$TOOL" domain image "$@" --state-dir "$STATE" 2>&1; }
job_of() { $VIRSH domjobinfo "$NAME-$1" 2>&1 | head -n 1; }
whole_picture() { # guest
    picture "$1"
    $VIRSH checkpoint-list --name "$NAME-$1" 2>&1
    [ "$(state_of "$1")" = "shut off" ] || job_of "$1"
}
nothing_left() { # description
    local left
    left=$(find "$STATE/work" "$STATE/records" -type f 2>/dev/null; find "$DIR" -name '*.partial')
    [ -z "$left" ]
    result $? "$1: no file of ours is left" "$left"
}
left_as_before() { # guest description picture-before
    local after
    after=$(whole_picture "$1")
    [ "$3" = "$after" ]
    result $? "$2: the domain is as it was" "$(diff <(echo "$3") <(echo "$after"))"
    nothing_left "$2"
}
same() { # image format disk format description
    local said
    said=$(qemu-img compare -U -f "$2" -F "$4" "$1" "$3" 2>&1)
    result $? "$5" "$said"
}
kill_at() { # point arguments...: the tool dies there
    local point=$1
    shift
    rm -f "$STATE/failpoint.reached"
    echo "$point kill" >"$STATE/failpoint"
    (tool "$@" >"$DIR/said") 2>"$DIR/shells" # which tells that it was killed
    [ $? -eq 137 ] && [ ! -e "$STATE/failpoint" ]
}

# A guest of two disks, one of them on a raw base image.
make_guest() { # name
    qemu-img create -q -f raw "$DISKS/$1.base" 64M
    qemu-io -f raw -c 'write -q -P 0xba 0 8M' "$DISKS/$1.base"
    qemu-img create -q -f qcow2 -b "$DISKS/$1.base" -F raw "$DISKS/$1.vda"
    qemu-img create -q -f qcow2 "$DISKS/$1.vdb" 32M
    define_guest "$1" "$(disk_xml vda qcow2 "$DISKS/$1.vda")$(disk_xml vdb qcow2 "$DISKS/$1.vdb")
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>" || exit 1
    write_disk "$1" 0x11 20M 3M
}

# image FORMAT DESCRIPTION arguments...: of guest "plain", compared with its disk.
image() {
    local format=$1 description=$2 before said
    shift 2
    rm -f "$DIR/image"
    before=$(whole_picture plain)
    said=$(tool "$NAME-plain" -o "$DIR/image" --format "$format" "$@") || {
        result 1 "$description" "$said"
        return
    }
    flush plain
    same "$DIR/image" "$format" "$DISKS/plain.vda" qcow2 "$description"
    left_as_before plain "$description" "$before"
}
refused() { # status text description arguments...
    local status=$1 text=$2 description=$3 before said found
    shift 3
    before=$(whole_picture plain)
    said=$(tool "$@")
    found=$?
    [ $found -eq "$status" ] && grep -qF -- "$text" <<<"$said"
    result $? "refused: $description" "status $found, not $status: $said"
    left_as_before plain "refused: $description" "$before"
}

# What virsh has: a job of QEMU's that writes a file by itself.
virsh_backup() { # guest file
    $VIRSH backup-begin "$NAME-$1" /dev/stdin 2>&1 <<<"<domainbackup mode='push'><disks>
        <disk name='vda' type='file'><target file='$2'/><driver type='qcow2'/></disk>
        <disk name='vdb' backup='no'/></disks></domainbackup>"
}

# A folder that QEMU's user may not enter.
test_closed_folder() {
    local said
    mkdir -m 700 "$DIR/closed"
    said=$(virsh_backup plain "$DIR/closed/virsh")
    result $((! $?)) "virsh cannot write into a folder that is closed to QEMU" "$said"
    said=$(tool "$NAME-plain" -o "$DIR/closed/image")
    result $? "the tool can" "$said"
    flush plain
    same "$DIR/closed/image" qcow2 "$DISKS/plain.vda" qcow2 "into a folder that is closed to QEMU"
}

test_one_disk() {
    local format method said
    make_guest plain
    test_closed_folder
    for format in qcow2 raw vmdk vdi; do
        write_disk plain 0x2$((RANDOM % 10)) 30M 1M
        image $format "running, as $format"
    done
    image qcow2 "running, compressed" --compress
    for method in stream blockcopy blockrebase cold; do
        image qcow2 "running, by $method" --method $method
        [ "$(state_of plain)" = running ]
        result $? "by $method: the guest runs" "$(state_of plain)"
    done
    $VIRSH suspend "$NAME-plain"
    image qcow2 paused
    $VIRSH resume "$NAME-plain"
    "$TOOL" domain image "$NAME-plain" -o - --format raw --state-dir "$STATE" 2>"$DIR/said" |
        dd of="$DIR/piped" bs=64k iflag=fullblock status=none
    flush plain
    same "$DIR/piped" raw "$DISKS/plain.vda" qcow2 "into a pipe"
    grep -qF "$(sha256sum "$DIR/piped" | cut -d' ' -f1)" "$DIR/said"
    result $? "into a pipe: its SHA-256 is told" "$(cat "$DIR/said")"
    said=$("$TOOL" domain image "$NAME-plain" -o - --format raw --state-dir "$STATE" 2>&1 >/dev/full)
    result $((! $?)) "a pipe that takes no more: fails" "$said"
    nothing_left "a pipe that takes no more"
    "$TOOL" domain image "$NAME-plain" -o - --state-dir "$STATE" 2>"$DIR/said" >&-
    [ $? -eq 2 ] && grep -q 'standard output is closed' "$DIR/said"
    result $? "standard output that is closed is refused" "$(cat "$DIR/said")"
    rm -f "$DIR/image"
    tool "$(uuid_of plain)" -o "$DIR/image" --disk vdb >/dev/null
    same "$DIR/image" qcow2 "$DISKS/plain.vdb" qcow2 "the disk that is named, of a domain's uuid"
}

test_refusals() {
    refused 1 'is there already' "a file that is there" "$NAME-plain" -o "$DIR/image"
    refused 4 'there is no domain' "a domain that there is not" "$NAME-none" -o "$DIR/new"
    refused 1 'no disk vdq' "a disk that there is not" "$NAME-plain" -o "$DIR/new" --disk vdq
    refused 1 'no checkpoint never' "a checkpoint that there is not" "$NAME-plain" -o "$DIR/new" \
        --incremental-since never
    refused 2 'one disk, not all' "all disks into one pipe" "$NAME-plain" -o - --all-disks
    refused 2 'a qcow2 image' "a raw increment" "$NAME-plain" -o "$DIR/new" --format raw \
        --incremental-since one
    refused 2 'takes no --socket' "a socket of an agent" "$NAME-plain" -o "$DIR/new" --socket /nowhere
    refused 1 'guest agent' "a freeze without an agent" "$NAME-plain" -o "$DIR/new" --quiesce
    refused 1 'cannot find the folder' "a folder that there is not" "$NAME-plain" -o "$DIR/no/new"
    [ ! -e "$DIR/new" ]
    result $? "refused: nothing was made"
}

test_stopped() {
    local format said
    $VIRSH destroy "$NAME-plain"
    said=$(virsh_backup plain "$DIR/virsh")
    result $((! $?)) "virsh makes no image of a stopped domain" "$said"
    for format in qcow2 raw vmdk; do
        image $format "stopped, as $format"
    done
    image qcow2 "stopped, compressed" --compress
    tool "$NAME-plain" --all-disks -o "$DIR/rested" >"$DIR/said"
    result $? "stopped, all disks" "$(cat "$DIR/said")"
    same "$DIR/rested/vda.qcow2" qcow2 "$DISKS/plain.vda" qcow2 "stopped, all disks: the first"
    same "$DIR/rested/vdb.qcow2" qcow2 "$DISKS/plain.vdb" qcow2 "stopped, all disks: the second"
    refused 1 'does not run' "a checkpoint of a stopped guest" "$NAME-plain" -o "$DIR/new" \
        --checkpoint one
    remove plain
}

# The number of the last record in an image of one of the guest's disks.
last_record() { # image content
    qemu-img convert -O raw "$1" "$DIR/flat" && tests/integration/lib/prefix.py "$2" "$DIR/flat" 2>&1
}
is_prefix() { # image content description: the number in $last
    last=$(last_record "$1" "$2")
    [[ $last =~ ^[0-9]+$ ]]
    result $? "$3: the disk of one instant" "$last"
}

make_writing_guest() { # name
    local disk
    if [ ! -e "$DISKS/content" ]; then
        build_writing_guest
        build_writing_content "$DISKS/content"
        build_writing_content "$DISKS/content2" 'other of a writing guest'
    fi
    for disk in '' 2; do
        qemu-img create -q -f qcow2 -b "$DISKS/content$disk" -F raw "$DISKS/$1$disk"
    done
    define_writing_guest "$1" "$(disk_xml vda qcow2 "$DISKS/$1")
        $(disk_xml vdb qcow2 "$DISKS/${1}2")" || exit 1
    writes_on "$1" 50 240
    result $? "$1: the guest writes" "$(cat "$(console_of "$1")")"
}

test_one_instant() {
    local last first before said
    make_writing_guest writes
    before=$(whole_picture writes)
    tool "$NAME-writes" --all-disks -o "$DIR/set" >"$DIR/said"
    result $? "all disks of a guest that writes" "$(cat "$DIR/said")"
    is_prefix "$DIR/set/vda.qcow2" "$DISKS/content" "all disks, the first"
    first=$last
    is_prefix "$DIR/set/vdb.qcow2" "$DISKS/content2" "all disks, the second"
    [ "$first" -gt 0 ] && [ $((first - last)) -ge 0 ] && [ $((first - last)) -le 1 ]
    result $? "all disks are of one instant: records $first and $last"
    left_as_before writes "all disks" "$before"
    writes_on writes 20 60
    result $? "the guest writes on"
}

# A full image and two increments, each of its own instant, of both disks.
test_increments() {
    local i last first sums=() since=() dir=$DIR/chain
    mkdir "$dir"
    for i in 1 2 3; do
        [ $i -gt 1 ] && since=(--incremental-since "cp$((i - 1))")
        tool "$NAME-writes" --all-disks -o "$dir/$i" --checkpoint "cp$i" "${since[@]}" >"$DIR/said"
        result $? "image $i of a chain" "$(cat "$DIR/said")"
        sums+=("$(sha256sum "$dir/$i/vda.qcow2" "$dir/$i/vdb.qcow2")")
        writes_on writes 30 60
    done
    for i in 1 2 3; do
        is_prefix "$dir/$i/vda.qcow2" "$DISKS/content" "image $i of a chain, the first disk"
        [ "$last" -gt "${first:-0}" ]
        result $? "image $i of a chain is of a later instant: record $last"
        first=$last
        is_prefix "$dir/$i/vdb.qcow2" "$DISKS/content2" "image $i of a chain, the second disk"
        [ $((first - last)) -ge 0 ] && [ $((first - last)) -le 1 ]
        result $? "image $i of a chain: both of one instant"
        [ "${sums[$((i - 1))]}" = "$(sha256sum "$dir/$i/vda.qcow2" "$dir/$i/vdb.qcow2")" ]
        result $? "image $i of a chain is what it was"
    done
    [ "$(stat -c %s "$dir/3/vda.qcow2")" -lt $(($(stat -c %s "$dir/1/vda.qcow2") / 2)) ]
    result $? "an increment is smaller than half of a full image" "$(ls -l "$dir"/*/)"
    test_chain "$dir"
    refused_of_chain "$dir"
}

test_chain() { # folder
    local said
    said=$(tool "$NAME-writes" -o "$1/3/vda.qcow2" --chain-verify)
    result $? "a chain without fault is verified" "$said"
    [ "$(grep -c 'finds no fault' <<<"$said")" -eq 3 ]
    result $? "each of its layers is" "$said"
    [ "$(grep -c 'made on the next$' <<<"$said")" -eq 2 ]
    result $? "both increments are known to stand on what they were made on" "$said"
    cp "$1/2/vda.qcow2" "$DIR/kept"
    qemu-io -f raw -c 'write -q -P 0xff 64k 4k' "$1/2/vda.qcow2" # its refcount table
    said=$(tool "$NAME-writes" -o "$1/3/vda.qcow2" --chain-verify)
    [ $? -eq 1 ] && grep -q '2/vda.qcow2' <<<"$said"
    result $? "a damaged layer is found" "$said"
    cp "$1/1/vda.qcow2" "$1/2/vda.qcow2"
    said=$(tool "$NAME-writes" -o "$1/3/vda.qcow2" --chain-verify)
    [ $? -eq 1 ] && grep -q '3/vda.qcow2 stands on another image .*2/vda.qcow2' <<<"$said"
    result $? "another image under the name of a layer is found" "$said"
    rm "$1/2/vda.qcow2"
    said=$(tool "$NAME-writes" -o "$1/3/vda.qcow2" --chain-verify)
    [ $? -eq 1 ] && grep -q '2/vda.qcow2' <<<"$said"
    result $? "a layer that has gone is missed" "$said"
    cp "$DIR/kept" "$1/2/vda.qcow2"
}

refused_of_chain() { # folder
    local said
    said=$(tool "$NAME-writes" -o "$DIR/again.qcow2" --checkpoint cp3)
    [ $? -eq 1 ] && grep -q 'has a checkpoint cp3 already' <<<"$said"
    result $? "a second checkpoint of a name is refused" "$said"
    [ "$($VIRSH checkpoint-list --name "$NAME-writes" | grep -c cp)" -eq 3 ]
    result $? "the first one stays"
    mv "$1/3/vda.qcow2" "$DIR/away"
    said=$(tool "$NAME-writes" -o "$DIR/again.qcow2" --incremental-since cp3)
    [ $? -eq 1 ] && grep -q '3/vda.qcow2' <<<"$said"
    result $? "an increment on an image that has gone is refused" "$said"
    cp "$1/3/vdb.qcow2" "$1/3/vda.qcow2"
    said=$(tool "$NAME-writes" -o "$DIR/again.qcow2" --incremental-since cp3)
    [ $? -eq 1 ] && grep -q 'is another image than the one of disk vda' <<<"$said"
    result $? "an increment on another image is refused" "$said"
    mv "$DIR/away" "$1/3/vda.qcow2"
}

# killed POINT arguments...: and the next command brings all back.
killed() {
    local point=$1 before said is_whole='' files
    shift
    rm -rf "$DIR/new" "$DIR/after"
    before=$(whole_picture writes)
    kill_at "$point" "$NAME-writes" -o "$DIR/new" "$@" || {
        result 1 "$point: is come by ($*)" "$(cat "$DIR/said")"
        rm -f "$STATE/failpoint"
        return
    }
    said=$(tool "$NAME-writes" -o "$DIR/after" --disk vdb)
    result $? "killed at $point ($*): the next command works" "$said"
    case $point in # all was there but the name
    domain:complete | domain:guest-is-back | domain:file-settled) is_whole=1 ;;
    esac
    mapfile -t files < <(find "$DIR/new" -type f 2>/dev/null)
    case "$is_whole $*" in
    '1 '*--all-disks*) [ ${#files[@]} -eq 2 ] ;;
    '1 '*) [ ${#files[@]} -eq 1 ] ;;
    *) [ ! -e "$DIR/new" ] ;;
    esac
    result $? "killed at $point ($*): whole images or none" "$(ls -lR "$DIR/new" 2>&1)"
    [ -n "$is_whole" ] && is_prefix "$(printf '%s\n' "${files[@]}" | grep -v 'vdb\.qcow2$')" \
        "$DISKS/content" "killed at $point ($*)"
    case "$is_whole $*" in
    '1 '*--checkpoint*) $VIRSH checkpoint-delete "$NAME-writes" new >/dev/null ;;
    esac
    left_as_before writes "killed at $point ($*)" "$before"
    writes_on writes 5 60
    result $? "killed at $point ($*): the guest writes on"
}
points_of() { grep -hoE "failpoint\(\"$1:[a-z-]+\"\)" domain/*.c driver/*/*.c | cut -d'"' -f2 | sort -u; }
driver_points() { [ "${KILLS:-}" != all ] || points_of "$1"; }

# Of a domain without checkpoints, which is not undefined.
test_kills_of_blockrebase() {
    local point
    for point in $(driver_points live); do
        case $point in live:converted | live:image-written-down) continue ;; esac
        killed "$point" --method blockrebase
    done
}

points_of_one_disk() { points_of domain | grep -vE ':(folder-made|job-.*)$'; }
points_of_set() { points_of domain | grep -vx domain:extracted; }

test_kills() {
    local point
    for point in $(driver_points stream) $(points_of_one_disk); do
        case $point in domain:extracted) killed "$point" --compress ;; *) killed "$point" ;; esac
    done
    for point in $(driver_points live | grep -E ':(converted|image-written-down)$'); do
        killed "$point" --compress
    done
    for point in $(driver_points cold); do
        killed "$point" --method cold
    done
}

test_kills_of_set() {
    local point
    for point in $(driver_points stream) $(points_of_set); do
        case $point in stream:connected | stream:mapped | stream:job-ended) continue ;; esac # of one disk
        killed "$point" --all-disks --checkpoint new --incremental-since cp3
    done
}

# A whole image or none, as it is told, and a guest that writes on without a job.
restarted() { # point arguments...
    local point=$1 guest=restarted what before said found files
    shift
    what="libvirtd dies at $point${*:+ ($*)}"
    rm -rf "$DIR/new"
    before=$(whole_picture $guest)
    through_restart "$point" tool "$NAME-$guest" -o "$DIR/new" "$@"
    found=$?
    said=$(recover "$NAME-$guest")
    result $? "$what: recover" "$said"
    mapfile -t files < <(find "$DIR/new" -type f 2>/dev/null)
    if [ $found -eq 0 ] || [ ${#files[@]} -gt 0 ]; then
        is_prefix "$(printf '%s\n' "${files[@]}" | grep -v 'vdb\.qcow2$')" "$DISKS/content" "$what"
    fi
    left_as_before $guest "$what" "$before"
    writes_on $guest 5 60
    result $? "$what: the guest writes on" "status $found: $(cat "$DIR/said")"
    [ $found -eq 0 ] || { rm -rf "$DIR/new" && said=$(tool "$NAME-$guest" -o "$DIR/new" "$@"); }
    result $? "$what: the next one makes it" "$said"
}
test_restarts() {
    local point
    has_own_libvirtd || return
    make_writing_guest restarted
    for point in $(points_of_one_disk); do
        restarted "$point"
        [ "$point" != domain:extracted ] || restarted "$point" --compress
    done
    for point in $(points_of_set); do restarted "$point" --all-disks; done
    remove restarted
}

recover() { # arguments...
    "$TOOL" domain recover "$@" --state-dir "$STATE" 2>&1
}

# Killed while libvirt has no definition of the guest, which then ends.
test_lost_domain() {
    local before said
    make_guest lost
    before=$($VIRSH dumpxml --inactive --security-info "$NAME-lost")
    for again in recover image; do
        [ "$(state_of lost)" = running ] || $VIRSH start "$NAME-lost"
        kill_at live:undefined "$NAME-lost" -o "$DIR/new" --method blockrebase
        result $? "lost: killed" "$(cat "$DIR/said")"
        $VIRSH destroy "$NAME-lost"
        $VIRSH dominfo "$NAME-lost" >/dev/null 2>&1
        result $((! $?)) "lost: libvirt does not know the domain"
        rm -f "$DIR/image"
        case $again in
        recover) said=$(recover "$NAME-lost") && grep -q "^$NAME-lost: undone$" <<<"$said" ;;
        image) said=$(tool "$NAME-lost" -o "$DIR/image") ;;
        esac
        result $? "lost: it is found by its name ($again)" "$said"
        [ "$(state_of lost)" = "shut off" ] &&
            [ "$before" = "$($VIRSH dumpxml --inactive --security-info "$NAME-lost")" ]
        result $? "lost: its definition is back ($again)" "$(state_of lost)"
        nothing_left "lost ($again)"
    done
    same "$DIR/image" qcow2 "$DISKS/lost.vda" qcow2 "lost: the image"
    said=$(recover --all) && [ -z "$said" ]
    result $? "lost: nothing is left to undo" "$said"
    test_lost_checkpoint
    remove lost
}

# A checkpoint that has no image, of a guest that has ended since: QEMU alone could remove it.
test_lost_checkpoint() {
    local said
    $VIRSH start "$NAME-lost"
    kill_at domain:file-made "$NAME-lost" --all-disks -o "$DIR/new" --checkpoint lost
    result $? "a checkpoint of a guest that ends: killed" "$(cat "$DIR/said")"
    $VIRSH destroy "$NAME-lost"
    rm -f "$DIR/image"
    said=$(tool "$NAME-lost" -o "$DIR/image")
    result $? "a checkpoint of a guest that ends is in nobody's way" "$said"
    same "$DIR/image" qcow2 "$DISKS/lost.vda" qcow2 "a checkpoint of a guest that ends: the image"
    said=$(recover --all)
    grep -q 'undone but for a checkpoint' <<<"$said"
    result $? "a checkpoint of a guest that ends is kept in mind" "$said"
    $VIRSH start "$NAME-lost"
    said=$(recover "$NAME-lost") && [ -z "$($VIRSH checkpoint-list --name "$NAME-lost")" ]
    result $? "a checkpoint of a guest that ends: goes when it runs" "$said"
    nothing_left "a checkpoint of a guest that ends"

    kill_at domain:file-made "$NAME-lost" --all-disks -o "$DIR/new" --checkpoint lost
    result $? "a checkpoint whose bitmap is lost: killed" "$(cat "$DIR/said")"
    kill -KILL "$(cat "/run/libvirt/qemu/$NAME-lost.pid")" # QEMU stores it when it ends
    for _ in $(seq 300); do
        [ "$(state_of lost)" = 'shut off' ] && break
        sleep 0.1
    done
    $VIRSH start "$NAME-lost"
    said=$(recover "$NAME-lost") && grep -q 'libvirt has forgotten the checkpoint' <<<"$said" &&
        [ -z "$($VIRSH checkpoint-list --name "$NAME-lost")" ]
    result $? "a checkpoint whose bitmap is lost: libvirt forgets it" "$said"
    nothing_left "a checkpoint whose bitmap is lost"
}

# Nobody reads the pipe: what is interrupted ends all the same.
test_stalled_pipe() {
    local before pid
    before=$(whole_picture writes)
    mkfifo "$DIR/pipe"
    exec 9<>"$DIR/pipe"
    "$TOOL" domain image "$NAME-writes" -o - --state-dir "$STATE" >"$DIR/pipe" 2>"$DIR/said" 9>&- &
    pid=$!
    dd of="$DIR/piped" bs=4k count=1 status=none <&9 # it is being written
    kill -TERM $pid
    for _ in $(seq 300); do
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL $pid 2>/dev/null
    result $((! $?)) "a pipe that nobody reads: it ends when it is told to" "$(cat "$DIR/said")"
    wait $pid
    exec 9>&-
    left_as_before writes "a pipe that nobody reads" "$before"
}

test_lock_and_interrupt() {
    local said pid
    rm -rf "$DIR/new" "$STATE/failpoint.reached"
    before=$(whole_picture writes)
    echo "domain:file-made hold" >"$STATE/failpoint"
    "$TOOL" domain image "$NAME-writes" -o "$DIR/new" --state-dir "$STATE" >"$DIR/said" 2>&1 &
    pid=$!
    for _ in $(seq 600); do
        [ -e "$STATE/failpoint.reached" ] && break
        sleep 0.1
    done
    said=$(tool "$NAME-writes" -o "$DIR/second")
    [ $? -eq 1 ] && grep -q "another process, $pid," <<<"$said"
    result $? "two at once are refused" "$said"
    said=$(recover --all) && grep -q "another process, $pid," <<<"$said" && kill -0 $pid
    result $? "recover, as the timer starts it, leaves it alone" "$said"
    kill -INT $pid
    rm -f "$STATE/failpoint"
    wait $pid
    [ $? -eq 1 ] && grep -q 'interrupted by signal 2' "$DIR/said"
    result $? "interrupted: told" "$(cat "$DIR/said")"
    [ ! -e "$DIR/new" ]
    result $? "interrupted: no image"
    left_as_before writes "interrupted" "$before"
}

# What virsh has made, and what an image was made with.
test_checkpoints() {
    local said
    make_guest past
    $VIRSH snapshot-create-as "$NAME-past" first >/dev/null
    $VIRSH snapshot-create-as "$NAME-past" second --memspec "file=$DISKS/second.memory" \
        --diskspec "vda,file=$DISKS/second.vda" --diskspec vdb,snapshot=no >/dev/null
    tool "$NAME-past" -o "$DIR/monday" --checkpoint monday >/dev/null
    said=$("$TOOL" domain checkpoints "$NAME-past" --tree 2>&1)
    result $? "checkpoints are listed" "$said"
    grep -qE '^  first +internal +with memory' <<<"$said"
    result $? "the first snapshot" "$said"
    grep -qE '^\*   second +external +with memory' <<<"$said"
    result $? "the second one, below it, is the current one" "$said"
    said=$("$TOOL" domain checkpoints "$NAME-past" --json 2>&1)
    [ "$(jq -r '.checkpoints[1].layers[] | select(.disk == "vda").path' <<<"$said")" = "$DISKS/past.vda" ]
    result $? "the layer that keeps the instant is told" "$said"
    [ "$(jq '.checkpoints[1].layers[] | select(.disk == "memory").size_on_disk_bytes' <<<"$said")" -gt 65536 ]
    result $? "what its memory takes is told" "$said"
    [ "$(jq -r '.present.layers[].path' <<<"$said" | xargs)" = "$DISKS/second.vda $DISKS/past.vdb" ]
    result $? "what the guest writes to now is told" "$said"
    rm "$DISKS/second.memory"
    said=$("$TOOL" domain checkpoints "$NAME-past" 2>&1)
    grep -qF "memory has gone: $DISKS/second.memory" <<<"$said"
    result $? "a file that has gone is told" "$said"
    remove past
}

test_plain() { # of a guest that no one runs in
    test_one_disk
    test_refusals
    test_stopped
}
test_writes() { # each on the guest of the one before
    test_one_instant
    test_kills_of_blockrebase
    test_lost_domain
    test_increments
    test_lock_and_interrupt
    test_stalled_pipe
    test_kills
    test_kills_of_set
    remove writes
}

mkdir -m 711 "$STATE"
run_cells plain writes restarts restarts_missed checkpoints
echo "1..$count"
[ "$failures" -eq 0 ]
