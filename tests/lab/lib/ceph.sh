# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Ceph on one node, part `ceph`: a monitor, an OSD on a sparse file, a manager. No keys.

ceph_lab() {
    timeout 30 ceph --conf "$LAB/etc/ceph/ceph.conf" --connect-timeout 5 "$@"
}

# ceph_mkfs NAME ARGUMENT...: makes the data of a daemon.
ceph_mkfs() {
    local name=$1 log=$LAB/log/$1-mkfs.log
    shift
    "$name" --conf "$LAB/etc/ceph/ceph.conf" --mkfs "$@" >"$log" 2>&1 || {
        show_tail "$log"
        die "making the data of $name failed"
    }
    mark_done "$name"
}

# A monitor made anew knows nothing of an OSD or pools that there were.
make_ceph_mon() {
    is_done ceph-mon && return 0
    rm -rf -- "$LAB/ceph" "$LAB/done/ceph-osd" "$LAB/done/ceph-pools"
    mkdir -m 0700 "$LAB/ceph" "$LAB/ceph"/{mon,osd,mgr,run,crash}
    monmaptool --create --fsid "$(</proc/sys/kernel/random/uuid)" --addv a \
        "[v2:127.0.0.1:$(port_of ceph-mon),v1:127.0.0.1:$(port_of ceph-mon-v1)]" \
        "$LAB/ceph/monmap" >/dev/null
    ceph_mkfs ceph-mon -i a --monmap "$LAB/ceph/monmap"
}

make_ceph_osd() {
    local uuid
    is_done ceph-osd && return 0
    rm -rf -- "$LAB/ceph/osd"
    mkdir -m 0700 "$LAB/ceph/osd"
    # The same UUID gets the same number, 0, however often it is asked for.
    write_once "$LAB/ceph/osd.uuid" "$(</proc/sys/kernel/random/uuid)"
    uuid=$(<"$LAB/ceph/osd.uuid")
    ceph_lab osd new "$uuid" >/dev/null
    ceph_mkfs ceph-osd -i 0 --osd-uuid "$uuid"
}

# start_ceph NAME ID
start_ceph() {
    spawn "$1" "/usr/bin/$1" --conf "$LAB/etc/ceph/ceph.conf" -i "$2" -f
}

start_ceph_mon() {
    make_ceph_mon
    start_ceph ceph-mon a
}

start_ceph_osd() {
    make_ceph_osd
    start_ceph ceph-osd 0
}

ceph_osd_is_up() {
    ceph_lab -f json osd stat 2>/dev/null | jq -e '.num_up_osds == 1' >/dev/null
}

# Cinder and Nova read sizes from `ceph df`, which the manager fills.
ceph_reports() {
    local pools='[]'
    ! is_done ceph-pools || pools='["images", "vms", "volumes"]'
    ceph_lab -f json df 2>/dev/null | jq -e --argjson pools "$pools" \
        '.stats.total_bytes > 0 and ($pools - [.pools[].name] == [])' >/dev/null
}

make_ceph_pools() {
    local pool pid
    local -a pids=()
    for pool in images vms volumes; do
        ceph_lab osd pool create "$pool" >/dev/null 2>>"$LAB/log/ceph-pools.log"
        rbd --conf "$LAB/etc/ceph/ceph.conf" pool init "$pool" >>"$LAB/log/ceph-pools.log" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || {
            show_tail "$LAB/log/ceph-pools.log"
            die "making the pools of Ceph failed"
        }
    done
}

start_ceph_cluster() {
    start_services ceph-mon
    start_services ceph-osd ceph-mgr
    is_done ceph-pools && return 0
    once ceph-pools "pools of Ceph" make_ceph_pools
    step "Ceph reports its pools" await_ready ceph-mgr
}
