# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The services by name: start one, see whether it is ready, stop it, tell its state.

lab_services() {
    printf '%s\n' virtlogd libvirtd mariadb rabbitmq
    ! has_part ceph || printf '%s\n' ceph-mon ceph-osd ceph-mgr
    printf '%s\n' keystone glance-api placement neutron-stub cinder-api cinder-scheduler \
        cinder-volume nova-conductor nova-scheduler nova-api nova-compute
}

launch() {
    case $1 in
    mariadb) start_mariadb ;;
    rabbitmq) start_rabbitmq ;;
    ceph-mon) start_ceph_mon ;;
    ceph-osd) start_ceph_osd ;;
    ceph-mgr) start_ceph ceph-mgr a ;;
    keystone) start_keystone ;;
    placement) start_placement ;;
    neutron-stub) start_neutron_stub ;;
    nova-api) start_nova_api ;;
    nova-compute) start_daemon "$1" nova/nova.conf nova/nova-compute.conf ;;
    nova-*) start_daemon "$1" nova/nova.conf nova/nova-controller.conf ;;
    glance-api) start_daemon "$1" glance/glance-api.conf ;;
    cinder-*) start_daemon "$1" cinder/cinder.conf ;;
    virtlogd) start_virtlogd ;;
    libvirtd) start_libvirtd ;;
    esac
}

# The queues whose consumers show that a service without a port of its own is at work.
queues_of() {
    case $1 in
    nova-conductor) printf 'conductor\n' ;;
    nova-scheduler) printf 'scheduler\n' ;;
    nova-compute) printf 'compute.%s\n' "$LAB_HOST" ;;
    cinder-scheduler) printf 'cinder-scheduler\n' ;;
    cinder-volume) cinder_types | sed 's/^/cinder-volume.lab@/' ;;
    esac
}

known_service() {
    lab_services | grep -xF -- "$1" >/dev/null ||
        die "unknown service '$1'; the lab has: $(lab_services | paste -sd' ')"
}

is_external() {
    case $1 in
    virtlogd) runs_elsewhere virtlogd ;;
    libvirtd) [[ -z $(main_pid libvirtd) ]] && libvirt_answers ;;
    *) return 1 ;;
    esac
}

port_answers() {
    [[ -n $(ss -Hltn "sport = :$1") ]]
}

http_answers() {
    local code
    code=$(curl -s -o /dev/null -m 20 -w '%{http_code}' "http://127.0.0.1:$1/") || return 1
    ((code >= 200 && code < 500))
}

is_ready() {
    case $1 in
    mariadb) sql <<<'SELECT 1' >/dev/null 2>&1 ;;
    rabbitmq) port_answers "$(port_of rabbitmq)" ;;
    virtlogd) [[ -S /run/libvirt/virtlogd-sock ]] ;;
    libvirtd) libvirt_answers ;;
    cinder-api | keystone | glance-api | placement | neutron-stub | nova-api)
        http_answers "$(port_of "$1")"
        ;;
    ceph-mon) ceph_lab mon stat >/dev/null 2>&1 ;;
    ceph-osd) ceph_osd_is_up ;;
    ceph-mgr) ceph_reports ;;
    *) queues_are_served "$1" ;;
    esac
}

queues_are_served() {
    local -a queues
    mapfile -t queues < <(queues_of "$1")
    /usr/bin/python3 "$LAB_CODE/lib/consumer_count.py" "$(transport_url)" "${queues[@]}"
}

transport_url() {
    printf 'amqp://openstack:%s@127.0.0.1:%s/' "$LAB_PASSWORD" "$(port_of rabbitmq)"
}

# What `status` prints. Quick: a live main process that listens where it should.
state_of() {
    local port
    if is_external "$1"; then
        printf external
    elif [[ -z $(main_pid "$1") ]]; then
        printf dead
    else
        port=$(port_of "$1")
        if [[ -z $port ]] || port_answers "$port"; then printf ok; else printf 'no-answer'; fi
    fi
}

require_free_ports() {
    local name=$1 port owner
    local -a names=("$name")
    [[ $name != rabbitmq ]] || names+=(rabbitmq-dist epmd)
    [[ $name != ceph-mon ]] || names+=(ceph-mon-v1)
    for name in "${names[@]}"; do
        port=$(port_of "$name")
        [[ -n $port ]] || continue
        owner=$(ss -Hltnp "sport = :$port" | grep -o 'users:.*' || :)
        ! port_answers "$port" ||
            die "port $port ($name) is taken by ${owner:-another process}; set another LAB_PORT_BASE"
    done
}

begin_service() {
    require_free_ports "$1"
    launch "$1"
}

await_ready() {
    local name=$1 deadline=$((SECONDS + 120))
    until is_ready "$name"; do
        if [[ -z $(main_pid "$name") ]]; then
            show_tail "$LAB/log/$name.log"
            die "$name ended while starting"
        fi
        if ((SECONDS >= deadline)); then
            show_tail "$LAB/log/$name.log"
            die "$name is not ready after 120 s"
        fi
        sleep 0.2
    done
}

# start_services NAME...: those that are not up, together; LAB_STARTED counts them.
start_services() {
    local name start
    local -a waiting=()
    local -A started=()
    start=$(now_ms)
    for name in "$@"; do
        case $(state_of "$name") in
        ok) waiting+=("$name") ;;
        external) say "$name runs on this machine already and is used as it is" ;;
        *)
            stop_processes "$name"
            begin_service "$name"
            waiting+=("$name")
            started[$name]=1
            ;;
        esac
    done
    for name in "${waiting[@]}"; do
        await_ready "$name"
        [[ -z ${started[$name]:-} ]] ||
            say "$(printf '%-34s %s' "$name is up" "$(seconds_since "$start")")"
    done
    LAB_STARTED=$((${LAB_STARTED:-0} + ${#started[@]}))
}

# All are asked to end before the first is waited for.
stop_services() {
    local name pid
    local -a running=()
    for name in "$@"; do
        [[ -n $(lab_pids "$name") ]] || continue
        running+=("$name")
        pid=$(main_pid "$name")
        [[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null || :
    done
    for name in "${running[@]}"; do
        step "$name is down" stop_processes "$name"
    done
}
