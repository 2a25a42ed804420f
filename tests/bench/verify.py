# SPDX-License-Identifier: Apache-2.0
"""Whether an image is right, by QEMU's own tools: reads what Glance keeps of it."""

import json
import os
import subprocess

from paths import LAB, Defect


def quiet(*argv):
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)


def image(cloud, uuid, guest, thoroughly, contender):
    """Its size. Each is looked at, once per scenario and contender thoroughly."""
    record = cloud.image(uuid)
    if not record or record["status"] != "active":
        raise Defect(f"{contender}: image {uuid} is {record and record['status']}")
    path = f"{LAB}/glance/images/{uuid}"
    if os.path.getsize(path) != record["size"]:
        raise Defect(f"{contender}: image {uuid} has not the size Glance says")
    if thoroughly:
        for fault in faults(path, record["disk_format"], guest):
            raise Defect(f"{contender}, {guest.layout.name}: image {uuid}: {fault}")
    return record["size"]


def faults(path, fmt, guest):
    info = quiet("qemu-img", "info", "--output=json", "-f", fmt, path)
    if info.returncode or "backing-filename" in json.loads(info.stdout):
        yield f"no image of its own: {info.stderr.strip()}"
    checked = quiet("qemu-img", "check", "-f", fmt, path) if fmt != "raw" else None
    if checked and checked.returncode:
        yield f"qemu-img check: {checked.stdout.strip()} {checked.stderr.strip()}"
    if not guest.layout.writes:
        yield from too_large(path, guest)
        compared = quiet("qemu-img", "compare", "-f", fmt, "-F", "qcow2", path, guest.finished)
        if compared.returncode:
            yield f"not what was on the disk: {compared.stdout.strip()} {compared.stderr.strip()}"


def too_large(path, guest):
    """What is allocated need not be data."""
    size, right = os.path.getsize(path), os.path.getsize(guest.finished)
    if size > right * 1.02:
        yield f"{size} bytes, qemu-img makes {right} of the disk"
