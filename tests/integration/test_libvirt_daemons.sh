#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The libvirt driver with each kind of daemon that a deployment may have: libvirtd, also by TCP with
# SASL, and virtqemud and virtproxyd where they are installed, which Debian's packages leave out: what is
# left out then is said behind the plan. They run in namespaces of their own, the machine's libvirtd is not
# touched. LIBVIRT_ROOT=folder takes them from there (make libvirt-check), as a container has them.
# Needs root and no lab. TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ "${1:-}" != --inner ]; then
    exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --inner
fi
ROOT=${LIBVIRT_ROOT:-}
OWN=/run/nsa
daemons=()

# What libvirt keeps is ours alone: /run, its folders, its configuration, the loopback interface.
set_apart() {
    local place
    ip link set lo up
    mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p $OWN || exit 1
    for place in /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
        mount -t tmpfs -o mode=755 tmpfs "$ROOT$place" || exit 1
    done
    cp -a "$ROOT/etc/libvirt" $OWN/etc
    mount --bind $OWN/etc "$ROOT/etc/libvirt" || exit 1
    [ -n "$ROOT" ] || return 0
    mount --bind $OWN/etc /etc/libvirt || exit 1
    for place in /run /var/tmp /dev /proc /sys; do mount --rbind $place "$ROOT$place" || exit 1; done
}

# Digest-MD5 encrypts as well, which libvirt asks of SASL without TLS.
configure() {
    local name
    for name in libvirtd virtqemud virtproxyd; do
        printf '%s\n' 'auth_unix_rw = "none"' 'auth_unix_ro = "none"' 'listen_tls = 0' \
            'auth_tcp = "sasl"' >$OWN/etc/$name.conf
    done
    printf 'listen_tcp = 1\n' | tee -a $OWN/etc/libvirtd.conf >>$OWN/etc/virtproxyd.conf
    printf 'cgroup_controllers = []\nsecurity_driver = "none"\n' >>$OWN/etc/qemu.conf
    [ -z "$ROOT" ] || printf 'namespaces = []\n' >>$OWN/etc/qemu.conf # a chroot cannot have any
    printf 'mech_list: digest-md5\nsasldb_path: %s/passwd.db\n' $OWN >$OWN/libvirt.conf
    echo secret | chroot "${ROOT:-/}" saslpasswd2 -p -c -a libvirt -f $OWN/passwd.db nova || exit 1
    export SASL_CONF_PATH=$OWN
}

credentials() { # password
    printf '%s\n' '[credentials-nova]' authname=nova "password=$1" \
        '[auth-libvirt-127.0.0.1]' credentials=nova >$OWN/etc/auth.conf
}

installed() { [ -x "$ROOT/usr/sbin/$1" ]; }

start_daemon() { # name [argument...]
    local socket=/run/libvirt/$1-sock
    [ "$1" != libvirtd ] && [ "$1" != virtproxyd ] || socket=/run/libvirt/libvirt-sock
    rm -f "$socket"
    chroot "${ROOT:-/}" "/usr/sbin/$1" "${@:2}" >>"$OWN/$1.log" 2>&1 &
    daemons+=($!)
    for _ in $(seq 200); do
        [ -S "$socket" ] && return
        sleep 0.05
    done
    echo "Bail out! $1 does not start: $(cat "$OWN/$1.log")"
    exit 1
}

kill_daemons() {
    kill -9 "${daemons[@]}"
    wait "${daemons[@]}" 2>/dev/null
    daemons=()
}

