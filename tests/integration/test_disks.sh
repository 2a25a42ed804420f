#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which disk, through which layers and folders, and which not at all: every method against a real
# libvirtd and QEMU. Needs root. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
METHODS="live blockcopy stream cold"

folder_of() { echo "$INSTANCES/$(uuid_of "$1")"; }

# disk TARGET BUS FORMAT PATH [device] [inside <disk>]
disk() {
    echo "<disk type='file' device='${5:-disk}'><driver name='qemu' type='$3'/>
        <source file='$4'/><target dev='$1' bus='$2'/>${6:-}</disk>"
}

# A raw file full of PATTERN.
fill() { # path size pattern
    qemu-img create -q -f raw "$1" "$2" && qemu-io -f raw -c "write -q -P $3 0 $2" "$1"
}

# The image is what the files of the disk are, and nothing else is changed.
imaged() { # guest method disk-path disk-format description [option...]
    local guest=$1 method=$2 path=$3 format=$4 description=$5 before said
    shift 5
    rm -f "$DIR/image"
    before=$(picture "$guest")
    said=$(probe "$method" "$guest" "$@") &&
        flush "$guest" &&
        said+=$'\n'$(qemu-img compare -U -f "$format" -F qcow2 "$path" "$DIR/image" 2>&1) &&
        said+=$'\n'$(qemu-img check -f qcow2 "$DIR/image" 2>&1) &&
        said+=$'\n'$(diff <(echo "$before") <(picture "$guest"))
    result $? "$description" "$said"
}
refused() { # guest method text description [option...]
    local guest=$1 method=$2 text=$3 description=$4 before said
    shift 4
    rm -f "$DIR/image"
    before=$(picture "$guest")
    said=$(probe "$method" "$guest" "$@") && {
        result 1 "$description: must fail" "$said"
        return
    }
    grep -qF -- "$text" <<<"$said" && [ ! -s "$DIR/image" ] &&
        [ "$before" = "$(picture "$guest")" ]
    result $? "$description" "$said"
}

# The guest's disks in nova's order, of which libvirt makes its own.
test_root_device() {
    local folder target bus other cdrom guest=which
    folder=$(folder_of $guest)
    mkdir "$folder"
    fill "$folder/disk" 8M 0xaa
    fill "$folder/disk.eph0" 8M 0xee
    fill "$folder/disk.swap" 1M 0x55
    fill "$folder/disk.config" 1M 0xcc
    for bus in virtio scsi sata ide; do
        case $bus in
        virtio) target=vdb other=vda cdrom="sda sata" ;;
        ide) target=hdb other=hda cdrom="hdc ide" ;;
        *) target=sdb other=sda cdrom="sdc $bus" ;;
        esac
        # shellcheck disable=SC2086
        DEVICES="<controller type='scsi' model='virtio-scsi'/>" define_guest $guest "
            $(disk "$target" $bus raw "$folder/disk")
            $(disk "$other" $bus raw "$folder/disk.eph0")
            $(disk vdz virtio raw "$folder/disk.swap")
            $(disk $cdrom raw "$folder/disk.config" cdrom "<readonly/>")
            <disk type='file' device='floppy'><target dev='fda'/></disk>" || exit 1
        for method in $METHODS; do
            imaged $guest "$method" "$folder/disk" raw "$method, root disk is $target" root=/dev/$target
        done
        # Nova's name for the file is enough, and a name for two disks too many.
        imaged $guest cold "$folder/disk" raw "root disk is $target, by its name" root=
        refused $guest live "both $other" "root device is $other, the name is $target's" root=/dev/$other
        $VIRSH destroy "$NAME-$guest"
        for method in stream cold; do
            imaged $guest "$method" "$folder/disk" raw "$method, stopped, root disk is $target" \
                root=/dev/$target
        done
        remove $guest
    done
    rm -f "$folder/disk"
    SHUT=1 define_guest $guest "$(disk vda virtio raw "$folder/disk.eph0")"
    refused $guest cold "another disk of the instance" "there is no root disk"
    remove $guest
}

