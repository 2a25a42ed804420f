# SPDX-License-Identifier: Apache-2.0
"""Small disks, so that a fault costs seconds: made once, kept in the lab."""

import os
import tempfile

from lab import LAB, run

PLAIN, WITH_AGENT, IN_CEPH = "chaos-base", "chaos-agent", "chaos-ceph"
TINY, SMALL = "chaos.tiny", "chaos.small"
GUEST_MIB = 256


def ensure(cloud):
    flavors = {f["name"] for f in cloud.nova("GET", "/flavors").json()["flavors"]}
    for name, ram in ((TINY, 64), (SMALL, 192)):
        if name not in flavors:
            cloud.nova("POST", "/flavors", {"flavor": {"name": name, "ram": ram, "vcpus": 1,
                                                       "disk": 1}})
    ensure_image(cloud, PLAIN, make_plain, {})
    like = cloud.glance("GET", "/v2/images?name=lab-agent").json()["images"][0]
    ensure_image(cloud, WITH_AGENT, make_file_system, {
        "kernel_id": like["kernel_id"], "ramdisk_id": like["ramdisk_id"],
        "os_command_line": like["os_command_line"], "hw_qemu_guest_agent": "yes"})


def ensure_image(cloud, name, make, properties, disk_format="qcow2"):
    if cloud.glance("GET", f"/v2/images?name={name}&status=active").json()["images"]:
        return
    image = cloud.glance("POST", "/v2/images", json={
        "name": name, "disk_format": disk_format, "container_format": "bare",
        **properties}).json()["id"]
    with tempfile.TemporaryDirectory(dir=f"{LAB}/run") as folder:
        make(folder)
        with open(f"{folder}/disk", "rb") as data:
            cloud.glance("PUT", f"/v2/images/{image}/file", data=data,
                         headers={"Content-Type": "application/octet-stream"})


def ensure_raw(cloud):
    """In Ceph when Glance keeps its images there, so that disks are clones of it."""
    def make(folder):
        make_plain(folder)
        os.rename(f"{folder}/raw", f"{folder}/disk")
    ensure_image(cloud, IN_CEPH, make, {}, "raw")
    return cloud.image_named(IN_CEPH)


def make_plain(folder):
    """24 MiB that do not compress, as a proxy has to be able to stop midway."""
    with open(f"{folder}/raw", "wb") as out:
        out.write(os.urandom(24 << 20))
        out.truncate(GUEST_MIB << 20)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", f"{folder}/raw", f"{folder}/disk")


def make_file_system(folder):
    os.mkdir(f"{folder}/tree")
    with open(f"{folder}/tree/data", "wb") as out:
        out.write(os.urandom(12 << 20))
    with open(f"{folder}/tree/counter", "w", encoding="ascii") as out:
        out.write("0000000000\n")
    run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", "-d",
        f"{folder}/tree", f"{folder}/raw", f"{GUEST_MIB}M")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", f"{folder}/raw", f"{folder}/disk")