# What the probe said, and behind it the daemons.
told() {
    cat "$DIR/said"
    tail -n 30 $OWN/*.log
}

disk_of() { echo "$INSTANCES/$(uuid_of "$1")/disk"; }

define() { # name
    local disk
    disk=$(disk_of "$1")
    mkdir -p "$(dirname "$disk")"
    qemu-img create -q -f qcow2 "$disk" 64M
    define_guest "$1" "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
        <source file='$disk'/><target dev='vda' bus='virtio'/></disk>"
    write_disk "$1" 0x5a 0 8M
}

same_as_disk() {
    flush "$1" && qemu-img compare -U -f qcow2 -F qcow2 "$(disk_of "$1")" "$DIR/image"
}

snapshot() { # what guest method
    local said
    rm -f "$DIR/image"
    said=$(probe "$3" "$2" "uri=$URI") && said=$(same_as_disk "$2")
    result $? "$1: $3" "$said"
}

# The daemons die, and others take their place: the next snapshot is taken, and events are heard.
reconnect() { # what guest command that starts them
    local after
    hold_at probe:again "$2" live "uri=$URI" again=1
    kill_daemons
    "${@:3}"
    let_go && same_as_disk "$2" >/dev/null
    result $? "$1: a snapshot after the daemons have died" "$(told)"
    after=$(sed '1,/probe:again/d' "$DIR/said")
    grep -q "libvirt event: instance $(uuid_of "$2"), disk vda, block job" <<<"$after"
    result $? "$1: events are heard after that" "$after"
}

# They die while the copy is made: it fails, and the guest is as it was.
lose() { # what guest command that starts them
    local before
    before=$(picture "$2")
    hold_at live:copy-started "$2" live "uri=$URI"
    kill_daemons
    "${@:3}"
    let_go
    result $((!$?)) "$1: a snapshot whose daemons die fails" "$(told)"
    diff <(echo "$before") <(picture "$2") >"$DIR/differs"
    result $? "$1: the guest is as before" "$(cat "$DIR/differs")$(told)"
}

deployment() { # what uri command that starts them
    local URI=$2 method
    "${@:3}"
    define g
    for method in live blockcopy stream cold; do snapshot "$1" g $method; done
    reconnect "$1" g "${@:3}"
    lose "$1" g "${@:3}"
    remove g
    kill_daemons
}

wrong_password() {
    local said
    start_daemon libvirtd --listen
    credentials wrong
    said=$(probe check g "uri=qemu+tcp://127.0.0.1/system")
    result $((!$?)) "SASL: a wrong password is refused" "$said"
    grep -q "authentication failed" <<<"$said"
    result $? "SASL: and that is what is told" "$said"
    ! grep -q wrong <<<"$said"
    result $? "SASL: the password is not told" "$said"
    credentials secret
    kill_daemons
}

# A daemon in a container that has not been given snapshots_directory: what nova does not do gives way,
# and no guest is saved for it.
folder_apart() {
    local method before said
    local -A status=([stream]=3 [blockcopy]=3 [live]=1)
    libvirtd_alone
    define apart
    before=$(picture apart)
    for method in stream blockcopy live; do
        # shellcheck disable=SC2016
        said=$(unshare --mount bash -c 'mount -t tmpfs -o mode=755 tmpfs "$1" && shift && exec "$@"' - \
            "$SNAPSHOTS" "$PROBE" uri=qemu+tcp://127.0.0.1/system "instances=$INSTANCES" \
            "snapshots=$SNAPSHOTS" $method "$(uuid_of apart)" "$DIR/image" 2>&1)
        [ $? -eq "${status[$method]}" ]
        result $? "snapshots_directory that libvirt does not see: no $method" "$said"
        grep -q "No such file or directory" <<<"$said"
        result $? "snapshots_directory that libvirt does not see: is told, $method" "$said"
    done
    diff <(echo "$before") <(picture apart) >"$DIR/differs"
    result $? "snapshots_directory that libvirt does not see: the guest is as before" \
        "$(cat "$DIR/differs")"
    remove apart
    kill_daemons
}

libvirtd_alone() { start_daemon libvirtd --listen; }
virtqemud_alone() { start_daemon virtqemud; }
virtqemud_behind_a_proxy() {
    start_daemon virtqemud
    start_daemon virtproxyd
}

set_apart
configure
credentials secret
start_daemon virtlogd
logger=${daemons[0]} daemons=()
libvirtd_alone
# shellcheck source=tests/integration/lib/guest.sh
. tests/integration/lib/guest.sh
started+=("$logger")
STATE=$DIR/state
mkdir -m 700 "$STATE"
kill_daemons

deployment libvirtd qemu:///system libvirtd_alone
deployment "libvirtd by TCP and SASL" qemu+tcp://127.0.0.1/system libvirtd_alone
wrong_password
folder_apart
if installed virtqemud; then
    deployment virtqemud qemu:///system virtqemud_alone
    deployment "virtqemud's socket" "qemu+unix:///system?socket=/run/libvirt/virtqemud-sock" \
        virtqemud_alone
    deployment "virtproxyd by TCP and SASL" qemu+tcp://127.0.0.1/system virtqemud_behind_a_proxy
fi
echo "1..$count"
installed virtqemud || echo "# NOT TRIED: virtqemud, its socket, virtproxyd: ${ROOT:-this machine} has no virtqemud"
[ "$failures" -eq 0 ]