# A backup tool's snapshots beside the disk, which is an overlay itself.
test_chain() {
    local folder base guest=chain
    folder=$(folder_of $guest)
    base=$INSTANCES/_base/chain
    mkdir "$folder"
    fill "$base" 32M 0xba
    qemu-img create -q -f qcow2 -b "$base" -F raw "$folder/disk" 64M
    define_guest $guest "$(disk vda virtio qcow2 "$folder/disk")" || exit 1
    write_disk $guest 0x11 1M 4M
    for name in monday tuesday; do
        $VIRSH snapshot-create-as "$NAME-$guest" --disk-only --no-metadata --atomic \
            --diskspec "vda,file=$folder/disk.$name" >/dev/null
        write_disk $guest 0x22 "$((${#name} - 2))M" 2M
    done
    for method in $METHODS; do
        imaged $guest "$method" "$folder/disk.tuesday" qcow2 "$method, four layers"
    done
    imaged $guest live "$folder/disk.tuesday" qcow2 "live, four layers, compressed" compress=1
    $VIRSH destroy "$NAME-$guest"
    for method in stream cold; do
        imaged $guest "$method" "$folder/disk.tuesday" qcow2 "$method, stopped, four layers"
    done
    qemu-img rebase -u -f qcow2 -b "$(folder_of which)/disk.eph0" -F raw "$folder/disk"
    refused $guest cold "neither in the instance's folder" "a disk of another instance below"
    remove $guest
}

# instances_path by its name of today, and servers made under that of yesterday.
test_links() {
    local real=$INSTANCES link=$DIR/link folder base guest=linked
    folder=$(uuid_of $guest)
    base=_base/linked
    ln -s "$real" "$link"
    mkdir "$real/$folder"
    fill "$real/$base" 16M 0xba
    for made_under in "$link" "$real"; do
        rm -f "$real/$folder/disk" "$real/$folder/disk.monday"
        qemu-img create -q -f qcow2 -b "$made_under/$base" -F raw "$made_under/$folder/disk" 32M
        define_guest $guest "$(disk vda virtio qcow2 "$made_under/$folder/disk")" || exit 1
        write_disk $guest 0x33 1M 1M
        for named in "$link" "$real"; do
            for method in $METHODS; do
                INSTANCES=$named imaged $guest "$method" "$real/$folder/disk" qcow2 \
                    "$method, made under ${made_under##*/}, instances_path is ${named##*/}" root=
            done
        done
        $VIRSH destroy "$NAME-$guest"
        INSTANCES=$real imaged $guest cold "$real/$folder/disk" qcow2 \
            "stopped, made under ${made_under##*/}"
        remove $guest
    done
}

secret() { # makes one with libvirt, prints its uuid
    local uuid
    uuid=$(uuid_of "secret")
    echo "<secret ephemeral='yes' private='no'><uuid>$uuid</uuid>
        <description>$NAME</description></secret>" >"$DIR/secret.xml"
    $VIRSH secret-define "$DIR/secret.xml" >/dev/null &&
        echo -n key >"$DIR/key" && $VIRSH secret-set-value "$uuid" --plain --file "$DIR/key" >/dev/null &&
        echo "$uuid"
}

# qemu-img measures how fast this machine is, and gives up where the clock is too coarse.
make_luks() { # arguments of qemu-img create
    for _ in $(seq 50); do
        qemu-img create -q --object secret,id=s,data=key "$@" 2>"$DIR/said" && return
    done
    echo "Bail out! $(cat "$DIR/said")"
    exit 1
}

test_encrypted() {
    local folder key guest=secret
    folder=$(folder_of $guest)
    key=$(secret)
    mkdir "$folder"
    for format in qcow2 raw; do
        local luks="<encryption format='luks'><secret type='passphrase' uuid='$key'/></encryption>"
        if [ $format = qcow2 ]; then
            make_luks -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 "$folder/disk" 8M
        else
            make_luks -f luks -o key-secret=s,iter-time=10 "$folder/disk" 8M
        fi
        define_guest $guest "<disk type='file' device='disk'><driver name='qemu' type='$format'/>
            <source file='$folder/disk'>$luks</source><target dev='vda' bus='virtio'/></disk>" || exit 1
        write_disk $guest 0x44 1M 1M
        for method in $METHODS; do
            refused $guest "$method" "is encrypted" "$method, LUKS in $format"
        done
        $VIRSH destroy "$NAME-$guest"
        for method in stream cold; do
            refused $guest "$method" "is encrypted" "$method, stopped, LUKS in $format"
        done
        remove $guest
    done
    $VIRSH secret-undefine "$key"
}

test_root_device
test_chain
test_links
test_encrypted
echo "1..$count"
[ $failures -eq 0 ]
