# SPDX-License-Identifier: Apache-2.0
"""The lab's OpenStack through its REST APIs, and its files."""

import json
import os
import subprocess
import time

from keystoneauth1 import session
from keystoneauth1.identity import v3
from lab_folder import LAB, REPO


def run(*argv, **kwargs):
    """Output of a program; its stderr is in the exception when it fails."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, **kwargs)
    if done.returncode:
        raise AssertionError(f"{argv} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def lab_environment(name="env.sh"):
    text = run("bash", "-c", f". {LAB}/env.sh; . {LAB}/{name}; env -0")
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def lab_service(verb, name):
    return run(f"{REPO}/tests/lab/service", verb, name)


def wait_for(what, check, timeout=60, interval=0.2):
    """check() until it gives something true; that is returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout} s")
        time.sleep(interval)


class Cloud:
    def __init__(self, openrc="env.sh"):
        self.env = env = lab_environment(openrc)
        auth = v3.Password(
            auth_url=env["OS_AUTH_URL"], username=env["OS_USERNAME"], password=env["OS_PASSWORD"],
            project_name=env["OS_PROJECT_NAME"], user_domain_name=env["OS_USER_DOMAIN_NAME"],
            project_domain_name=env["OS_PROJECT_DOMAIN_NAME"])
        self.session = session.Session(auth=auth)
        self.servers = []
        self.images = []
        self.volumes = []

    # --- plain requests
    def nova(self, method, path, body=None, ok=True):
        return self.session.request(
            path, method, json=body, raise_exc=ok, headers={"OpenStack-API-Version": "compute 2.84"},
            endpoint_filter={"service_type": "compute", "interface": "public"})

    def glance(self, method, path, ok=True, **kwargs):
        return self.session.request(path, method, raise_exc=ok,
                                    endpoint_override=self.env["LAB_GLANCE_URL"], **kwargs)

    def cinder(self, method, path, body=None, ok=True, **kwargs):
        return self.session.request(
            path, method, json=body, raise_exc=ok,
            endpoint_filter={"service_type": "volumev3", "interface": "public"}, **kwargs)

    # --- servers
    def flavor(self, name):
        flavors = self.nova("GET", "/flavors").json()["flavors"]
        return next(f["id"] for f in flavors if f["name"] == name)

    def image_named(self, name):
        return self.glance("GET", f"/v2/images?name={name}").json()["images"][0]["id"]

    def create_server(self, name, image, flavor="m1.nano", **fields):
        if image:
            fields["imageRef"] = image
        body = {"server": {"name": name, "flavorRef": self.flavor(flavor), "networks": "none",
                           **fields}}
        server = self.nova("POST", "/servers", body).json()["server"]["id"]
        self.servers.append(server)
        self.wait_server(server, "ACTIVE")
        return server

    def server(self, server):
        return self.nova("GET", f"/servers/{server}").json()["server"]

    def wait_server(self, server, status, timeout=120):
        def settled():
            now = self.server(server)
            if now["status"] == "ERROR" and status != "ERROR":
                raise AssertionError(f"server {server} is in ERROR: {now.get('fault')}")
            return now["status"] == status and now["OS-EXT-STS:task_state"] is None and now
        return wait_for(f"server {server} {status}", settled, timeout)

    def action(self, server, name, body=None, wait=None):
        self.nova("POST", f"/servers/{server}/action", {name: body})
        if wait:
            self.wait_server(server, wait)

    def delete_server(self, server):
        self.nova("DELETE", f"/servers/{server}", ok=False)
        wait_for(f"end of server {server}",
                 lambda: self.nova("GET", f"/servers/{server}", ok=False).status_code == 404)
        if server in self.servers:
            self.servers.remove(server)

    def events(self, server, request_id):
        action = self.nova("GET", f"/servers/{server}/os-instance-actions/{request_id}").json()
        return {e["event"]: e for e in action["instanceAction"]["events"]}

    # --- volumes
    def create_volume(self, name, kind, image=None, size=1):
        body = {"volume": {"name": name, "volume_type": kind, "size": size, "imageRef": image,
                           "description": f"about {name}"}}
        volume = self.cinder("POST", "/volumes", body).json()["volume"]["id"]
        self.volumes.append(volume)
        self.wait_volume(volume, "available")
        return volume

    def volume(self, volume):
        answer = self.cinder("GET", f"/volumes/{volume}", ok=False)
        return answer.json()["volume"] if answer.status_code == 200 else None

    def wait_volume(self, volume, status, timeout=120):
        def reached():
            now = self.volume(volume)
            if now["status"] == "error":
                raise AssertionError(f"volume {volume} is in error")
            return now["status"] == status and now
        return wait_for(f"{status} volume {volume}", reached, timeout)

    def boot_volume_server(self, name, volume, flavor="m1.nano"):
        """A server booted from a volume."""
        return self.create_server(name, None, flavor, block_device_mapping_v2=[
            {"boot_index": 0, "uuid": volume, "source_type": "volume",
             "destination_type": "volume", "delete_on_termination": False}])

    def attach(self, server, volume):
        self.nova("POST", f"/servers/{server}/os-volume_attachments",
                  {"volumeAttachment": {"volumeId": volume}})
        self.wait_volume(volume, "in-use")

    def volume_snapshots(self, volume=None):
        query = f"?volume_id={volume}" if volume else ""
        return self.cinder("GET", f"/snapshots/detail{query}").json()["snapshots"]

    def create_volume_snapshot(self, volume, name):
        body = {"snapshot": {"volume_id": volume, "name": name, "force": True}}
        snapshot = self.cinder("POST", "/snapshots", body).json()["snapshot"]["id"]
        self.wait_snapshot(snapshot)
        return snapshot

    def wait_snapshot(self, snapshot, timeout=120):
        def available():
            now = self.cinder("GET", f"/snapshots/{snapshot}").json()["snapshot"]
            if now["status"] == "error":
                raise AssertionError(f"snapshot {snapshot} is in error")
            return now["status"] == "available" and now
        return wait_for(f"available snapshot {snapshot}", available, timeout)

    def delete_volume_snapshot(self, snapshot, timeout=120):
        self.cinder("DELETE", f"/snapshots/{snapshot}", ok=False)

        def gone():
            answer = self.cinder("GET", f"/snapshots/{snapshot}", ok=False)
            if answer.status_code == 404:
                return True
            status = answer.json()["snapshot"]["status"]
            if status == "error_deleting":
                raise AssertionError(f"snapshot {snapshot} is {status}")
            return False
        wait_for(f"end of snapshot {snapshot}", gone, timeout)

    # --- images
    def create_image(self, server, name, **metadata):
        """Starts a snapshot: its image and request id."""
        answer = self.nova("POST", f"/servers/{server}/action",
                           {"createImage": {"name": name, "metadata": metadata}})
        image = answer.json()["image_id"]
        self.images.append(image)
        return image, answer.headers["x-openstack-request-id"]

    def image(self, image):
        """The record, None when it is gone."""
        answer = self.glance("GET", f"/v2/images/{image}", ok=False)
        return answer.json() if answer.status_code == 200 else None

    def blank_image(self, **properties):
        """One with nothing in it, and these properties."""
        image = self.glance("POST", "/v2/images", json={
            "name": "it-blank", "disk_format": "raw", "container_format": "bare", **properties}).json()["id"]
        self.images.append(image)
        self.glance("PUT", f"/v2/images/{image}/file", data=bytes(1 << 20),
                    headers={"Content-Type": "application/octet-stream"})
        return image

    def wait_image(self, image, timeout=180):
        def active():
            record = self.image(image)
            if record is None:
                raise AssertionError(f"image {image} is gone")
            return record["status"] == "active" and record
        return wait_for(f"active image {image}", active, timeout)

    def wait_event(self, server, request_id, event="compute_snapshot_instance", timeout=120):
        def finished():
            found = self.events(server, request_id).get(event)
            return found and found["finish_time"] and found
        return wait_for(f"finished event {event}", finished, timeout)

    def backup(self, server, name, kind, rotation):
        """A whole backup: the active image's record."""
        status = self.server(server)["status"]
        answer = self.nova("POST", f"/servers/{server}/action", {"createBackup": {
            "name": name, "backup_type": kind, "rotation": rotation}})
        image = answer.json()["image_id"]
        self.images.append(image)
        record = self.wait_image(image)
        self.wait_server(server, status)
        event = self.wait_event(server, answer.headers["x-openstack-request-id"],
                                "compute_backup_instance")
        assert event["result"] == "Success", event
        return record

    def snapshot_volume_backed(self, server, name):
        """What nova-api makes of createImage for a volume-backed server, all snapshots there."""
        answer = self.nova("POST", f"/servers/{server}/action", {"createImage": {"name": name}})
        image = answer.json()["image_id"]
        self.images.append(image)
        record = self.wait_image(image)
        for mapping in json.loads(record["block_device_mapping"]):
            self.wait_snapshot(mapping["snapshot_id"])
        return record

    def snapshot(self, server, name, **metadata):
        """A whole snapshot: the active image's record, with the server at rest again."""
        status = self.server(server)["status"]
        image, request_id = self.create_image(server, name, **metadata)
        record = self.wait_image(image)
        self.wait_server(server, status)
        event = self.wait_event(server, request_id)
        assert event["result"] == "Success", event
        return record

    def clean(self):
        for server in list(self.servers):
            self.delete_server(server)
        for image in self.images:
            self.glance("DELETE", f"/v2/images/{image}", ok=False)
        self.images = []
        self.clean_volumes()

    def clean_volumes(self):
        for volume in self.volumes:
            for snapshot in self.volume_snapshots(volume):
                self.delete_volume_snapshot(snapshot["id"])
        for volume in self.volumes:
            self.wait_volume(volume, "available")
            self.cinder("DELETE", f"/volumes/{volume}", ok=False)
        self.volumes = []


