# SPDX-License-Identifier: Apache-2.0
"""The lab's images in Glance: images.py KERNEL INITRAMFS DISK. One that is there and active is left
as it is; a half-made one is made again."""

import sys

from lab_session import open_session

IMAGE = {"service_type": "image"}
AGENT_CONSOLE = "console=ttyS0 panic=1 quiet"


def ensure(session, name, path, disk_format, container_format, **properties):
    found = session.get("/v2/images", endpoint_filter=IMAGE, params={"name": name}).json()["images"]
    for image in found:
        if image["status"] == "active":
            return image["id"]
        session.delete("/v2/images/" + image["id"], endpoint_filter=IMAGE)
    image = session.post("/v2/images", endpoint_filter=IMAGE, json=dict(
        properties, name=name, disk_format=disk_format, container_format=container_format,
        visibility="public")).json()["id"]
    with open(path, "rb") as data:
        session.put("/v2/images/%s/file" % image, endpoint_filter=IMAGE, data=data,
                    headers={"Content-Type": "application/octet-stream"})
    print("lab: image %s %s" % (image, name), flush=True)
    return image


def main():
    kernel_path, initramfs_path, disk_path = sys.argv[1:]
    session = open_session()
    ensure(session, "lab-base", disk_path, "qcow2", "bare")
    kernel = ensure(session, "lab-kernel", kernel_path, "aki", "aki")
    initramfs = ensure(session, "lab-initramfs", initramfs_path, "ari", "ari")
    ensure(session, "lab-agent", disk_path, "qcow2", "bare", kernel_id=kernel,
           ramdisk_id=initramfs, os_command_line=AGENT_CONSOLE, hw_qemu_guest_agent="yes",
           min_ram=256)


main()
