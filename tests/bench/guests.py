# SPDX-License-Identifier: Apache-2.0
"""The guests of a group of scenarios: made through Nova, their disks filled while they are stopped."""

import os
import shutil
from dataclasses import dataclass

import disks
import scenarios
import writing_guest
from paths import GIB, LAB, WORK, Defect

PREFIX = "bench-"
RAM_MIB = 64
TINY = scenarios.Layout("tiny", 1, 4 << 20)


@dataclass
class Guest:
    server: str
    layout: scenarios.Layout
    disk: str
    base: str
    finished: str

    def files(self):
        return [self.disk, self.base, self.finished]

    @property
    def console(self):
        return f"{LAB}/nova/instances/{self.server}/console.log"


class Guests:
    """with Guests(cloud, group) as guests: guests.of(scenario)"""

    def __init__(self, cloud, group):
        self.cloud, self.group = cloud, group
        self.made = {}

    def __enter__(self):
        check_space(scenarios.space(self.group))
        os.makedirs(WORK, exist_ok=True)
        try:
            for layout, count in scenarios.layouts(self.group).items():
                self.make(layout, count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        remove_all(self.cloud, spare=PREFIX + TINY.name)
        for base in {guest.base for made in self.made.values() for guest in made}:
            os.unlink(base)  # nova would keep it in its cache for a day
        shutil.rmtree(WORK, ignore_errors=True)

    def of(self, scenario):
        return self.made[scenario.layout][:scenario.count]

    def make(self, layout, count):
        image = upload_base(self.cloud, layout)
        flavor = ensure_flavor(self.cloud, layout)
        self.made[layout] = [make_guest(self.cloud, layout, image, flavor, i) for i in range(count)]


def check_space(needed):
    free = shutil.disk_usage(LAB).free
    if free < needed * 1.1 + GIB:
        raise Defect(f"{needed / GIB:.1f} GiB are needed in {LAB}, {free / GIB:.1f} GiB are free")


def upload_base(cloud, layout):
    path = disks.base_file(layout)
    properties = writing_guest.properties(cloud, layout) if layout.writes else {}
    image = cloud.glance("POST", "/v2/images", json={
        "name": PREFIX + layout.name, "disk_format": "raw", "container_format": "bare",
        **properties}).json()["id"]
    upload(cloud, image, path)
    os.unlink(path)
    return image


def upload(cloud, image, path):
    with open(path, "rb") as data:
        cloud.glance("PUT", f"/v2/images/{image}/file", data=data,
                     headers={"Content-Type": "application/octet-stream"})


def ensure_flavor(cloud, layout):
    ram = writing_guest.RAM_MIB if layout.writes else RAM_MIB
    name = f"bench.{layout.disk_gib}g.{ram}m"
    found = {f["name"]: f["id"] for f in cloud.nova("GET", "/flavors").json()["flavors"]}
    return found.get(name) or cloud.nova("POST", "/flavors", {"flavor": {
        "name": name, "ram": ram, "vcpus": 1, "disk": layout.disk_gib}}).json()["flavor"]["id"]


def make_guest(cloud, layout, image, flavor, number):
    name = f"{PREFIX}{layout.name}-{number}"
    server = cloud.nova("POST", "/servers", {"server": {
        "name": name, "flavorRef": flavor, "imageRef": image, "networks": "none"}}) \
        .json()["server"]["id"]
    cloud.wait_server(server, "ACTIVE", 600)
    cloud.action(server, "os-stop", wait="SHUTOFF")
    disk = f"{LAB}/nova/instances/{server}/disk"
    disks.fill_overlay(disk, layout, f"overlay {name}")
    finished = disks.flatten(disk, f"{WORK}/{name}")
    cloud.action(server, "os-start", wait="ACTIVE")
    guest = Guest(server, layout, disk, disks.backing_file(disk), finished)
    if layout.writes:
        writing_guest.await_start(guest)
    return guest


class Tiny:
    """with Tiny(cloud) as server: what the contenders warm up with, there all the time."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.guest = None

    def __enter__(self):
        remove_all(self.cloud)
        os.makedirs(WORK, exist_ok=True)
        try:
            image, flavor = upload_base(self.cloud, TINY), ensure_flavor(self.cloud, TINY)
            self.guest = make_guest(self.cloud, TINY, image, flavor, 0)
        except BaseException:
            self.__exit__()
            raise
        return self.guest.server

    def __exit__(self, *_):
        remove_all(self.cloud)
        if self.guest:
            os.unlink(self.guest.base)


def remove_all(cloud, spare=None):
    """Also what an earlier run that was killed has left."""
    def is_ours(thing):
        name = thing["name"] or ""
        return name.startswith(PREFIX) and not (spare and name.startswith(spare))
    for server in filter(is_ours, cloud.nova("GET", "/servers").json()["servers"]):
        cloud.delete_server(server["id"])
    for image in filter(is_ours, cloud.glance("GET", "/v2/images?limit=200").json()["images"]):
        cloud.glance("DELETE", f"/v2/images/{image['id']}", ok=False)