def cast_snapshot(cloud, host, server):
    """snapshot_instance by a real oslo.messaging client, as nova-api casts it: the image's id."""
    done = subprocess.run(
        ["/usr/bin/python3", f"{REPO}/tests/integration/lib/cast_snapshot.py", host, server],
        env={**os.environ, **cloud.env}, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    image = done.stdout.split()[-1]
    cloud.images.append(image)
    return image


def image_file(image):
    return f"{LAB}/glance/images/{image}"


def disk_file(server):
    return f"{LAB}/nova/instances/{server}/disk"


def disk_info(path, fmt):
    return json.loads(run("qemu-img", "info", "-U", "--output=json", "-f", fmt, path))


def flush(server):
    """What its disks hold is in their files: before one is read whose guest runs."""
    run(f"{REPO}/tests/integration/lib/flush", server)


def assert_same_content(image, fmt, server):
    """The image's bytes are the disk's bytes, and it stands on its own."""
    flush(server)
    info = disk_info(image_file(image), fmt)
    assert "backing-filename" not in info, info
    if fmt == "qcow2":
        run("qemu-img", "check", "-f", fmt, image_file(image))
    run("qemu-img", "compare", "-U", "-f", fmt, "-F", "qcow2", image_file(image), disk_file(server))


def disk_io(server, disk, command):
    run(f"{REPO}/tests/integration/lib/disk-io", server, disk, command)


def write_pattern(server, pattern, offset, length, disk="vda"):
    """Data on a guest's disk without an operating system in it."""
    disk_io(server, disk, f"write -P {pattern} {offset} {length}")


def rbd(name):
    """QEMU's name for an image of the lab's Ceph: rbd("volumes/volume-...")."""
    return f"rbd:{name}:conf={LAB}/etc/ceph/ceph.conf"


def assert_same_rbd(one, other):
    run("qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", rbd(one), rbd(other))


def console(server):
    with open(f"{LAB}/nova/instances/{server}/console.log", encoding="utf-8",
              errors="replace") as lines:
        return lines.read()


def ask_guest_agent(server, command):
    return subprocess.run(
        ["virsh", "-c", "qemu:///system", "qemu-agent-command", server,
         json.dumps({"execute": command})], capture_output=True, text=True, check=False)


def wait_guest_agent(server):
    """Its agent answers, and has a file system to freeze."""
    wait_for("guest agent", lambda: ask_guest_agent(server, "guest-ping").returncode == 0, 180, 1)
    assert "/dev/vda is mounted" in console(server), console(server)


def domain_xml(server):
    return run("virsh", "-c", "qemu:///system", "dumpxml", "--inactive", server)


def domain_state(server):
    return run("virsh", "-c", "qemu:///system", "domstate", server).strip()


def block_jobs(server):
    return run("virsh", "-c", "qemu:///system", "blockjob", server, "vda", "--info").strip()
