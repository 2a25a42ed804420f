# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Templates in conf/ become files in the lab: conf/<service>/<file>.in -> $LAB/etc/<service>/<file>.

# queues_are KINDS YES NO
queues_are() {
    if grep -qxE "$1" "$LAB/etc/queues"; then printf '%s' "$2"; else printf '%s' "$3"; fi
}

# The sed script that fills in the placeholders.
placeholders() {
    local name
    for name in rabbitmq rabbitmq-dist epmd mariadb keystone glance-api cinder-api placement \
        nova-api neutron-stub ceph-mon ceph-mon-v1 ceph-first ceph-last; do
        printf 's|@PORT_%s@|%s|g;' "$name" "$(port_of "$name")"
    done
    printf '%s' "s|@LAB@|$LAB|g;s|@ID@|$LAB_ID|g;s|@PASSWORD@|$LAB_PASSWORD|g;s|@HOST@|$LAB_HOST|g;" \
        "s|@DOMAIN_PREFIX@|$LAB_DOMAIN_PREFIX|g;s|@PORT_BASE@|$LAB_PORT_BASE|g;" \
        "s|@QUORUM_QUEUES@|$(queues_are 'quorum|newest' true false)|g;" \
        "s|@NEWEST_QUEUES@|$(queues_are newest true false)|g;s|@PREFETCH@|$(queues_are newest 1 0)|g;" \
        "s|@TRANSPORT_URL@|rabbit://openstack:$LAB_PASSWORD@127.0.0.1:$(port_of rabbitmq)/|g;" \
        "s|@AUTH_URL@|http://127.0.0.1:$(port_of keystone)/v3|g;" \
        "s|@DATABASE_SERVER@|mysql+pymysql://lab:$LAB_PASSWORD@127.0.0.1:$(port_of mariadb)|g;" \
        "s|@CINDER_TYPES@|$(cinder_types | paste -sd' ')|g;" \
        "s|@CINDER_BACKENDS@|$(cinder_types | paste -sd,)|g;" \
        "s|@CINDER_DEFAULT_TYPE@|$(cinder_default_type)|g;" \
        "s|@GLANCE_STORES@|file,http$(! has_part ceph || printf ,rbd)|g;"
}

# render SCRIPT FROM TO
render() {
    local script=$1 from=$2 to=$3
    (umask 077 && sed "$script" "$from" >"$to.new")
    if grep -Hn '@[A-Z_]*@' "$to.new" >&2; then
        die "$from: unknown placeholder"
    fi
    mv -- "$to.new" "$to"
}

# The services' own paste files, as their Debian packages ship them, not as /etc has them.
copy_packaged() {
    install -m 0600 /usr/share/nova-common/api-paste.ini "$LAB/etc/nova/api-paste.ini"
    install -m 0600 /usr/share/cinder-common/api-paste.ini "$LAB/etc/cinder/api-paste.ini"
    install -m 0600 /usr/share/glance-common/glance-api-paste.ini \
        /usr/share/glance-common/schema-image.json "$LAB/etc/glance/"
}

write_config() {
    local script template relative
    script=$(placeholders)
    while IFS= read -r template; do
        relative=${template#"$LAB_CODE/conf/"}
        relative=${relative%.in}
        case $relative in
        ceph/* | nfs/*) has_part "${relative%%/*}" || continue ;;&
        */*)
            mkdir -p "$LAB/etc/${relative%/*}"
            render "$script" "$template" "$LAB/etc/$relative"
            ;;
        *) render "$script" "$template" "$LAB/$relative" ;;
        esac
    done < <(find "$LAB_CODE/conf" -name '*.in' | sort)
    copy_packaged
    printf '{}\n' >"$LAB/etc/policy.yaml"
    install -m 0755 "$LAB/etc/rabbitmq/rabbitmqctl" "$LAB/bin/rabbitmqctl"
}
