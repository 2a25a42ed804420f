# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a lab decides once and keeps in its folder: its id, ports, queues and the password.

readonly LAB_DEFAULT_PORT_BASE=26000
LAB_HOST=cmp1

load_settings() {
    local recorded=
    if [[ -s $LAB/etc/port-base ]]; then
        recorded=$(<"$LAB/etc/port-base")
        [[ -z ${LAB_PORT_BASE:-} || $LAB_PORT_BASE == "$recorded" ]] ||
            die "this lab was made with LAB_PORT_BASE=$recorded; 'down --purge' it to change that"
    fi
    LAB_PORT_BASE=${recorded:-${LAB_PORT_BASE:-$LAB_DEFAULT_PORT_BASE}}
    [[ $LAB_PORT_BASE =~ ^[0-9]{4,5}$ && $LAB_PORT_BASE -ge 1024 && $LAB_PORT_BASE -le 65500 ]] ||
        die "LAB_PORT_BASE=$LAB_PORT_BASE is not a port number between 1024 and 65500"
    LAB_PARTS=$(recorded_parts)
    LAB_ID='' LAB_PASSWORD=''
    [[ ! -s $LAB/etc/id ]] || LAB_ID=$(<"$LAB/etc/id")
    [[ ! -s $LAB/etc/password ]] || LAB_PASSWORD=$(<"$LAB/etc/password")
    # Domain names differ between labs that share one libvirtd, now or one after the other.
    LAB_DOMAIN_PREFIX=lab$(printf '%s' "$LAB $LAB_PORT_BASE" | md5sum | cut -c1-8)-
}

port_of() {
    local offset
    case $1 in
    rabbitmq) offset=1 ;;
    rabbitmq-dist) offset=2 ;;
    epmd) offset=3 ;;
    mariadb) offset=4 ;;
    keystone) offset=5 ;;
    glance-api) offset=6 ;;
    cinder-api) offset=7 ;;
    placement) offset=8 ;;
    nova-api) offset=9 ;;
    neutron-stub) offset=10 ;;
    ceph-mon) offset=11 ;;
    ceph-mon-v1) offset=12 ;;
    # The OSD and the manager take theirs between these two.
    ceph-first) offset=13 ;;
    ceph-last) offset=32 ;;
    *) return 0 ;;
    esac
    printf '%s' $((LAB_PORT_BASE + offset))
}

write_once() {
    [[ -s $1 ]] && return 0
    printf '%s\n' "$2" >"$1.new"
    mv -- "$1.new" "$1"
}

# Of a libvirtd that is not the lab's own (start_libvirtd). Its helper may read what a disk is based on
# in some folders only.
warn_of_apparmor() {
    [[ $LAB =~ ^/(media|mnt|opt|srv)/ ]] || ! libvirt_is_confined || ! is_external libvirtd ||
        say "AppArmor confines the guests of the libvirtd that runs here: they need LAB below /srv"
}

# Folders, the recorded decisions and the configuration of every service.
prepare_folders() {
    ((${#LAB} <= 80)) || die "LAB=$LAB is too long a path for UNIX sockets below it (at most 80)"
    [[ $LAB =~ ^[A-Za-z0-9/._+-]+$ ]] ||
        die "LAB=$LAB: only letters, digits and /._+- can be used in the lab's path"
    umask 022
    mkdir -p "$LAB" "$LAB/run" "$LAB/bin" "$LAB/home" "$LAB/nova/instances" "$LAB/nova/lock" \
        "$LAB/cinder/lock" "$LAB/cinder/volumes" "$LAB/glance/images" "$LAB/glance/staging"
    mkdir -p "$LAB/etc/policy.d" "$LAB/log" "$LAB/rabbitmq" "$LAB/keystone"
    chmod 0700 "$LAB/etc" "$LAB/log" "$LAB/rabbitmq" "$LAB/keystone"
    setpriv --reuid=libvirt-qemu --regid=kvm --clear-groups test -x "$LAB/nova/instances" ||
        die "user libvirt-qemu cannot reach $LAB/nova/instances: every folder above needs o+x"
    write_once "$LAB/etc/id" "$(</proc/sys/kernel/random/uuid)"
    : "${LAB_QUEUES:=$(cat "$LAB/etc/queues" 2>/dev/null || echo classic)}"
    "$LAB_CODE/queues" | grep -xF -- "$LAB_QUEUES" >/dev/null ||
        die "LAB_QUEUES=$LAB_QUEUES: with this oslo.messaging there are $("$LAB_CODE/queues" | paste -sd' ')"
    write_once "$LAB/etc/queues" "$LAB_QUEUES"
    [[ $(<"$LAB/etc/queues") == "$LAB_QUEUES" ]] ||
        die "the lab in $LAB has $(<"$LAB/etc/queues") queues: tests/lab/down --purge it for $LAB_QUEUES ones"
    write_once "$LAB/etc/port-base" "$LAB_PORT_BASE"
    (umask 077 && write_once "$LAB/etc/password" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')")
    load_settings
    warn_of_apparmor
}
