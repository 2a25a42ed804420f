# SPDX-License-Identifier: Apache-2.0
"""The bytes of the guests' disks: random, and the same in every run."""

import os
import random
import subprocess

from paths import MIB, WORK, run
from scenarios import CLUSTER

CHUNKS = 64
WIPED_AT_ONCE = 64 * MIB


def random_file(name, size, seed):
    """A new file with that many bytes that do not compress."""
    path = f"{WORK}/{name}"
    source = random.Random(seed)
    with open(path, "wb") as out:
        while size > 0:
            out.write(source.randbytes(min(size, MIB)))
            size -= MIB
    return path


def base_file(layout):
    """Its zeroes are holes in it, but not in what Glance and nova make of it."""
    path = random_file("base", layout.half, f"base of {layout.name}")
    os.truncate(path, layout.half + layout.base_zeroes)
    return path


def fill_overlay(disk, layout, seed):
    """The guest is stopped: nobody else writes to it."""
    wipe(disk, layout.overlay_zeroes())
    if layout.kind == "scattered":
        write_clusters(disk, layout.extents(), seed)
        return
    data = random_file("overlay", layout.half, seed)
    done = 0
    for offset, length in layout.extents():
        write_piece(disk, data, done, offset, length)
        done += length
    os.unlink(data)


def write_piece(disk, data, begin, offset, length):
    run("qemu-img", "convert", "-n", "--image-opts",
        f"driver=raw,offset={begin},size={length},file.driver=file,file.filename={data}",
        "--target-image-opts",
        f"driver=raw,offset={offset},size={length},file.driver=qcow2,file.file.driver=file,"
        f"file.file.filename={disk}")


def write_clusters(disk, extents, seed):
    """One by one and in disorder: neighbours on the disk are none in the file."""
    chunks = [random_file(f"chunk-{i}", CLUSTER, f"{seed} {i}") for i in range(CHUNKS)]
    commands = "".join(f"write -q -s {chunks[i % CHUNKS]} {offset} {length}\n"
                       for i, (offset, length) in enumerate(extents))
    told = subprocess.run(["qemu-io", "-f", "qcow2", disk], input=commands, text=True, check=True,
                          capture_output=True)
    assert "rror" not in told.stdout + told.stderr, told.stdout[-500:]
    for chunk in chunks:
        os.unlink(chunk)


def wipe(disk, extents):
    """As a guest does that overwrites its free space: allocated, and zero."""
    commands = "".join(f"write -q -P 0 {at} {min(WIPED_AT_ONCE, offset + length - at)}\n"
                       for offset, length in extents
                       for at in range(offset, offset + length, WIPED_AT_ONCE))
    told = subprocess.run(["qemu-io", "-f", "qcow2", disk], input=commands, text=True, check=True,
                          capture_output=True)
    assert "rror" not in told.stdout + told.stderr, told.stdout[-500:]


def flatten(disk, to):
    """The finished file: what a snapshot of the idle guest has to be equal to."""
    run("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", disk, to)
    return to


def backing_file(disk):
    line = next(line for line in run("qemu-img", "info", "-U", "-f", "qcow2", disk).splitlines()
                if line.startswith("backing file:"))
    return line.split()[2]


def drop_cache(paths):
    """
    Before each measurement, for all contenders alike: what the last one wrote is on the disk, and
    none of the files to be read is in the page cache. QEMU reads past it anyway (cache=none).
    """
    os.sync()
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
