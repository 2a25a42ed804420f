# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What is made once: databases, identities, the cell, flavors.

keystone_tables() {
    local -a manage=(keystone-manage --config-file "$LAB/etc/keystone/keystone.conf")
    local user=(--keystone-user root --keystone-group root) url
    url=http://127.0.0.1:$(port_of keystone)/v3
    rm -rf -- "$LAB/keystone"
    mkdir -m 0700 "$LAB/keystone"
    "${manage[@]}" db_sync
    "${manage[@]}" fernet_setup "${user[@]}"
    "${manage[@]}" credential_setup "${user[@]}"
    OS_BOOTSTRAP_PASSWORD=$LAB_PASSWORD "${manage[@]}" bootstrap --bootstrap-region-id RegionOne \
        --bootstrap-admin-url "$url" --bootstrap-internal-url "$url" --bootstrap-public-url "$url"
}

glance_tables() {
    glance-manage --config-file "$LAB/etc/glance/glance-api.conf" db_sync
}

cinder_tables() {
    cinder-manage --config-file "$LAB/etc/cinder/cinder.conf" db sync
}

placement_tables() {
    placement-manage --config-file "$LAB/etc/placement/placement.conf" db sync
}

# In a session, as the services: oslo.messaging's queue manager asks for its process group's first one,
# which in tests/lab/inside would be a process outside.
nova_tables() {
    setsid --wait /usr/bin/python3 "$LAB_CODE/lib/nova_tables.py" "$LAB/etc/nova/nova.conf" \
        "$LAB/etc/nova/nova-controller.conf"
}

databases_of() {
    case $1 in
    nova) printf 'nova nova_api nova_cell0' ;;
    *) printf '%s' "$1" ;;
    esac
}

# Made from nothing each time: a migration that was cut off midway cannot be resumed.
empty_databases() {
    local name
    {
        for name in $(databases_of "$1"); do
            printf 'DROP DATABASE IF EXISTS %s; CREATE DATABASE %s;\n' "$name" "$name"
        done
        printf "CREATE USER IF NOT EXISTS lab@'127.0.0.1' IDENTIFIED BY '%s';\n" "$LAB_PASSWORD"
        printf "GRANT ALL ON *.* TO lab@'127.0.0.1';\n"
    } | sql
}

# It keeps the lock open: when `up` is killed, the next one waits until this has ended.
make_database() (
    empty_databases "$1"
    export HOME=$LAB/home
    "$1_tables"
) >"$LAB/log/database-$1.log" 2>&1 </dev/null

make_databases() {
    local name pid
    local -A pids=()
    for name in nova cinder keystone glance placement; do
        is_done "database-$name" && continue
        make_database "$name" &
        pids[$name]=$!
    done
    for name in "${!pids[@]}"; do
        pid=${pids[$name]}
        if ! wait "$pid"; then
            show_tail "$LAB/log/database-$name.log"
            die "making the database of $name failed"
        fi
        mark_done "database-$name"
    done
}

# once NAME TEXT COMMAND...: a step whose result lasts.
once() {
    local name=$1 text=$2
    shift 2
    is_done "$name" && return 0
    step "$text" "$@"
    mark_done "$name"
}

# Python that talks to the APIs as the administrator.
as_admin() (
    # shellcheck source=/dev/null
    . "$LAB/env.sh"
    exec /usr/bin/python3 -B "$@"
)

make_identities() {
    as_admin "$LAB_CODE/lib/identities.py" glance="$(port_of glance-api)" \
        cinder="$(port_of cinder-api)" nova="$(port_of nova-api)" \
        placement="$(port_of placement)" neutron="$(port_of neutron-stub)"
}

make_flavors() {
    as_admin "$LAB_CODE/lib/flavors.py"
}

# nova-compute has to have reported itself before its host can be mapped to the cell.
map_compute_host() {
    local deadline=$((SECONDS + 90)) log=$LAB/log/discover-hosts.log
    local -a manage=(setsid --wait nova-manage --config-file "$LAB/etc/nova/nova.conf"
        --config-file "$LAB/etc/nova/nova-controller.conf")
    until "${manage[@]}" cell_v2 discover_hosts --verbose >"$log" 2>&1 && grep -q "$LAB_HOST" "$log"; do
        if ((SECONDS >= deadline)); then
            show_tail "$log"
            show_tail "$LAB/log/nova-compute.log"
            die "nova-compute on $LAB_HOST did not report itself to Nova within 90 s"
        fi
        sleep 1
    done
}

# The scheduler passes over a host whose last report is older than a minute, as after a pause.
wait_compute_host() {
    as_admin "$LAB_CODE/lib/wait_compute.py" "http://127.0.0.1:$(port_of nova-api)" "$LAB_HOST" 60
}
