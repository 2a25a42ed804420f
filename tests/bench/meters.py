# SPDX-License-Identifier: Apache-2.0
"""What processes use, as the kernel counts it."""

import os
import threading
import time
from dataclasses import dataclass

from paths import MIB, STAGING

TICKS = os.sysconf("SC_CLK_TCK")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return lines.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    return [int(child) for thread in threads
            for child in read(f"/proc/{pid}/task/{thread}/children").split()]


def tree(pid):
    """The process and all below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def field_of(path, name, default=0):
    for line in read(path).splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return default


def cpu_s(pid):
    """With the children that have ended."""
    stat = read(f"/proc/{pid}/stat")
    return sum(map(int, stat.rpartition(")")[2].split()[11:15])) / TICKS if stat else 0.0


def written(pid):
    """
    Bytes sent towards the disk, deleted files and those without a name included; the kernel adds
    those of children that have ended.
    """
    return field_of(f"/proc/{pid}/io", "write_bytes")


def rss_mib(pid):
    return field_of(f"/proc/{pid}/status", "VmRSS") * 1024 / MIB


def anonymous_mib(pid):
    """Of that what is nobody else's: without the pages of programs and libraries."""
    return field_of(f"/proc/{pid}/status", "RssAnon") * 1024 / MIB


def peak_rss_mib(pid):
    return field_of(f"/proc/{pid}/status", "VmHWM") * 1024 / MIB


def reset_peak_rss(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as out:
        out.write("5\n")


@dataclass
class Usage:
    cpu_s: float = 0.0
    written: int = 0

    def __sub__(self, before):
        return Usage(self.cpu_s - before.cpu_s, self.written - before.written)


def usage(pids):
    return Usage(sum(map(cpu_s, pids)), sum(map(written, pids)))


def qemu_pid(server):
    """The process of a guest."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = read(f"/proc/{pid}/cmdline").split("\0")
        if "qemu" in words[0] and server in words:
            return int(pid)
    raise AssertionError(f"no process of guest {server}")


def loopback_bytes():
    """
    All the lab's traffic: beside a body it is a few hundred KiB. Nobody's own count is needed, and a
    body that was sent twice shows.
    """
    line = next(line for line in read("/proc/net/dev").splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[9])


def allocated(folder):
    """Bytes below it on the disk, now."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{where}/{name}").st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Sampler(threading.Thread):
    """While a snapshot is taken: the most room staging took, the most memory of helpers."""

    interval_s = 0.05

    def __init__(self, parents):
        super().__init__(daemon=True)
        self.parents = parents
        self.over = threading.Event()
        self.before = allocated(STAGING)
        self.space = 0
        self.helpers_mib = 0.0

    def run(self):
        while not self.over.wait(self.interval_s):
            self.sample()

    def sample(self):
        self.space = max(self.space, allocated(STAGING) - self.before)
        below = {p for parent in self.parents for p in tree(parent)} - set(self.parents)
        self.helpers_mib = max(self.helpers_mib, sum(map(rss_mib, below)))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Stopwatch:
    """CPU seconds of a program that is waited for, and its time."""

    def __enter__(self):
        self.begin, self.before = time.monotonic(), os.times()
        return self

    def __exit__(self, *_):
        now = os.times()
        self.seconds = time.monotonic() - self.begin
        self.cpu_s = now.children_user + now.children_system - \
            self.before.children_user - self.before.children_system
