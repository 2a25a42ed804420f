# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The OpenStack services: how each is started.

# serve_wsgi NAME SCRIPT ARGUMENT... -- [VAR=value...]
serve_wsgi() {
    local name=$1 script=$2
    local -a options=()
    shift 2
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    # uwsgi closes each connection after its answer: it has to say so, and to read the whole request
    # first, or clients see a reset.
    spawn "$name" "$@" uwsgi --plugins python3 --http-socket "127.0.0.1:$(port_of "$name")" \
        --wsgi-file "$script" --master --lazy-apps --need-app --die-on-term --enable-threads \
        --buffer-size 65535 "${options[@]}" --rem-header Content-Length \
        --add-header "Connection: close" --post-buffering 65536
}

start_keystone() {
    serve_wsgi keystone /usr/bin/keystone-wsgi-public --processes 2 --threads 4 -- \
        OS_KEYSTONE_CONFIG_FILES="$LAB/etc/keystone/keystone.conf"
}

start_placement() {
    serve_wsgi placement /usr/bin/placement-api --processes 1 --threads 4 -- \
        OS_PLACEMENT_CONFIG_DIR="$LAB/etc/placement"
}

# No --threads: nova uploads the image record of a volume-backed server through eventlet's thread
# pool, which belongs to the first thread that used it; the next one would wait for ever.
start_nova_api() {
    serve_wsgi nova-api /usr/bin/nova-api-wsgi --processes 3 -- \
        OS_NOVA_CONFIG_DIR="$LAB/etc/nova" \
        OS_NOVA_CONFIG_FILES="api-paste.ini;nova.conf;nova-controller.conf;nova-api.conf"
}

start_neutron_stub() {
    spawn neutron-stub /usr/bin/python3 "$LAB_CODE/lib/neutron_stub.py" "$(port_of neutron-stub)"
}

# Where a service keeps its data: file, or rbd once it was switched to that.
backend_of() {
    if [[ -s $LAB/etc/backend-$1 ]]; then cat "$LAB/etc/backend-$1"; else printf file; fi
}

# start_daemon NAME CONFIG_FILE...
start_daemon() {
    local name=$1 file last=${*: -1}
    local -a environment options=(--log-file "$LAB/log/$1.log")
    mapfile -t environment < <(part_environment)
    shift
    [[ $(backend_of "$name") != rbd ]] || set -- "$@" "${last%.conf}-rbd.conf"
    for file in "$@"; do
        options+=(--config-file "$LAB/etc/$file")
    done
    spawn "$name" "${environment[@]}" "/usr/bin/$name" "${options[@]}"
}
