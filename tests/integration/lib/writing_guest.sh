# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Guests with an operating system, which is writing_guest.c on Debian's cloud kernel: it writes
# numbered records to its root disk for as long as it runs. Sourced after guest.sh.
# shellcheck source=tests/lab/lib/common.sh
. tests/lab/lib/common.sh
# shellcheck source=tests/lab/lib/guest_image.sh
. tests/lab/lib/guest_image.sh
VMLINUZ=$DIR/os/vmlinuz
INITRAMFS=$DIR/os/initramfs

build_writing_guest() {
    local work=$DIR/os root=$DIR/os/root
    mkdir -p "$root/dev"
    unpack_kernel "$work"
    add_modules "$work/kernel" "$root" virtio_pci virtio_blk virtio_scsi sd_mod
    gcc -D_GNU_SOURCE -static -O2 -o "$root/init" tests/integration/lib/writing_guest.c || exit 1
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$INITRAMFS"
    mv "$work"/kernel/boot/vmlinuz-* "$VMLINUZ"
    rm -rf "$root" "$work/kernel"
}

# A raw file its root disk can be made from: the label it is known by, data, zeros and data, within
# its records' place and around it.
build_writing_content() { # file [label]
    qemu-img create -q -f raw "$1" 64M
    qemu-io -f raw -c 'write -q -P 0xba 4k 15M' -c 'write -q -P 0xbb 40M 4M' "$1"
    printf '%s' "${2:-root of a writing guest}" | dd of="$1" conv=notrunc status=none
}

# As define_guest, with all its variables.
define_writing_guest() { # name disks
    MEMORY=${MEMORY:-96} \
        OS="${OS:-}<kernel>$VMLINUZ</kernel><initrd>$INITRAMFS</initrd>
            <cmdline>console=ttyS0 quiet panic=1</cmdline>" \
        DEVICES="${DEVICES:-}<serial type='file'>
            <source path='$(console_of "$1")' append='on'/></serial>" \
        define_guest "$@"
}

# Exists before the guest does.
console_of() { echo "$DIR/$1.console"; }
# What it said last about a thing: "written 117" → 117.
said_last() { # guest thing
    sed -n "s/^.*$2 \([0-9]\+\)\r\?$/\1/p" "$(console_of "$1")" | tail -n 1
}
written() { local last; last=$(said_last "$1" written); echo "${last:-0}"; }
boots_of() { grep -c 'boot [0-9]' "$(console_of "$1")"; }

# Until it has written so many more records.
writes_on() { # guest records seconds
    local wanted deadline=$((SECONDS + $3))
    wanted=$(($(written "$1") + $2))
    until [ "$(written "$1")" -ge $wanted ]; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}
