# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Names, messages, the clock, the lock: what every other part of the lab uses.

LAB_CODE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB=$(realpath -ms -- "$("$LAB_CODE/folder")")
LAB_PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH=$LAB_PATH LC_ALL=C.UTF-8

say() {
    printf 'lab: %s\n' "$*"
}

die() {
    printf 'lab: error: %s\n' "$*" >&2
    exit 1
}

# The end of a log, to say why something failed.
show_tail() {
    [[ -s $1 ]] || return 0
    printf -- '--- last lines of %s\n' "$1" >&2
    tail -n 25 -- "$1" | cut -c -400 >&2
    printf -- '---\n' >&2
}

now_ms() {
    printf '%s' "$((${EPOCHREALTIME/./} / 1000))"
}

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step TEXT COMMAND...: runs the command and prints one line with the seconds it took.
step() {
    local text=$1 start
    start=$(now_ms)
    shift
    "$@"
    say "$(printf '%-34s %s' "$text" "$(seconds_since "$start")")"
}

is_done() {
    [[ -e $LAB/done/$1 ]]
}

# A bootstrap step counts only once it has ended well: one cut off midway is made again.
mark_done() {
    mkdir -p "$LAB/done"
    : >"$LAB/done/$1"
}

need_root() {
    ((EUID == 0)) || die "the lab starts system services: run it as root"
}

# One lab command at a time; the lock is not inherited by the services (see spawn).
take_lock() {
    mkdir -p "$LAB"
    exec 9>"$LAB/lock"
    flock -w 600 9 || die "another lab command has been running in $LAB for 10 minutes"
}
