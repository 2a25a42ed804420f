# SPDX-License-Identifier: Apache-2.0
"""The ends of snapshots, as Glance and Nova note them, and the times guests stood still."""

import threading
import time
from dataclasses import dataclass

import libvirt
import pymysql
from paths import LAB, Defect


@dataclass
class Ends:
    """Points of the monotonic clock."""
    active: float   # all images
    cleared: float  # all task states


class Watch:
    """
    Asks the databases, over a socket: each answer costs them half a millisecond, while Glance's
    only process would need ten and lack them for its upload.
    """

    interval_s = 0.02

    def __init__(self):
        connection = pymysql.connect(unix_socket=f"{LAB}/mariadb/mariadb.sock", user="root",
                                     autocommit=True)
        self.cursor = connection.cursor()

    def column(self, what, table, key, keys):
        self.cursor.execute(f"SELECT {what} FROM {table} WHERE {key} IN %s", (tuple(keys),))
        return [row[0] for row in self.cursor.fetchall()]

    def await_ends(self, images, servers, timeout):
        """Defect when an image does not become active."""
        active, deadline = None, time.monotonic() + timeout
        while time.monotonic() < deadline:
            if active is None:
                states = self.column("status", "glance.images", "id", images)
                if {"deleted", "killed", "pending_delete"} & set(states):
                    raise Defect(f"an image is {states} instead of active")
                if states == ["active"] * len(images):
                    active = time.monotonic()
            elif not any(self.column("task_state", "nova.instances", "uuid", servers)):
                return Ends(active, time.monotonic())
            time.sleep(self.interval_s)
        raise Defect(f"a snapshot did not come to its end within {timeout:.0f} s")


class Pauses:
    """Whenever libvirt tells that a guest does not run."""

    def __init__(self):
        self.told = []  # (uuid, monotonic time, runs)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self.listen, daemon=True).start()
        self.connection = libvirt.open("qemu:///system")
        self.connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self.note, None)

    @staticmethod
    def listen():
        while True:
            libvirt.virEventRunDefaultImpl()

    def note(self, _connection, domain, event, _detail, _opaque):
        runs = {libvirt.VIR_DOMAIN_EVENT_SUSPENDED: False, libvirt.VIR_DOMAIN_EVENT_STOPPED: False,
                libvirt.VIR_DOMAIN_EVENT_RESUMED: True, libvirt.VIR_DOMAIN_EVENT_STARTED: True}
        if event in runs:
            self.told.append((domain.UUIDString(), time.monotonic(), runs[event]))

    def longest_ms(self, servers, begin, end):
        """The guest that stood still most, between two points of time."""
        return max(self.paused_s(server, begin, end) for server in servers) * 1000

    def paused_s(self, server, begin, end):
        total, since = 0.0, None
        for uuid, when, runs in list(self.told):
            if uuid != server or not begin <= when <= end:
                continue
            if runs and since is not None:
                total, since = total + when - since, None
            elif not runs and since is None:
                since = when
        return total + (end - since if since is not None else 0)
