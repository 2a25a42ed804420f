#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers booted from volumes, on Ceph: nova-api's own image create, frozen through the agent, and the
agent's."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import Agent
from cloud import (REPO, Cloud, ask_guest_agent, assert_same_rbd, cast_snapshot, console,
                   flush, lab_service, run, wait_for, wait_guest_agent, write_pattern)

OWN = {"id", "self", "file", "checksum", "os_hash_value", "created_at", "updated_at", "direct_url"}


def mappings_of(record):
    return json.loads(record["block_device_mapping"])


def alike(record):
    """A record without what differs from image to image."""
    plain = {k: v for k, v in record.items() if k not in OWN | {"block_device_mapping"}}
    devices = [{k: v for k, v in m.items() if k != "snapshot_id"} for m in mappings_of(record)]
    return plain, devices


class VolumeBacked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        root = cls.cloud.create_volume("it-root", "ceph", cls.cloud.image_named("lab-agent"))
        data = cls.cloud.create_volume("it-data", "ceph")
        cls.server = cls.cloud.boot_volume_server("it-volumes", root, "m1.tiny")
        wait_guest_agent(cls.server)  # its vda is what virtio finds first: no hotplug before it has its own
        cls.cloud.attach(cls.server, data)
        cls.root, cls.data = root, data
        write_pattern(cls.server, "0x42", "1M", "2M", "vdb")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def tearDown(self):
        self.assertIn("thawed", ask_guest_agent(self.server, "guest-fsfreeze-status").stdout)
        self.assertIsNone(self.cloud.server(self.server)["OS-EXT-STS:task_state"])

    def test_image_create_as_novas(self):
        """nova-api's image create: frozen by the agent, the record as with nova-compute"""
        native = self.cloud.snapshot_volume_backed(self.server, "same")
        # nova-api casts unquiesce_instance: nova-compute thaws when it gets to it.
        wait_for("nova-compute's thaw", lambda: "thawed" in ask_guest_agent(
            self.server, "guest-fsfreeze-status").stdout, 60)
        frozen = console(self.server).count("guest-fsfreeze called")
        with Agent() as agent:
            ours = self.cloud.snapshot_volume_backed(self.server, "same")
            agent.wait_log("The guest is frozen", 10)
            agent.wait_log("The guest is thawed", 60)
        self.assertEqual(alike(ours), alike(native))
        self.assertEqual(len(mappings_of(ours)), 2)
        self.assertGreater(console(self.server).count("guest-fsfreeze called"), frozen)

    def test_thaw_never_asked_for(self):
        """quiesce_instance without unquiesce_instance: thawed at freeze_deadline"""
        with Agent({"snapshot_agent": {"freeze_deadline": "15"}}) as agent:
            self.quiesce("quiesce_instance")
            self.assertIn("frozen", ask_guest_agent(self.server, "guest-fsfreeze-status").stdout)
            agent.wait_log("nobody asked for it within freeze_deadline", 30)
            wait_for("thaw", lambda: "thawed" in ask_guest_agent(
                self.server, "guest-fsfreeze-status").stdout, 30)

    def test_agent_ends_while_frozen(self):
        """an agent that is stopped thaws first"""
        with Agent():
            self.quiesce("quiesce_instance")
        self.assertIn("thawed", ask_guest_agent(self.server, "guest-fsfreeze-status").stdout)

    def quiesce(self, method):
        run("/usr/bin/python3", f"{REPO}/tests/integration/lib/call_quiesce.py",
            self.cloud.env["LAB_HOST"], self.server, method, env={**os.environ, **self.cloud.env})

    def test_own_path_by_a_real_client(self):
        """snapshot_instance of a volume-backed server: a server boots from the image with its data"""
        with Agent() as agent:
            image = cast_snapshot(self.cloud, self.cloud.env["LAB_HOST"], self.server)
            record = self.cloud.wait_image(image)
            agent.wait_log(f"Snapshot image {image} is active", 60)
            self.assertIn("is active; by snapshots of its volumes; quiesced", agent.log())
        self.assertEqual(record["size"], 0)
        self.assertEqual((record["disk_format"], record["container_format"]), ("raw", "bare"))
        self.assertEqual(record["bdm_v2"], "True")
        self.assertEqual(record["root_device_name"], "/dev/vda")
        for mapping in mappings_of(record):
            snapshot = self.cloud.wait_snapshot(mapping["snapshot_id"])
            self.assertEqual(snapshot["metadata"]["instance_uuid"], self.server)
            self.assertEqual(snapshot["metadata"]["image_id"], image)
            self.assertEqual(snapshot["name"], f"snapshot for {record['name']}")
        self.check_boots(image)

    def check_boots(self, image):
        second = self.cloud.create_server("it-from-volumes", image, "m1.tiny")
        volumes = [a["volumeId"] for a in self.cloud.nova(
            "GET", f"/servers/{second}/os-volume_attachments").json()["volumeAttachments"]]
        self.cloud.volumes += volumes
        self.assertEqual(len(volumes), 2)
        copies = {self.cloud.volume(v)["attachments"][0]["device"]: v for v in volumes}
        flush(second)
        flush(self.server)
        assert_same_rbd(f"volumes/volume-{copies['/dev/vdb']}", f"volumes/volume-{self.data}")
        # The guest goes on writing to its root disk: its own system comes up from the copy.
        wait_guest_agent(second)
        self.cloud.delete_server(second)
        for volume in volumes:
            self.cloud.wait_volume(volume, "available")
            self.cloud.cinder("DELETE", f"/volumes/{volume}")
            self.cloud.volumes.remove(volume)
            wait_for("end of the volume", lambda v=volume: self.cloud.volume(v) is None)

    def test_over_quota(self):
        """a quota that is used up: refused before anything is made, nothing left"""
        project = self.cloud.session.get_project_id()
        before = {s["id"] for s in self.cloud.volume_snapshots()}
        self.cloud.cinder("PUT", f"/os-quota-sets/{project}",
                          {"quota_set": {"snapshots": len(before) + 1}})
        try:
            self.assert_failed("Quota exceeded")
        finally:
            self.cloud.cinder("PUT", f"/os-quota-sets/{project}", {"quota_set": {"snapshots": 1000}})
        self.assertEqual({s["id"] for s in self.cloud.volume_snapshots()}, before)

    def test_volume_in_error(self):
        """one volume in error: refused before anything is made, nothing left"""
        before = {s["id"] for s in self.cloud.volume_snapshots()}
        self.reset_volume("error")
        try:
            self.assert_failed("is error")
        finally:
            self.reset_volume("in-use")
        self.assertEqual({s["id"] for s in self.cloud.volume_snapshots()}, before)

    def reset_volume(self, status):
        self.cloud.cinder("POST", f"/volumes/{self.data}/action",
                          {"os-reset_status": {"status": status}})

    def assert_failed(self, word):
        with Agent() as agent:
            image = cast_snapshot(self.cloud, self.cloud.env["LAB_HOST"], self.server)
            agent.wait_log("snapshot_instance failed", 60)
            self.assertIn(word, agent.log())
            wait_for(f"end of image {image}", lambda: self.cloud.image(image) is None)
            wait_for("task state None", lambda: self.cloud.server(
                self.server)["OS-EXT-STS:task_state"] is None)

    def test_cinder_fails_midway(self):
        """Cinder's volume service is away: given up in time, what was begun is deleted"""
        before = {s["id"] for s in self.cloud.volume_snapshots()}
        lab_service("stop", "cinder-volume")
        try:
            with Agent({"snapshot_agent": {"volume_snapshot_timeout": "10",
                                           "freeze_deadline": "5"}}) as agent:
                image = cast_snapshot(self.cloud, self.cloud.env["LAB_HOST"], self.server)
                agent.wait_log("nobody asked for it within freeze_deadline", 60)
                agent.wait_log("snapshot_instance failed", 120)
                wait_for(f"end of image {image}", lambda: self.cloud.image(image) is None)
                log = agent.log()
        finally:
            lab_service("start", "cinder-volume")
        # What Cinder was still making when it was away is named in the log; it is not ours to force.
        for snapshot in self.cloud.volume_snapshots():
            if snapshot["id"] not in before:
                self.assertIn(snapshot["id"], log)
                self.cloud.wait_snapshot(snapshot["id"])
                self.cloud.delete_volume_snapshot(snapshot["id"])


if __name__ == "__main__":
    tap.main()
