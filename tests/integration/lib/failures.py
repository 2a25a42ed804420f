# SPDX-License-Identifier: Apache-2.0
"""Ways a snapshot fails, for nova-compute as for the agent: each takes a scene, makes an attempt in it
and gives what was seen of that."""

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import http_proxy
from attempt import BODIES, Attempt
from cloud import (LAB, ask_guest_agent, disk_file, domain_xml, lab_service, run, wait_for,
                   wait_guest_agent)

IMAGE, FILE = r"^/v2/images/[0-9a-f-]+$", r"^/v2/images/[^/]+/file"
HALF = http_proxy.stall_after(64 << 10)  # of an upload
SNAPSHOTS = f"{LAB}/nova/instances/snapshots"


def virsh(*argv):
    return run("virsh", "-c", "qemu:///system", *argv)


class Scene:
    """Servers in the states that rows ask for, and the way to Glance."""

    def __init__(self, cloud, proxy):
        self.cloud, self.proxy = cloud, proxy
        base = cloud.image_named("lab-base")
        with ThreadPoolExecutor() as pool:
            volume = pool.submit(self.boot_from_volume)
            agent = pool.submit(self.boot_from_volume, cloud.image_named("lab-agent"), "m1.tiny")
            self.required, self.stopped, *self.running = pool.map(
                lambda image: cloud.create_server("it-failure", image),
                [self.cloud.blank_image(os_require_quiesce="yes"), base, base, base])
            self.volume, self.agent = volume.result(), agent.result()
        wait_guest_agent(self.agent)
        self.stopped_xml = domain_xml(self.stopped)
        cloud.action(self.stopped, "os-stop", wait="SHUTOFF")

    @property
    def runs(self):
        """Until it is deleted, then another."""
        return self.running[-1]

    def boot_from_volume(self, image=None, flavor="m1.nano"):
        """Without an image the guest agent, which there is said to be, never answers."""
        volume = self.cloud.create_volume("it-failure", "ceph", image)
        for action in ({"os-set_bootable": {"bootable": True}},
                       {"os-set_image_metadata": {"metadata": {"hw_qemu_guest_agent": "yes",
                                                               "os_require_quiesce": "yes"}}}):
            self.cloud.cinder("POST", f"/volumes/{volume}/action", action)
        return self.cloud.boot_volume_server("it-failure", volume, flavor)

    @contextlib.contextmanager
    def held(self, server, verb, path, action):
        """A snapshot whose request to Glance waits while something else happens."""
        rule = self.proxy.on(verb, path, action, 99)
        attempt = Attempt(self.cloud, server)
        if not rule.hit.wait(60):
            raise AssertionError(f"no {verb} of {path}")
        try:
            yield attempt
        finally:
            self.proxy.release()


@contextlib.contextmanager
def nova_compute_through(proxy, cloud):
    """nova-compute, and the agent, which reads the same file, reach Glance through the proxy."""
    path = cloud.env["LAB_NOVA_COMPUTE_CONF"]
    with open(path, encoding="utf-8") as conf:
        kept = conf.read()
    try:
        with open(path, "a", encoding="utf-8") as conf:
            conf.write(f"\n[glance]\napi_servers = {proxy.url}\n")
        lab_service("restart", "nova-compute")
        yield
    finally:
        with open(path, "w", encoding="utf-8") as conf:
            conf.write(kept)
        lab_service("restart", "nova-compute")


# --- ways it fails, and what makes them
def plain(server):
    return lambda scene: Attempt(scene.cloud, getattr(scene, server)).settle()


def agent_refuses(scene):
    """In a guest that is frozen already the agent answers, and knows nothing but the thaw."""
    def tell(command):
        return lambda: ask_guest_agent(scene.agent, command).returncode == 0
    wait_for("freeze", tell("guest-fsfreeze-freeze"), 60, 1)
    try:
        return Attempt(scene.cloud, scene.agent).settle()
    finally:
        wait_for("thaw", tell("guest-fsfreeze-thaw"), 60, 1)


def answered(code, verb="PUT", path=FILE, server="stopped", request="createImage"):
    def act(scene):
        scene.proxy.on(verb, path, http_proxy.answer(code), 99)
        return Attempt(scene.cloud, getattr(scene, server), request).settle()
    return act


def delete_image(scene, attempt):
    scene.cloud.glance("DELETE", f"/v2/images/{attempt.image}")


def delete_server(scene, attempt):
    scene.cloud.delete_server(attempt.server)
    scene.running.remove(attempt.server)


def reset_state(scene, attempt):
    scene.cloud.action(attempt.server, "os-resetState", {"state": "active"})


def ask_for_more(scene, attempt):
    attempt.seen["more"] = {verb: scene.cloud.nova(
        "POST", f"/servers/{attempt.server}/action", {verb: BODIES.get(verb)}, ok=False).status_code
        for verb in ("createImage", "createBackup", "os-stop", "suspend", "shelve")}


def while_held(happens, verb="PUT", path=FILE, action=HALF):
    def act(scene):
        with scene.held(scene.runs, verb, path, action) as attempt:
            if action is HALF:  # has come to Glance, too
                wait_for("upload", lambda: (scene.cloud.image(attempt.image) or {}).get("status") == "saving")
            happens(scene, attempt)
        return attempt.settle()
    return act


def without_domain(scene):
    virsh("undefine", scene.stopped)
    try:
        return Attempt(scene.cloud, scene.stopped).settle(stuck=True)
    finally:
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as out:
            out.write(scene.stopped_xml)
            out.flush()
            virsh("define", out.name)
        scene.cloud.action(scene.stopped, "os-resetState", {"state": "active"})
        scene.cloud.action(scene.stopped, "os-stop", wait="SHUTOFF")


def without_disk(server, instead=None):
    """Its file is away, or there is one of another format."""
    def act(scene):
        disk = disk_file(getattr(scene, server))
        os.rename(disk, f"{disk}.kept")
        try:
            if instead:
                run("qemu-img", "create", "-f", instead, disk, "1G")
            return Attempt(scene.cloud, getattr(scene, server)).settle()
        finally:
            os.rename(f"{disk}.kept", disk)
    return act


def without_room(scene):
    """Since when the request is served: the agent leaves it to nova-compute when it has seen that before."""
    os.makedirs(SNAPSHOTS, exist_ok=True)
    mounted = False
    try:
        with scene.held(scene.stopped, "GET", IMAGE, http_proxy.stall) as attempt:
            run("mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", SNAPSHOTS)
            mounted = True
        return attempt.settle()
    finally:
        if mounted:
            run("umount", SNAPSHOTS)
