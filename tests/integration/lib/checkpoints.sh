# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of checkpoints share: the tool, guests that write to one disk or two, the records that
# these held at an instant, refusals. Sourced after guest.sh and writing_guest.sh.
STATE=$DIR/state
DISKS=$DIR/disks
TOOL=$BUILD/nova-snapshot
mkdir "$DISKS"
mkdir -m 711 "$STATE"
make -s BUILD="$BUILD" "$TOOL" || exit 1
declare -A held # the record that each checkpoint's disks end with, by guest and name

tool() { # command guest arguments...
    local command=$1 guest=$2
    shift 2
    "$TOOL" domain "$command" "$NAME-$guest" "$@" --state-dir "$STATE" 2>&1
}
recover() { tool recover "$1"; }
current_of() { $VIRSH snapshot-current "$NAME-$1" --name 2>&1; }
checkpoints_of() { $VIRSH snapshot-list --name "$NAME-$1" | xargs; }
tree_of() { "$TOOL" domain checkpoints "$NAME-$1" --tree 2>&1; }
left_of() { $VIRSH snapshot-list --name "$NAME-$1" | grep '^left-' | sort | tail -n 1; }
file_of() { # guest target [--inactive]: what it writes to, or will after its next start
    # shellcheck disable=SC2086
    $VIRSH domblklist ${3:-} "$NAME-$1" | awk -v disk="$2" '$1 == disk { print $2 }'
}
files_of() { # guest: of its hard disks
    $VIRSH domblklist --details "$NAME-$1" | awk '$2 == "disk" { print $4 }'
}
# The files in which libvirt has the hard disks of a checkpoint.
files_of_checkpoint() { # guest name
    $VIRSH snapshot-dumpxml "$NAME-$1" "$2" | awk -F"'" '/<domain /{d=1} /<\/domain>/{d=0}
        d && /<disk /{n=/device=.disk./} d && n && /<source file=/{print $2; n=0}'
}

build_writing_contents() {
    build_writing_guest
    build_writing_content "$DISKS/content"
    build_writing_content "$DISKS/content2" 'other of a writing guest'
}
# A guest that writes to disks of these formats: qcow2 on a raw file, or a raw one itself.
make_writing_guest() { # name format [format]
    local guest=$1 disk='' target=vda disks='' format
    for format in "${@:2}"; do
        if [ "$format" = raw ]; then
            cp "$DISKS/content$disk" "$DISKS/$guest$disk.img"
        else
            qemu-img create -q -f qcow2 -b "$DISKS/content$disk" -F raw "$DISKS/$guest$disk.img"
        fi
        disks+=$(disk_xml $target "$format" "$DISKS/$guest$disk.img")
        disk=2 target=vdb
    done
    define_writing_guest "$guest" "$disks
        <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>" || exit 1
    writes_on "$guest" 50 240
    result $? "$guest: the guest writes" "$(cat "$(console_of "$guest")")"
}

# The last record of the disks in these files, where they are of one instant; else it fails, and says why.
last_of() { # file [second-file] [-- qemu-img options...]
    local files=() file disk='' number last=''
    while [ $# -gt 0 ] && [ "$1" != -- ]; do files+=("$1") && shift; done
    for file in "${files[@]}"; do
        number=$(qemu-img convert -U "${@:2}" -O raw "$file" "$DIR/flat" 2>&1 &&
            tests/integration/lib/prefix.py "$DISKS/content$disk" "$DIR/flat" 2>&1)
        [[ $number =~ ^[0-9]+$ ]] || { echo "$file: $number"; return 1; }
        last=${last:-$number} disk=2
        [[ $((last - number)) =~ ^[01]$ ]] || { echo "$file: record $number, the first disk's is $last"; return 1; }
    done
    echo "$last"
}
now_of() { # guest, which does not run on
    [ "$(state_of "$1")" = 'shut off' ] || flush "$1"
    # shellcheck disable=SC2046
    last_of $(files_of "$1")
}
last_of_checkpoint() { # guest name external|internal
    # shellcheck disable=SC2046
    case $3 in
    internal) last_of $(files_of "$1") -- -f qcow2 -l "snapshot.name=$2" ;;
    *) last_of $(files_of_checkpoint "$1" "$2") ;;
    esac
}
make_checkpoint() { # guest name arguments...: its last record in $held
    local guest=$1 name=$2 said where=external
    [[ " $* " = *' --internal '* ]] && where=internal
    said=$(tool checkpoint "$guest" --name "${@:2}")
    result $? "$guest: checkpoint $name is made" "$said"
    held[$guest.$name]=$(last_of_checkpoint "$guest" "$name" $where)
    result $? "$guest: checkpoint $name is of one instant" "${held[$guest.$name]}"
}

# Until it has written more, of what it has in its memory: it says so when its disks are not those.
has_gone_on() { # guest boots
    local from=$(($(stat -c %s "$(console_of "$1")") + 1)) deadline=$((SECONDS + 120))
    until [ "$(tail -c "+$from" "$(console_of "$1")" | grep -c 'written ')" -ge 4 ]; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
    ! grep -q 'lost ' "$(console_of "$1")" && [ "$(boots_of "$1")" -eq "$2" ]
}
goes_on() { # guest boots description
    has_gone_on "$1" "$2"
    result $? "$3: the guest writes on, started anew as often as it had to be" \
        "$(state_of "$1"), $(boots_of "$1") boots, not $2: $(tail -n 3 "$(console_of "$1")")"
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

no_record() { [ -z "$(find "$STATE/records" -type f 2>/dev/null)" ]; }
forgotten() { # description
    no_record
    result $? "$1: nothing is written down any more" "$(cat "$STATE"/records/* 2>&1)"
}
# What is not to change when nothing is done; of the files the guest may write to, their names.
whole_picture() { # guest
    local name
    picture "$1"
    $VIRSH dumpxml "$NAME-$1" | grep -E "<(source|backingStore|memory|mirror)"
    for name in $(checkpoints_of "$1"); do $VIRSH snapshot-dumpxml "$NAME-$1" "$name"; done
    current_of "$1"
    ls "$DISKS"
    find "$DISKS" "$INSTANCES" -type f ! \( -name "$1*.img*" ! -name '*.memory' \) -printf '%p %s %T@\n' | sort
    find "$STATE/records" -type f 2>/dev/null
}
# What is wrong with a refusal: nothing when the command ends with that status and those words, and
# nothing has changed.
wrong_with_refusal() { # guest status text command...
    local guest=$1 status=$2 text=$3 before said found
    before=$(whole_picture "$guest")
    said=$("${@:4}")
    found=$?
    { [ $found -eq "$status" ] && grep -qF -- "$text" <<<"$said"; } || echo "status $found, not $status: $said"
    diff <(echo "$before") <(whole_picture "$guest")
}
refuses() { # guest status text command...
    local wrong
    wrong=$(wrong_with_refusal "$@")
    [ -z "$wrong" ]
    result $? "refused: $3; and nothing has changed" "$wrong"
}
