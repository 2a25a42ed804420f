# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The optional parts of a lab, storage backends: asked for once, kept in its folder.

recorded_parts() {
    [[ ! -s $LAB/etc/parts ]] || cat "$LAB/etc/parts"
}

# parts_with PART...: those the lab has and those that are asked for, each once.
parts_with() {
    local part
    local -A wanted=()
    for part in $(recorded_parts) "$@"; do
        [[ $part == ceph || $part == nfs ]] || die "unknown part '$part'; there are: ceph nfs"
        wanted[$part]=1
    done
    printf '%s' "${wanted[ceph]:+ceph }${wanted[nfs]:+nfs}"
}

has_part() {
    [[ " $LAB_PARTS " == *" $1 "* ]]
}

record_parts() {
    [[ -n $1 ]] || return 0
    LAB_PARTS=$1
    printf '%s\n' "$LAB_PARTS" >"$LAB/etc/parts.new"
    mv -- "$LAB/etc/parts.new" "$LAB/etc/parts"
}

# Cinder's backends and volume types of the same names.
cinder_types() {
    printf '%s\n' fake
    ! has_part ceph || printf '%s\n' ceph
    ! has_part nfs || printf '%s\n' nfs
}

# The type of untyped volumes, with a backend of its own once there are several.
cinder_default_type() {
    if [[ -n $LAB_PARTS ]]; then printf fake; else printf __DEFAULT__; fi
}

# What the daemons find in their environment: VAR=value a line.
part_environment() {
    ! has_part ceph || printf 'CEPH_CONF=%s\n' "$LAB/etc/ceph/ceph.conf"
    ! has_part nfs || printf 'PATH=%s\n' "$LAB/bin:$LAB_PATH"
}

# Services that run without a part that is new get its configuration when they start again.
restart_for_parts() {
    local part
    for part in $LAB_PARTS; do
        is_done "part-$part" && continue
        stop_services nova-compute cinder-volume cinder-api glance-api
        mark_done "part-$part"
    done
}

make_volume_types() {
    local -a types
    mapfile -t types < <(cinder_types)
    as_admin "$LAB_CODE/lib/volume_types.py" "${types[@]}"
}
