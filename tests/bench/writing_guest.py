# SPDX-License-Identifier: Apache-2.0
"""A guest that writes all the time and tells on its console how long its writes take."""

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass

from paths import LAB, MIB, TESTS, wait_until

RAM_MIB = 256
SETTLE_S = 20
IMAGE = "bench-initramfs"
LINE = re.compile(rb"^writes (\d+) sum_us (\d+) max_us (\d+)\r?$", re.MULTILINE)

# The lab's initramfs has busybox and the modules; this is unpacked over it.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
until [ -b /dev/vda ]; do sleep 1; done
exec /bench-writer /dev/vda "$bench_first_mib" "$bench_count_mib"
"""


@dataclass
class Latency:
    mean_us: float
    max_us: int


def properties(cloud, layout):
    """Of its image. It writes where its overlay has data, so that every snapshot finds the same."""
    like = cloud.glance("GET", "/v2/images?name=lab-agent").json()["images"][0]
    return {"kernel_id": like["kernel_id"], "ramdisk_id": upload_initramfs(cloud),
            "os_command_line": "console=ttyS0 panic=1 quiet rdinit=/bench-init "
                               f"bench_first_mib={layout.half // MIB} "
                               f"bench_count_mib={layout.half // MIB}"}


def upload_initramfs(cloud):
    image = cloud.glance("POST", "/v2/images", json={
        "name": IMAGE, "disk_format": "ari", "container_format": "ari"}).json()["id"]
    with tempfile.TemporaryDirectory(prefix="nova-snapshot-bench-") as folder:
        with open(f"{LAB}/guest/initramfs", "rb") as lab:
            data = lab.read() + build_overlay(folder)
    cloud.glance("PUT", f"/v2/images/{image}/file", data=data,
                 headers={"Content-Type": "application/octet-stream"})
    return image


def build_overlay(folder):
    """A second archive: the kernel unpacks one after the other."""
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-static", "-O2", f"{TESTS}/bench/guest_writer.c",
                    "-o", f"{folder}/bench-writer"], check=True)
    with open(f"{folder}/bench-init", "w", encoding="ascii") as out:
        out.write(INIT)
    os.chmod(f"{folder}/bench-init", 0o755)
    return subprocess.run("printf 'bench-init\\nbench-writer\\n' | cpio -o -H newc --quiet | gzip -1",
                          shell=True, cwd=folder, check=True, stdout=subprocess.PIPE).stdout


def await_start(guest):
    """Until it writes as it will from then on."""
    if not wait_until(lambda: LINE.search(told_since(guest, 0)), 120, 0.5):
        raise AssertionError(f"the guest does not write: {told_since(guest, 0)[-500:]}")
    time.sleep(SETTLE_S)


def mark(guest):
    """A point in time: to be given to latency_since()."""
    return os.path.getsize(guest.console)


def told_since(guest, offset):
    if not os.path.exists(guest.console):
        return b""
    with open(guest.console, "rb") as console:
        console.seek(offset)
        return console.read()


def latency_since(guest, offset):
    lines = [tuple(map(int, found)) for found in LINE.findall(told_since(guest, offset))]
    count = sum(line[0] for line in lines)
    if not count:
        raise AssertionError("the guest has not written")
    return Latency(sum(line[1] for line in lines) / count, max(line[2] for line in lines))
