# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# RabbitMQ, MariaDB and libvirt.

start_rabbitmq() {
    local -a settings
    mapfile -t settings < <(grep -E '^[A-Z_]+=' "$LAB/etc/rabbitmq/environment")
    spawn rabbitmq "${settings[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server
}

make_mariadb_folder() {
    is_done mariadb && return 0
    rm -rf -- "$LAB/mariadb"
    install -d -o mysql -g mysql -m 0750 "$LAB/mariadb" "$LAB/mariadb/data" "$LAB/mariadb/tmp"
    mariadb-install-db --no-defaults --user=mysql --datadir="$LAB/mariadb/data" \
        --auth-root-authentication-method=normal --skip-test-db --skip-log-bin \
        >"$LAB/log/mariadb-install.log" 2>&1 || {
        show_tail "$LAB/log/mariadb-install.log"
        die "mariadb-install-db failed"
    }
    mark_done mariadb
}

start_mariadb() {
    make_mariadb_folder
    spawn mariadb /usr/sbin/mariadbd --no-defaults --user=mysql --datadir="$LAB/mariadb/data" \
        --tmpdir="$LAB/mariadb/tmp" --socket="$LAB/mariadb/mariadb.sock" \
        --pid-file="$LAB/mariadb/mariadb.pid" --bind-address=127.0.0.1 \
        --port="$(port_of mariadb)" --skip-name-resolve --skip-log-bin --max-connections=1000 \
        --character-set-server=utf8mb3 --innodb-flush-log-at-trx-commit=2
}

sql() {
    mariadb --no-defaults --user=root --socket="$LAB/mariadb/mariadb.sock" --batch --skip-column-names
}

virsh_lab() {
    virsh -q -c qemu:///system "$@"
}

libvirt_answers() {
    timeout 20 virsh -q -c qemu:///system uri >/dev/null 2>&1
}

# Containers' processes are seen, and are not this machine's.
pgrep_here() {
    pgrep --ns $$ --nslist pid "$@"
}

# A daemon that someone else runs on this machine is used as it is.
runs_elsewhere() {
    local pid
    while IFS= read -r pid; do
        is_ours "$pid" "$1" || return 0
    done < <(pgrep_here -x "$1")
    return 1
}

start_virtlogd() {
    spawn virtlogd /usr/sbin/virtlogd
}

# As libvirt itself finds it out.
libvirt_is_confined() {
    grep -qsE '^(/usr/sbin/)?libvirtd ' /sys/kernel/security/apparmor/profiles
}

# AppArmor's rules are about nova's own folders, also those of packaging/apparmor: guests of the lab's own
# libvirtd are not confined. It sees a qemu.conf that nobody else sees, and what is mounted later.
start_libvirtd() {
    local -a apart=()
    if libvirt_is_confined; then
        sed -e '/^ *security_driver\b/d' -e '$a security_driver = "none"' /etc/libvirt/qemu.conf \
            >"$LAB/etc/libvirt-qemu.conf"
        # shellcheck disable=SC2016
        apart=(unshare --mount --propagation slave --
            sh -c 'mount --bind "$0" /etc/libvirt/qemu.conf && exec "$@"' "$LAB/etc/libvirt-qemu.conf")
    fi
    spawn libvirtd "${apart[@]}" /usr/sbin/libvirtd
}

# The first libvirtd on a machine asks every emulator for its capabilities, which takes up to a
# minute: while the databases are made, not while nova-compute waits.
warm_libvirt() {
    virsh_lab capabilities >/dev/null 2>&1 9>&- &
}

# Domains that this lab's Nova made: named as it names them, with disks in its instances folder.
lab_domains() {
    local name xml
    while IFS= read -r name; do
        [[ $name == "$LAB_DOMAIN_PREFIX"* ]] || continue
        xml=$(virsh_lab dumpxml "$name" 2>/dev/null) || continue
        [[ $xml != *"'$LAB/nova/instances/"* ]] || printf '%s\n' "$name"
    done < <(virsh_lab list --all --name)
}

guest_processes() {
    pgrep_here -f "^[^ ]*qemu[^ ]* -name guest=$LAB_DOMAIN_PREFIX" || :
}

remove_domains() {
    local name
    for name in $(lab_domains); do
        virsh_lab destroy "$name" >/dev/null 2>&1 || :
        virsh_lab undefine --managed-save --snapshots-metadata --nvram "$name" >/dev/null 2>&1 ||
            ! virsh_lab domstate "$name" >/dev/null 2>&1 || die "cannot undefine domain $name"
    done
}

# Since 2023.2 a nova-compute that is new to its cell takes domains that are there for a sign that its
# host name was changed, and ends.
refuse_others_domains() {
    local others
    # shellcheck disable=SC2016
    dpkg --compare-versions "$(dpkg-query -W -f='${Version}' nova-compute)" ge 2:28 || return 0
    others=$(virsh_lab list --all --name | paste -sd' ')
    [[ -z ${others// /} ]] ||
        die "this release's nova-compute does not begin where libvirt has domains already: $others"
}

# Nova by itself would see only ten minutes after the next start that its guests are gone.
record_guests_stopped() {
    is_ready mariadb && is_done database-nova || return 0
    sql <<<"UPDATE nova.instances SET vm_state = 'stopped', power_state = 4, task_state = NULL
        WHERE deleted = 0 AND host = '$LAB_HOST'
        AND vm_state IN ('active', 'paused', 'suspended');"
}
