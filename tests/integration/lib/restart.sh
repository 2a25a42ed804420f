# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Commands on a domain that stand still at a failpoint below $STATE, and libvirtd that dies meanwhile
# and is there again: the one of own_libvirtd alone, nobody else's. Sourced after guest.sh.
OWN_LIBVIRTD=/run/libvirt/own/libvirtd

await_failpoint() { # the command's pid: until it stands still, or has ended
    for _ in $(seq 1200); do
        [ -e "$STATE/failpoint.reached" ] && return
        kill -0 "$1" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
release_failpoint() { rm -f "$STATE/failpoint" "$STATE/failpoint.reached"; }

has_own_libvirtd() {
    [ -s "$OWN_LIBVIRTD.pid" ] && return
    result 0 "libvirtd dies in the middle # SKIP it is not own_libvirtd's"
    return 1
}
restart_libvirtd() { # command...: run while there is none
    local pid
    pid=$(cat "$OWN_LIBVIRTD.pid")
    kill -KILL "$pid"
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    "$@"
    # It outlives this test, as the first one: own_libvirtd may have others to run.
    /usr/sbin/libvirtd --pid-file "$OWN_LIBVIRTD.pid" </dev/null >>"$OWN_LIBVIRTD.log" 2>&1 &
    disown
    for _ in $(seq 600); do
        $VIRSH version >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "Bail out! libvirtd does not come back: $(tail -n 3 "$OWN_LIBVIRTD.log")"
    exit 1
}

# break_at POINT COMMAND...: the command is killed there, or lives through libvirtd's death, by $broken_by.
# Leaves its status; what it has said is in $DIR/said.
broken_by='kill'
break_at() {
    local status
    [ $broken_by = kill ] || { through_restart "$@"; return; }
    release_failpoint
    echo "$1 kill" >"$STATE/failpoint"
    ("${@:2}" >"$DIR/said") 2>"$DIR/shells"
    status=$?
    [ $status -eq 137 ]
    result $? "killed at $1: is come by" "$(cat "$DIR/said")"
    release_failpoint
    return $status
}

# Begins a command that stands still at POINT: its pid is $pid, what it says comes to $DIR/said.
hold_command() { # point command...
    release_failpoint
    echo "$1 hold" >"$STATE/failpoint"
    "${@:2}" >"$DIR/said" &
    pid=$!
    await_failpoint "$pid" || { echo "Bail out! $1 is not reached: $(cat "$DIR/said")"; exit 1; }
}
# A failpoint holds for two minutes: what was held longer has gone on by itself, and was not tried.
go_on() { # leaves the command's status
    [ -e "$STATE/failpoint.reached" ] || { echo "Bail out! it did not wait"; exit 1; }
    release_failpoint
    wait "$pid"
}

# through_restart POINT COMMAND...: the command stands still at POINT while libvirtd dies and is there
# again, and goes on; where $goes_on_without is set, it goes on while there is none. Leaves its status;
# what it has said is in $DIR/said.
goes_on_without=''
through_restart() {
    local point=$1 pid
    shift
    release_failpoint
    echo "$point hold" >"$STATE/failpoint"
    "$@" >"$DIR/said" &
    pid=$!
    await_failpoint $pid
    result $? "libvirtd dies at $point${goes_on_without:+, and is missed}: is come by" "$(cat "$DIR/said")"
    restart_libvirtd ${goes_on_without:+go_on_without}
    release_failpoint
    wait $pid
}
go_on_without() {
    release_failpoint
    sleep 2
}
test_restarts_missed() {
    rm -f "$DISKS"/{restarted,rested,elsewhere,killed,dies}* "$DIR"/*.console # of the guests of before
    goes_on_without=yes test_restarts
}
