# SPDX-License-Identifier: Apache-2.0
"""The lab's services as things that die, stand still and come back, and what only root can see."""

import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration", "lib"))

from cloud import (LAB, REPO, Cloud, cast_snapshot, disk_file, disk_info, flush,  # noqa: E402
                   lab_service, run)
from proxy import Proxy  # noqa: E402

SNAPSHOTS = f"{LAB}/nova/small/snapshots"
SMALL_DISK = f"{LAB}/run/chaos-disk.img"


class NotOurs(Exception):
    """What happened is a fault of the lab's software alone: no row."""


def sql(statement):
    """Rows of an answer of nova's database."""
    out = run("mariadb", "--no-defaults", "--user=root", f"--socket={LAB}/mariadb/mariadb.sock",
              "--batch", "--skip-column-names", "nova", "-e", statement)
    return [line.split("\t") for line in out.splitlines()]


def processes_of(service):
    """Every process of a lab's service: each carries the lab's mark in its environment."""
    with open(f"{LAB}/etc/id", encoding="ascii") as file:
        mark = f"NOVA_SNAPSHOT_LAB_SERVICE={file.read().strip()}:{service}\0".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ:
                if mark in environ.read() + b"\0":
                    found.append(int(pid))
        except OSError:
            pass
    return found


def signal_service(service, number):
    for pid in processes_of(service):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Down:
    """A service that dies at once and is started again in the end."""

    def __init__(self, service):
        self.service = service

    def begin(self):
        signal_service(self.service, signal.SIGKILL)

    def end(self):
        lab_service("start", self.service)


class Still:
    """A service that stands still: connections are made and nothing answers."""

    def __init__(self, service):
        self.service = service

    def begin(self):
        signal_service(self.service, signal.SIGSTOP)

    def end(self):
        signal_service(self.service, signal.SIGCONT)


class BrokerDown:
    """RabbitMQ loses every connection and all that is not durable."""

    def __init__(self, cloud):
        self.ctl = cloud.env["LAB_RABBITMQCTL"]

    def begin(self):
        run(self.ctl, "-q", "stop_app")

    def end(self):
        run(self.ctl, "-q", "start_app")


def mount_small_disk(size_mib=1536):
    """A small file system of its own for the agent's files, so that it can be filled."""
    folder = os.path.dirname(SNAPSHOTS)
    os.makedirs(folder, exist_ok=True)
    if not os.path.ismount(folder):
        with open(SMALL_DISK, "wb") as out:
            out.truncate(size_mib << 20)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", SMALL_DISK)
        run("mount", "-o", "loop", SMALL_DISK, folder)
        os.chmod(folder, 0o711)
        subprocess.run(["rmdir", f"{folder}/lost+found"], check=False)
    return folder


def unmount_small_disk():
    folder = os.path.dirname(SNAPSHOTS)
    if os.path.ismount(folder):
        run("umount", folder)
    if os.path.exists(SMALL_DISK):
        os.unlink(SMALL_DISK)


class DiskFull:
    """Nothing can be written into the agent's file system any more."""

    path = f"{os.path.dirname(SNAPSHOTS)}/filler"

    def begin(self):
        size = 1 << 30
        with open(self.path, "wb", buffering=0) as out:
            while size >= 4096:
                try:
                    os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, size)
                except OSError:
                    size //= 2

    def end(self):
        if os.path.exists(self.path):
            os.unlink(self.path)


def helper_processes():
    """qemu-img, qemu-nbd and qemu-io at work on the lab's files."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                words = cmdline.read().split(b"\0")
        except OSError:
            continue
        program = os.path.basename(words[0]).decode(errors="replace")
        if program in ("qemu-img", "qemu-nbd", "qemu-io") and any(
                LAB.encode() in word for word in words):
            found.append((int(pid), program))
    return found


def wait_until(check, timeout, interval=0.2):
    """The first true value of check(), or its last one."""
    deadline = time.monotonic() + timeout
    value = check()
    while not value and time.monotonic() < deadline:
        time.sleep(interval)
        value = check()
    return value


__all__ = ["LAB", "REPO", "SNAPSHOTS", "BrokerDown", "Cloud", "DiskFull", "Down", "NotOurs",
           "Proxy", "Still", "cast_snapshot", "disk_file", "disk_info", "flush", "helper_processes",
           "lab_service", "mount_small_disk", "processes_of", "run", "signal_service", "sql",
           "unmount_small_disk", "wait_until"]
