# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part `nfs`: a share without an NFS server or client. The services find `mount` of bin/ first, which
# binds the lab's folder where a share is to be mounted.

prepare_nfs() {
    # NfsDriver asks `du` for the share without what is named *snapshot*, its own path included.
    [[ $LAB != *snapshot* ]] || die "LAB=$LAB: Cinder's NFS driver needs a path without 'snapshot'"
    mkdir -p "$LAB/nfs" "$LAB/cinder/mnt" "$LAB/nova/mnt"
    install -m 0755 "$LAB/etc/nfs/mount" "$LAB/bin/mount"
    # Cinder asks whether there is one.
    ln -sf mount "$LAB/bin/mount.nfs"
    share_nova_mounts
}

# QEMU lives in a mount namespace made when the guest starts: without systemd it would not see a
# share that is mounted later.
share_nova_mounts() {
    mountpoints_below "$LAB/nova" | grep -xF "$LAB/nova/mnt" >/dev/null ||
        mount --bind "$LAB/nova/mnt" "$LAB/nova/mnt"
    mount --make-shared "$LAB/nova/mnt"
}

# The last mounted first.
mountpoints_below() {
    awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac
}

# Also what a killed lab has left; nothing may be removed through a mount.
unmount_all() {
    local point
    while IFS= read -r point; do
        umount -- "$point" 2>/dev/null || umount -l -- "$point" || :
    done < <(mountpoints_below "$LAB")
    [[ -z $(mountpoints_below "$LAB") ]] ||
        die "cannot unmount $(mountpoints_below "$LAB" | tr '\n' ' ')"
}
