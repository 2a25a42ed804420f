# SPDX-License-Identifier: Apache-2.0
"""What no contender can do without: the upload of a finished file, the reading of the disk."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import meters
from guests import PREFIX
from paths import GIB


def curl(bench, guests):
    """The finished files to the same Glance, one curl for each."""
    cloud = bench.cloud
    images = [cloud.glance("POST", "/v2/images", json={
        "name": PREFIX + "floor", "disk_format": "qcow2", "container_format": "bare"}).json()["id"]
        for _ in guests]
    token = cloud.session.get_token()
    sent = meters.loopback_bytes()
    with meters.Stopwatch() as watch:
        together([upload(cloud.env["LAB_GLANCE_URL"], token, image, guest.finished)
                  for image, guest in zip(images, guests, strict=True)])
    sent = meters.loopback_bytes() - sent
    for image in images:
        assert cloud.image(image)["status"] == "active"
        cloud.glance("DELETE", f"/v2/images/{image}")
    return {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "sent_bytes": sent}


def upload(url, token, image, path):
    """Without the second curl waits for a server to say 'continue'."""
    return ["curl", "-sSf", "-o", "/dev/null", "-T", path, "-H", f"X-Auth-Token: {token}",
            "-H", "Content-Type: application/octet-stream", "-H", "Expect:",
            f"{url}/v2/images/{image}/file"]


def read(_bench, guests):
    """All data of the disks, through their chains, past the page cache, to nowhere."""
    with meters.Stopwatch() as watch:
        together([["qemu-img", "convert", "-n", "--target-is-zero", "-U", "-W", "-T", "none",
                   "-f", "qcow2", guest.disk, "--target-image-opts",
                   f"driver=null-co,size={guest.layout.disk_gib * GIB}"] for guest in guests])
    return {"seconds": watch.seconds, "cpu_s": watch.cpu_s}


def together(commands):
    with ThreadPoolExecutor(len(commands)) as pool:
        list(pool.map(lambda argv: subprocess.run(argv, check=True), commands))
