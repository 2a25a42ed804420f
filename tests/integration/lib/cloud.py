"""The lab's OpenStack through its REST APIs, and its files."""

import json
import os
import subprocess
import time

from keystoneauth1 import session
from keystoneauth1.identity import v3

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LAB = os.environ.get("LAB", "/var/tmp/nova-snapshot-lab")


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

    # --- plain requests
    def nova(self, method, path, body=None, ok=True):
        return self.session.request(
            path, method, json=body, raise_exc=ok, headers={"OpenStack-API-Version": "compute 2.84"},
            endpoint_filter={"service_type": "compute", "interface": "public"})

    def glance(self, method, path, ok=True, **kwargs):
        return self.session.request(path, method, raise_exc=ok,
                                    endpoint_override=self.env["LAB_GLANCE_URL"], **kwargs)

    # --- servers
    def flavor(self, name):
        flavors = self.nova("GET", "/flavors").json()["flavors"]
        return next(f["id"] for f in flavors if f["name"] == name)

    def image_named(self, name):
        return self.glance("GET", f"/v2/images?name={name}").json()["images"][0]["id"]

    def create_server(self, name, image, flavor="m1.nano", **fields):
        body = {"server": {"name": name, "imageRef": image, "flavorRef": self.flavor(flavor),
                           "networks": "none", **fields}}
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


def image_file(image):
    return f"{LAB}/glance/images/{image}"


def disk_file(server):
    return f"{LAB}/nova/instances/{server}/disk"


def disk_info(path, fmt):
    return json.loads(run("qemu-img", "info", "-U", "--output=json", "-f", fmt, path))


def assert_same_content(image, fmt, server):
    """The image's bytes are the disk's bytes, and it stands on its own."""
    info = disk_info(image_file(image), fmt)
    assert "backing-filename" not in info, info
    if fmt == "qcow2":
        run("qemu-img", "check", "-f", fmt, image_file(image))
    run("qemu-img", "compare", "-U", "-f", fmt, "-F", "qcow2", image_file(image), disk_file(server))


def write_pattern(server, pattern, offset, length):
    """Data on a guest's disk without an operating system in it."""
    command = f'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P {pattern} {offset} {length}"'
    out = run("virsh", "-c", "qemu:///system", "qemu-monitor-command", server, "--hmp", command)
    assert not out.strip(), out


def domain_xml(server):
    return run("virsh", "-c", "qemu:///system", "dumpxml", "--inactive", server)


def domain_state(server):
    return run("virsh", "-c", "qemu:///system", "domstate", server).strip()


def block_jobs(server):
    return run("virsh", "-c", "qemu:///system", "blockjob", server, "vda", "--info").strip()
