# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Builds the guest: kernel and initramfs of a tiny system with a real qemu-guest-agent, and a disk.

# Debian's cloud kernel is kept where apt keeps packages: prints its file.
kernel_package() {
    local package cache=/var/cache/apt/archives log
    package=$(apt-cache depends linux-image-cloud-amd64 |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p')
    [[ -n $package ]] || die "apt-cache knows no linux-image-cloud-amd64: run apt-get update"
    if ! compgen -G "$cache/${package}_*.deb" >/dev/null; then
        log=$(cd "$cache/partial" && apt-get -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=300 -q \
            download "$package" 2>&1 && mv -- "${package}"_*.deb ..) || die "cannot download the package $package: $log"
    fi
    compgen -G "$cache/${package}_*.deb" | sort -V | tail -n 1
}

# Not installed: vmlinuz and its modules below $1.
unpack_kernel() {
    local to=$1 package
    package=$(kernel_package)
    dpkg-deb -x "$package" "$to/kernel"
    # Modules are below usr/lib since Debian 13, and depmod looks below lib.
    [[ -e $to/kernel/lib ]] || ln -s usr/lib "$to/kernel/lib"
}

# These modules, dependencies first, each once.
module_paths() {
    local root=$1 version=$2 module
    shift 2
    depmod -b "$root" "$version"
    for module in "$@"; do
        modprobe -d "$root" -S "$version" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*$/\1/p' | awk '!seen[$0]++'
}

# add_modules KERNEL ROOT MODULE...: what the guest loads, in the order of its /modules/order.
add_modules() {
    local kernel=$1 root=$2 version path name
    shift 2
    version=$(basename "$kernel"/lib/modules/*)
    mkdir -p "$root/modules"
    while IFS= read -r path; do
        name=$(basename "$path" .xz)
        case $path in
        *.xz) xz -dc -- "$path" >"$root/modules/$name" ;; # since Debian 13
        *) cp -- "$path" "$root/modules/" ;;
        esac
        echo "$name" >>"$root/modules/order"
    done < <(module_paths "$kernel" "$version" "$@")
    [[ -s $root/modules/order ]] || die "no kernel modules found for the guest"
}

# A dynamically linked program with everything it loads, at the same paths.
add_program() {
    local root=$1 program=$2 library
    install -D "$program" "$root$program"
    while IFS= read -r library; do
        install -D "$library" "$root$library"
    done < <(ldd "$program" | grep -o '/[^ ]*')
}

build_initramfs() {
    local work=$1 to=$2 root=$1/root
    mkdir -p "$root"/{bin,data,dev,etc,proc,run,sys,var/run,tmp}
    install -D /bin/busybox "$root/bin/busybox"
    add_program "$root" /usr/sbin/qemu-ga
    add_modules "$work/kernel" "$root" virtio_pci virtio_blk virtio_console crc32c_generic ext4
    install -m 0755 "$LAB_CODE/lib/guest_init" "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$to"
}

# 1 GiB ext4 with 100 MiB that do not compress and are the same in every lab.
build_disk() {
    local work=$1 to=$2
    mkdir -p "$work/disk"
    head -c 100M /dev/zero | openssl enc -aes-128-ctr -nosalt \
        -K 6e6f7661736e617073686f746c61620a -iv 0 2>"$work/openssl.log" >"$work/disk/data"
    printf '0000000000\n' >"$work/disk/counter"
    mke2fs -q -t ext4 -E lazy_itable_init=0 -L lab -d "$work/disk" \
        "$work/disk.raw" 1G >/dev/null
    qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$to"
}

# Each file appears in $LAB/guest only when it is complete.
build_guest() {
    local guest=$LAB/guest work=$LAB/guest/work
    [[ ! -s $guest/vmlinuz || ! -s $guest/initramfs || ! -s $guest/disk.qcow2 ]] || return 0
    rm -rf -- "$work"
    mkdir -p "$work"
    step "guest kernel" unpack_kernel "$work"
    step "guest initramfs" build_initramfs "$work" "$work/initramfs"
    step "guest disk" build_disk "$work" "$work/disk.qcow2"
    mv -- "$work/initramfs" "$work/disk.qcow2" "$guest/"
    mv -- "$work"/kernel/boot/vmlinuz-* "$guest/vmlinuz"
    rm -rf -- "$work"
}
