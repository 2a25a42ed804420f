# SPDX-License-Identifier: Apache-2.0
"""The servers under test: made once, used again and again, replaced when a fault has spoilt one."""

from dataclasses import dataclass, field

import checker
import guest
import small_images
from lab import REPO, run, wait_until


@dataclass
class Server:
    id: str
    kind: str
    has_agent: bool = False
    volumes: list = field(default_factory=list)
    state: str = "running"
    serial: int = 0


class Servers:
    """
    Kinds: plain, paused, stopped, agent, booted-from-volume and with-volume (on NFS),
    booted-from-ceph, rbd (the root disk is nova's own in Ceph).
    """

    def __init__(self, cloud):
        self.cloud = cloud
        self.made = {}
        self.count = 0
        self.storage = "file"
        small_images.ensure(cloud)
        self.plain_image = cloud.image_named(small_images.PLAIN)
        self.agent_image = cloud.image_named(small_images.WITH_AGENT)

    def store(self, kind):
        """Where nova-compute and Glance keep what they make, for servers of this kind."""
        storage = "rbd" if kind == "rbd" else "file"
        if storage != self.storage:
            for service in ("nova-compute", "glance-api"):
                run(f"{REPO}/tests/lab/backend", service, storage)
            self.storage = storage

    def get(self, kind):
        self.store(kind)
        server = self.made.get(kind)
        if server and self.is_good(server):
            return server
        if server:
            self.discard(server)
        self.made[kind] = server = self.make(kind)
        return server

    def is_good(self, server):
        row = checker.instance_row(server.id)
        if row["gone"] or row["task_state"]:
            return False
        now = guest.facts(server.id)
        if not now or not now["persistent"] or now["managed save"] or now["copies"]:
            return False
        if now["state"] != server.state and not self.put_right(server, row):
            return False
        return not server.has_agent or guest.is_frozen(server.id) is False

    def put_right(self, server, row):
        """A guest that was powered off is started again, which is quicker than a new one."""
        if server.state != "running" or row["vm_state"] not in ("active", "stopped"):
            return False
        if row["vm_state"] == "active":
            self.cloud.action(server.id, "reboot", {"type": "HARD"}, wait="ACTIVE")
        else:
            self.cloud.action(server.id, "os-start", wait="ACTIVE")
        self.await_agent(server)
        return True

    def await_agent(self, server):
        if server.has_agent:
            wait_until(lambda: guest.is_frozen(server.id) is False, 120, 0.5)

    def discard(self, server):
        """By force: whatever state it is in."""
        self.made.pop(server.kind, None)
        self.store(server.kind)
        self.cloud.action(server.id, "os-resetState", {"state": "active"}) \
            if not checker.instance_row(server.id)["gone"] else None
        if server.has_agent:
            thaw(server.id)
        self.cloud.delete_server(server.id)
        drop_domain(server.id)
        for volume in server.volumes:
            drop_volume(self.cloud, volume)

    def make(self, kind):
        self.enable_host()
        self.count += 1
        name = f"chaos-{kind}-{self.count}"
        make = "make_" + ("plain" if kind.startswith("plain") else kind.replace("-", "_"))
        server = getattr(self, make)(name)
        server.kind, server.serial = kind, self.count
        self.await_agent(server)
        return server

    def enable_host(self):
        """nova-compute disables itself when it loses libvirt, until it needs it again."""
        path = "/os-services?binary=nova-compute"
        for service in self.cloud.nova("GET", path).json()["services"]:
            if service["status"] != "enabled":
                self.cloud.nova("PUT", f"/os-services/{service['id']}", {"status": "enabled"})

    def make_plain(self, name):
        return Server(self.cloud.create_server(name, self.plain_image, small_images.TINY), "")

    def make_paused(self, name):
        server = self.make_plain(name)
        self.cloud.action(server.id, "pause", wait="PAUSED")
        server.state = "paused"
        return server

    def make_stopped(self, name):
        server = self.make_plain(name)
        self.cloud.action(server.id, "os-stop", wait="SHUTOFF")
        server.state = "shut off"
        return server

    def make_agent(self, name):
        return Server(self.cloud.create_server(name, self.agent_image, small_images.SMALL), "",
                      has_agent=True)

    def make_booted_from_volume(self, name, volume_type="nfs"):
        volume = self.cloud.create_volume(name, volume_type, self.agent_image)
        server = self.cloud.boot_volume_server(name, volume, small_images.SMALL)
        return Server(server, "", has_agent=True, volumes=[volume])

    def make_booted_from_ceph(self, name):
        return self.make_booted_from_volume(name, "ceph")

    def make_rbd(self, name):
        image = small_images.ensure_raw(self.cloud)
        return Server(self.cloud.create_server(name, image, small_images.TINY), "")

    def make_with_volume(self, name):
        server = self.make_plain(name)
        server.volumes = [self.cloud.create_volume(name, "nfs")]
        self.cloud.attach(server.id, server.volumes[0])
        return server

    def clean(self):
        for server in list(self.made.values()):
            self.discard(server)
        self.store("")


def thaw(uuid):
    """Also when nobody knows whether it is frozen."""
    try:
        guest.ask_agent(uuid, "guest-fsfreeze-thaw")
    except Exception:  # pylint: disable=broad-except
        pass


def drop_domain(uuid):
    """What a fault has left of a deleted server."""
    with guest.Domain(uuid) as domain:
        if domain.dom:
            if domain.dom.isActive():
                domain.dom.destroy()
            if domain.dom.isPersistent():
                domain.dom.undefineFlags(guest.libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


def drop_volume(cloud, volume):
    """With its snapshots, whatever state they are in."""
    for snapshot in cloud.volume_snapshots(volume):
        cloud.cinder("POST", f"/snapshots/{snapshot['id']}/action",
                     {"os-reset_status": {"status": "error"}}, ok=False)
        cloud.cinder("DELETE", f"/snapshots/{snapshot['id']}", ok=False)
    wait_until(lambda: not cloud.volume_snapshots(volume), 20, 0.5)
    cloud.cinder("POST", f"/volumes/{volume}/action", {"os-force_delete": {}}, ok=False)
    if volume in cloud.volumes:
        cloud.volumes.remove(volume)
