#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The life of each kind of checkpoint, of a guest in each state, on each kind of disk: made, listed,
# deleted, gone back to, or refused. Needs root. TAP, a line for each combination.
# Not a part of make check: make domain-check. CELLS="qcow2-internal two-*-memory-paused": those alone,
# of disks-where-what-state.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
# shellcheck source=tests/integration/lib/writing_guest.sh
. tests/integration/lib/writing_guest.sh
# shellcheck source=tests/integration/lib/checkpoints.sh
. tests/integration/lib/checkpoints.sh

# What cannot be, and the words it is refused with: the first that fits.
CANNOT_BE=(
    '*-memory-stopped' 'the domain does not run: there is no memory to keep'
    '*-internal-disk-[rp]*' 'an internal checkpoint of a domain that runs has its memory'
    'raw-internal-*' 'disk vda: it is not qcow2'
)
declare -A FORMATS=(
    [qcow2-external]=qcow2 [raw-external]=raw [two-external]='qcow2 raw'
    [qcow2-internal]=qcow2 [raw-internal]=raw [two-internal]='qcow2 qcow2'
)
OPERATIONS=(create list delete-middle delete-newest delete-oldest revert)
# They are made in this order; "kept" is the one that is gone back to.
AGES=(oldest middle kept newest)

# The combination at hand, and what was found wrong with it.
guest='' where='' what='' state='' is_in='' wrong=''
must() { # description command...
    local said
    said=$("${@:2}" 2>&1) || wrong+="$1: $said"$'\n'
}
equal() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }
name_of() { echo "$what-$state-$1"; }
state_is() { equal "$(state_of "$guest")" "$1"; }
same_record() { # record record: what is none may be the same text twice
    equal "$1" "$2" || return
    [[ $1 =~ ^[0-9]+$ ]] || { echo "$1"; return 1; }
}
now_is() { same_record "$(now_of "$guest")" "$1"; }
holds() { # age
    same_record "$(last_of_checkpoint "$guest" "$(name_of "$1")" "$where")" "${held[$guest.$(name_of "$1")]}"
}
resumes() { $VIRSH resume "$NAME-$guest"; }
nothing_is_written_down() { no_record || { cat "$STATE"/records/*; return 1; }; }
writes_on_by_itself() { # boots
    has_gone_on "$guest" "$1" && return
    echo "$(boots_of "$guest") boots: $(tail -n 3 "$(console_of "$guest")")"
    return 1
}
# A guest that runs stands still, and takes no time, while disks are read.
hold_still() { [ "$state" != running ] || $VIRSH suspend "$NAME-$guest"; }
let_run() { [ "$state" != running ] || $VIRSH resume "$NAME-$guest"; }
# Written since, so that no two checkpoints are the same, and in its state again.
write_more() {
    bring_to "$guest" running && writes_on "$guest" 20 240 && bring_to "$guest" "$is_in"
}

make_one() { # name
    local arguments=("--$what")
    [ "$what" = memory ] || arguments=(--disk-only)
    [ "$where" = external ] || arguments+=(--internal)
    tool checkpoint "$guest" --name "$1" "${arguments[@]}"
}
create() {
    local age name boots said
    for age in "${AGES[@]}"; do
        must "it writes" write_more
        name=$(name_of "$age") boots=$(boots_of "$guest")
        said=$(make_one "$name") || wrong+="$age is made: $said"$'\n'
        must "$age: how long it stood still is told" tells_standstill "$said"
        must "$age: the guest is as it was" state_is "$is_in"
        must "$age: it writes to the files that it should" writes_to_files_of "$name"
        must "$age: memory is kept where it should be" memory_is_kept "$name"
        [ "$state" != running ] || must "$age: it writes on" writes_on_by_itself "$boots"
        hold_still
        held[$guest.$name]=$(last_of_checkpoint "$guest" "$name" "$where")
        must "$age is of one instant" [ "${held[$guest.$name]}" -gt 0 ]
        [ "$state" = running ] || must "$age holds what there is" now_is "${held[$guest.$name]}"
        let_run
    done
    must "it writes" write_more
    must "no record is left" nothing_is_written_down
}
tells_standstill() { # what-was-said
    case "$what $state" in
    'memory running') grep -E 'stood still for [0-9]+\.[0-9]{3} s' <<<"$1" ;;
    'disk running') grep 'did not stand still' <<<"$1" ;;
    esac
}
writes_to_files_of() { # name
    local file
    for file in $(files_of "$guest"); do
        case $where in
        external) [[ $file = *."$1" ]] ;;
        internal) [[ $file = *.img ]] ;;
        esac || { echo "$file"; return 1; }
    done
}
memory_is_kept() { # name
    local mode=''
    [ "$where-$what" != external-memory ] || mode=600
    equal "$(find "$DISKS" -name "$guest*.$1.memory" -printf %m)" "$mode"
}

list() {
    local age name tree column last='' kept='power cut' star size='[0-9]' file
    [ "$where" != internal ] || size=- # which part of the disks' files is its own, nobody tells
    [ "$what" = disk ] || kept='with memory'
    [ "$state" != stopped ] || kept='at rest'
    tree=$(tree_of "$guest")
    for age in "${AGES[@]}"; do
        name=$(name_of "$age") star=' '
        [ "$age" != newest ] || star='\*'
        must "$age is listed" grep -qE "^$star +$name +$where +$kept +$size" <<<"$tree"
        column=$(awk -v name="$name " 'index($0, name) { print index($0, name) }' <<<"$tree")
        must "$age is below the one before" [ "$column" -eq "${last:-$column}" ]
        last=$((column + 2))
    done
    for file in $(files_of "$guest"); do
        must "what the guest writes to now is listed last" grep -qE "  [0-9.]+ [KMG]?i?B  $file$" \
            <<<"${tree##*$'\n> (now) '}"
    done
    [[ $tree != *'has gone'* && -z $wrong ]] || wrong+=$tree
}

delete() { # age
    local name current boots before='' age
    name=$(name_of "$1") current=$(current_of "$guest") boots=$(boots_of "$guest")
    [ "$state" = running ] || before=$(now_of "$guest")
    must "it is deleted" tool delete-checkpoint "$guest" "$name"
    must "it is gone" is_gone "$name"
    [ "$1" = newest ] || must "the current one is the current one" equal "$(current_of "$guest")" "$current"
    unset "held[$guest.$name]"
    must "the guest is as it was" state_is "$is_in"
    [ "$state" != running ] || must "it writes on" writes_on_by_itself "$boots"
    hold_still
    for age in "${AGES[@]}"; do
        [ -z "${held[$guest.$(name_of "$age")]:-}" ] || must "$age is what it was" holds "$age"
    done
    must "the definition names what it writes to" equal "$(file_of "$guest" vda)$(file_of "$guest" vdb)" \
        "$(file_of "$guest" vda --inactive)$(file_of "$guest" vdb --inactive)"
    must "no record is left" nothing_is_written_down
    if [ "$state" = running ]; then
        must "its disks are whole" now_of "$guest"
    else
        must "its disks are read as before" now_is "$before"
    fi
    let_run
}
is_gone() { # name
    local file
    [[ " $(checkpoints_of "$guest") " != *" $1 "* ]] || { checkpoints_of "$guest"; return 1; }
    ! ls "$DISKS"/*".$1"* 2>/dev/null || return 1
    for file in $(files_of "$guest"); do
        [[ $(qemu-img snapshot -U -l "$file") != *" $1 "* ]] || { echo "in $file"; return 1; }
    done
}

revert() {
    local name boots before from said record
    name=$(name_of kept) boots=$(boots_of "$guest") before=$(written "$guest")
    from=$(($(stat -c %s "$(console_of "$guest")") + 1))
    record=${held[$guest.$name]:-none}
    said=$(tool revert "$guest" "$name") || wrong+="it goes back: $said"$'\n'
    must "what was left is told" grep -q "$(left_of "$guest")" <<<"$said"
    must "it goes on from there" equal "$(current_of "$guest")" "$name"
    must "no record is left" nothing_is_written_down
    case "$what $state" in
    'memory running')
        must "it runs" state_is running
        must "it writes on, from its memory" writes_on_by_itself "$boots"
        must "from where it was then" was_told_between "$from" "$record" "$before"
        hold_still
        must "its disks are whole" now_of "$guest"
        let_run
        ;;
    'memory paused')
        must "it is paused" state_is paused
        must "its disks are those of then" now_is "$record"
        must "it can go on" resumes
        must "it writes on, from its memory" writes_on_by_itself "$boots"
        ;;
    *)
        must "it is stopped" state_is 'shut off'
        must "its disks are those of then" now_is "$record"
        must "it starts" bring_to "$guest" running
        must "from where it was then" same_record "$(said_last "$guest" boot)" "$record"
        ;;
    esac
}
was_told_between() { # byte-of-console record record: the least that was written since
    local least
    least=$(tail -c "+$1" "$(console_of "$guest")" | sed -n 's/^.*written \([0-9]\+\)\r\?$/\1/p' | sort -n | head -n 1)
    [ "$least" -ge "$2" ] && [ "$least" -lt "$3" ] && return
    echo "$least, which is not from $2 on and before $3"
    return 1
}

# refuse OPERATION WORDS: what cannot be made is nowhere.
refuse() {
    local name none
    name=$(name_of "${1#delete-}") none="has no checkpoint $(name_of "${1#delete-}")"
    case $1 in
    create) must "refuses" refuses_with "$2" make_one "$name" ;;
    list) must "it is not listed" not_listed "$what-$state-" ;;
    delete-*) must "refuses" refuses_with "$none" tool delete-checkpoint "$guest" "$name" ;;
    revert) must "refuses" refuses_with "$none" tool revert "$guest" "$name" ;;
    esac
}
refuses_with() { # words command...
    local wrong
    wrong=$(wrong_with_refusal "$guest" 1 "$@")
    [ -z "$wrong" ] || { echo "$wrong"; return 1; }
}
not_listed() { # part of a name
    local said
    said=$(tree_of "$guest") || return
    [[ $said != *"$1"* ]] || { echo "$said"; return 1; }
}

# Why there is none of a cell; nothing where there is.
words_against() { # cell
    local i
    for ((i = 0; i < ${#CANNOT_BE[@]}; i += 2)); do
        # shellcheck disable=SC2053
        [[ $1 != ${CANNOT_BE[i]} ]] || { echo "${CANNOT_BE[i + 1]}"; return; }
    done
}
live() { # cell: all its combinations
    local operation words
    words=$(words_against "$1")
    [ -z "$words" ] || bring_to "$guest" "$is_in" >/dev/null
    for operation in "${OPERATIONS[@]}"; do
        wrong=''
        case ${words:+refuse}$operation in
        refuse*) refuse "$operation" "$words" ;;
        delete-*) delete "${operation#delete-}" ;;
        *) "$operation" ;;
        esac
        [ -z "$wrong" ]
        result $? "$1-$operation${words:+: refused}" "$wrong"
    done
}
wanted() { # cell
    local pattern patterns
    read -ra patterns <<<"${CELLS:-*}"
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053
        [[ $1 != $pattern* ]] || return 0
    done
    return 1
}

build_writing_contents
for disks in qcow2 raw two; do
    for where in external internal; do
        guest=
        for what in memory disk; do
            for state in running paused stopped; do
                wanted "$disks-$where-$what-$state" || continue
                is_in=${state/stopped/shut off}
                if [ -z "$guest" ]; then
                    guest=$disks-$where
                    # shellcheck disable=SC2086
                    make_writing_guest "$guest" ${FORMATS[$guest]}
                fi
                live "$disks-$where-$what-$state"
            done
        done
        [ -z "$guest" ] || remove "$guest"
    done
done
echo "1..$count"
[ "$failures" -eq 0 ]
