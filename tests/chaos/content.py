# SPDX-License-Identifier: Apache-2.0
"""Whether the bytes of an image are those of a correct disk."""

import hashlib
import json
import os
import re
import subprocess
import tempfile

from lab import LAB, flush, sql


def image_defects(image, server, disk, has_agent):
    """What is wrong with an active image; disk is None when its server is gone."""
    path = f"{LAB}/glance/images/{image}"
    row = sql("SELECT size, os_hash_value, disk_format FROM glance.images WHERE id = "
              f"'{image}'")[0]
    if not os.path.exists(path):
        return ["active image without data"]
    if os.path.getsize(path) != int(row[0]):
        return [f"{os.path.getsize(path)} bytes instead of {row[0]}"]
    if sha512(path) != row[1]:
        return ["bytes do not match os_hash_value"]
    fmt = row[2]
    info = quiet("qemu-img", "info", "--output=json", "-f", fmt, path)
    if info.returncode or "backing-filename" in json.loads(info.stdout):
        return ["no image of its own: " + info.stderr.strip()]
    if fmt == "qcow2" and quiet("qemu-img", "check", "-f", fmt, path).returncode:
        return ["qemu-img check fails"]
    if has_agent:
        return file_system_defects(path, fmt)
    if disk and os.path.exists(disk):
        flush(server)
        compared = quiet("qemu-img", "compare", "-U", "-f", fmt, "-F", "qcow2", path, disk)
        return [f"not the disk: {compared.stdout.strip()}"] if compared.returncode else []
    return []


def file_system_defects(path, fmt):
    """A guest that writes all the time: its file system is whole and the counter has a value."""
    with tempfile.TemporaryDirectory(prefix="nova-snapshot-chaos-") as folder:
        raw = f"{folder}/raw"
        if quiet("qemu-img", "convert", "-f", fmt, "-O", "raw", path, raw).returncode:
            return ["cannot be read"]
        if quiet("e2fsck", "-fy", raw).returncode not in (0, 1):
            return ["file system damaged beyond its journal"]
        counter = quiet("debugfs", "-R", "cat /counter", raw).stdout
        return [] if re.match(r"\d{10}$", counter.strip()) else [f"counter {counter[:20]!r}"]


def sha512(path):
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha512").hexdigest()


def quiet(*argv):
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)


# --- in Ceph
def ceph(*argv):
    return quiet("rbd", "--conf", f"{LAB}/etc/ceph/ceph.conf", *argv)


def snaps_of(disk):
    return [snap["name"] for snap in json.loads(ceph("snap", "ls", "--format=json", disk).stdout
                                                or "[]")]


def direct_image_defects(image, server):
    """A protected snapshot of an image of its own, equal to the disk."""
    found = [] if snaps_of(f"images/{image}") == ["snap"] else ["the image has no snapshot"]
    info = ceph("info", "--format=json", f"images/{image}@snap")
    if info.returncode or "parent" in json.loads(info.stdout) or \
            json.loads(info.stdout).get("protected") != "true":
        found.append(f"no protected image of its own: {info.stdout}{info.stderr}"[:200])
    names = [f"rbd:{name}:conf={LAB}/etc/ceph/ceph.conf"
             for name in (f"images/{image}@snap", f"vms/{server}_disk")]
    if not found:
        flush(server)
    if not found and quiet("qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", *names).returncode:
        found.append("not the disk")
    return found


def stray_rbd(server):
    """Snapshots of the disk, and images of the pool that Glance does not know."""
    known = {row[0] for row in sql("SELECT id FROM glance.images WHERE deleted = 0")}
    return [f"{server}_disk@{name}" for name in snaps_of(f"vms/{server}_disk")] + \
        [name for name in ceph("ls", "images").stdout.split() if name not in known]


# --- layers of NFS volumes
def info_of(volume):
    """Cinder's own account: {"active": file, snapshot id: file}."""
    path = f"{LAB}/nfs/volume-{volume}.info"
    if not os.path.exists(path):
        return {"active": f"volume-{volume}"}
    with open(path, encoding="utf-8") as info:
        return json.load(info)


def layers(volume):
    """File names of the chain, the top one first."""
    top = f"{LAB}/nfs/{info_of(volume)['active']}"
    done = quiet("qemu-img", "info", "-U", "--backing-chain", "--output=json", top)
    return [os.path.basename(layer["filename"]) for layer in json.loads(done.stdout or "[]")]


def stray_layers(volume):
    """
    Files beside the volume that are in no chain. That of a snapshot in error is Cinder's, which
    made it and leaves it there.
    """
    known = {f"volume-{volume}.info", *layers(volume)}
    known |= {f"volume-{volume}.{row[0]}" for row in
              sql("SELECT id FROM cinder.snapshots WHERE status = 'error' OR deleted != 0 AND "
                  f"volume_id = '{volume}' AND progress != '100%'")}
    return {name for name in os.listdir(f"{LAB}/nfs")
            if name.startswith(f"volume-{volume}") and name not in known}
