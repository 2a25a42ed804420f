# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Processes of the lab. Each carries NOVA_SNAPSHOT_LAB_SERVICE=<lab's id>:<name> in its environment,
# which its children inherit: that, not a pid alone, says that a process is ours. A path would not do
# for the id: a lab in a container may have the same.

lab_mark() {
    printf 'NOVA_SNAPSHOT_LAB_SERVICE=%s:%s' "$LAB_ID" "$1"
}

# Every process of a service, children and orphans of a killed parent included.
lab_pids() {
    local file
    while IFS= read -r file; do
        file=${file#/proc/}
        printf '%s\n' "${file%/environ}"
    done < <(grep -lzsFx -- "$(lab_mark "$1")" /proc/[0-9]*/environ)
}

is_ours() {
    grep -qzsFx -- "$(lab_mark "$2")" "/proc/$1/environ"
}

# The main process of a service, or nothing.
main_pid() {
    local pid=
    [[ ! -s $LAB/run/$1.pid ]] || pid=$(<"$LAB/run/$1.pid")
    [[ $pid =~ ^[0-9]+$ ]] || return 0
    ! is_ours "$pid" "$1" || printf '%s' "$pid"
}

# spawn NAME [VAR=value...] COMMAND...: in a session of its own, output appended to its log. Until it
# is known by its mark it would be taken for one that has ended.
spawn() {
    local name=$1 pid deadline=$((SECONDS + 20))
    shift
    (
        cd "$LAB" || exit
        exec 9>&-
        exec setsid env -i PATH="$LAB_PATH" HOME="$LAB/home" LANG=C.UTF-8 "$(lab_mark "$name")" "$@"
    ) </dev/null >>"$LAB/log/$name.log" 2>&1 &
    pid=$!
    printf '%s\n' "$pid" >"$LAB/run/$name.pid"
    until is_ours "$pid" "$name" || ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); do
        sleep 0.02
    done
}

signal_all() {
    local signal=$1 pid
    shift
    for pid in "$@"; do
        kill "-$signal" "$pid" 2>/dev/null || :
    done
}

# await_exit NAME SECONDS [main]: waits for all processes of a service, or for its main one.
await_exit() {
    local name=$1 deadline=$((SECONDS + $2)) what=${3:-all}
    while ((SECONDS < deadline)); do
        if [[ $what == main ]]; then
            [[ -n $(main_pid "$name") ]] || return 0
        else
            [[ -n $(lab_pids "$name") ]] || return 0
        fi
        sleep 0.1
    done
    return 1
}

# Asks the main process to end, then ends whatever it left behind.
stop_processes() {
    local name=$1 main
    main=$(main_pid "$name")
    if [[ -n $main ]]; then
        kill -TERM "$main" 2>/dev/null || :
        await_exit "$name" 20 main || kill -KILL "$main" 2>/dev/null || :
    fi
    end_leftovers "$name"
    rm -f -- "$LAB/run/$name.pid"
}

end_leftovers() {
    local name=$1
    mapfile -t pids < <(lab_pids "$name")
    ((${#pids[@]})) || return 0
    signal_all TERM "${pids[@]}"
    await_exit "$name" 3 && return 0
    mapfile -t pids < <(lab_pids "$name")
    signal_all KILL "${pids[@]}"
    await_exit "$name" 5 || die "processes of $name do not end: $(lab_pids "$name" | tr '\n' ' ')"
}
