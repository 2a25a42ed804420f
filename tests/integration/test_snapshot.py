#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a tenant gets from the agent: live and cold snapshots on the lab's real OpenStack."""

import datetime
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import METHOD, Agent, assert_nothing_left
from cloud import (Cloud, ask_guest_agent, assert_same_content, block_jobs, disk_file, domain_state,
                   domain_xml, flush, image_file, run, wait_guest_agent, write_pattern)

COLD = {"workarounds": {"disable_libvirt_livesnapshot": "true"}}


class Snapshot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.base = cls.cloud.image_named("lab-base")
        cls.server = cls.cloud.create_server("it-snapshot", cls.base)
        write_pattern(cls.server, "0x11", "200M", "8M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def setUp(self):
        state = self.cloud.server(self.server)["status"]
        way = {"PAUSED": "unpause", "SUSPENDED": "resume", "SHUTOFF": "os-start"}.get(state)
        if way:
            self.cloud.action(self.server, way, wait="ACTIVE")
        self.xml = domain_xml(self.server)

    def check(self, record, state, fmt="qcow2"):
        self.assertEqual(record["disk_format"], fmt)
        assert_same_content(record["id"], fmt, self.server)
        self.assertEqual(domain_state(self.server), state)
        self.assertEqual(domain_xml(self.server), self.xml)
        if state != "shut off":
            self.assertIn("No current block job", block_jobs(self.server))
        assert_nothing_left()

    def test_live_running(self):
        """a running server: live, content equal, definition back"""
        with Agent() as agent:
            record = self.cloud.snapshot(self.server, "live")
            self.assertIn("Beginning live snapshot", agent.log())
            self.assertIn(f"as qcow2 by {METHOD}\n", agent.log())
            self.assertNotIn("falling back from", agent.log())
        self.check(record, "running")

    def test_live_paused(self):
        """a paused server: live, stays paused"""
        self.cloud.action(self.server, "pause", wait="PAUSED")
        self.xml = domain_xml(self.server)
        with Agent() as agent:
            record = self.cloud.snapshot(self.server, "paused")
            self.assertIn("Beginning live snapshot", agent.log())
        self.check(record, "paused")

    @tap.any_method
    def test_cold_running(self):
        """a running server without live snapshots: saved, converted, running again"""
        with Agent(COLD) as agent:
            record = self.cloud.snapshot(self.server, "cold")
            self.assertIn("disable_libvirt_livesnapshot is set", agent.log())
        self.check(record, "running")
        self.assertEqual(record.get("snapshot_method"), "cold" if METHOD == "blockrebase" else
                         f"cold, not {METHOD}: [workarounds]disable_libvirt_livesnapshot is set")

    @tap.any_method
    def test_cold_paused(self):
        """a paused server without live snapshots comes back paused"""
        self.cloud.action(self.server, "pause", wait="PAUSED")
        self.xml = domain_xml(self.server)
        with Agent(COLD):
            record = self.cloud.snapshot(self.server, "cold-paused")
        self.check(record, "paused")

    def test_stopped(self):
        """a stopped server: converted or streamed, stays stopped"""
        self.cloud.action(self.server, "os-stop", wait="SHUTOFF")
        self.xml = domain_xml(self.server)
        with Agent() as agent:
            record = self.cloud.snapshot(self.server, "stopped")
            self.assertIn("by stream" if METHOD == "stream" else "the guest is not running",
                          agent.log())
        self.check(record, "shut off")

    @tap.any_method
    def test_suspended(self):
        """a suspended server: converted, its saved memory untouched"""
        self.cloud.action(self.server, "suspend", wait="SUSPENDED")
        self.xml = domain_xml(self.server)
        with Agent():
            record = self.cloud.snapshot(self.server, "suspended")
        self.check(record, "shut off")
        self.assertRegex(run("virsh", "-c", "qemu:///system", "dominfo", self.server),
                         r"Managed save:\s+yes")

    def test_formats(self):
        """snapshot_image_format raw, vmdk, vdi"""
        for fmt in ("raw", "vmdk", "vdi"):
            with Agent({"libvirt": {"snapshot_image_format": fmt}}):
                record = self.cloud.snapshot(self.server, fmt)
            self.check(record, "running", fmt)

    def test_compression(self):
        """snapshot_compression makes a smaller qcow2 with the same content"""
        write_pattern(self.server, "0x22", "300M", "16M")
        with Agent():
            plain = self.cloud.snapshot(self.server, "plain")
        with Agent({"libvirt": {"snapshot_compression": "true"}}):
            record = self.cloud.snapshot(self.server, "compressed")
        self.check(record, "running")
        self.assertLess(record["size"], plain["size"] - (8 << 20))

    def test_rate_limits(self):
        """an upload takes as long as its limit says, that of the host counts too"""
        write_pattern(self.server, "0x55", "350M", "64M")
        for option in ("upload_rate_limit", "upload_rate_limit_host"):
            with Agent({"snapshot_agent": {option: "20"}}):
                begin = time.monotonic()
                record = self.cloud.snapshot(self.server, "limited")
                took = time.monotonic() - begin
            self.assertGreater(took, 0.9 * record["size"] / (20 << 20))
            self.check(record, "running")

    def test_provenance(self):
        """the image tells how it was made, when, and by whom"""
        before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        with Agent():
            record = self.cloud.snapshot(self.server, "provenance")
        instant = datetime.datetime.strptime(record["snapshot_instant"], "%Y-%m-%dT%H:%M:%S%z")
        self.assertLessEqual(before, instant)
        self.assertLessEqual(instant, datetime.datetime.now(datetime.timezone.utc))
        self.assertEqual(record["snapshot_method"], METHOD)
        self.assertRegex(record["snapshot_agent"], r"^nova-snapshot-agent \d")
        self.assertEqual(record["snapshot_quiesced"], "no: QEMU guest agent is not enabled")
        self.check(record, "running")

    def test_progress(self):
        """a tenant sees how far it is, in steps, and nothing of it afterwards"""
        write_pattern(self.server, "0x56", "350M", "128M")
        before = self.cloud.server(self.server)["progress"]
        seen = []
        with Agent({"snapshot_agent": {"upload_rate_limit": "8"}}):
            image, request_id = self.cloud.create_image(self.server, "progress")
            while self.cloud.image(image)["status"] != "active":
                now = self.cloud.server(self.server)["progress"]
                if not seen or now != seen[-1][1]:
                    seen.append((time.monotonic(), now))
                time.sleep(0.2)
            self.cloud.wait_image(image)
            self.cloud.wait_event(self.server, request_id)
            self.assertEqual(self.cloud.server(self.server)["progress"], before)
        told = [percent for _, percent in seen]
        self.assertGreaterEqual(len(told), 3, told)
        self.assertEqual(told[0], before)
        for (earlier, low), (later, high) in zip(seen[1:], seen[2:]):
            self.assertGreaterEqual(high, low + 5, told)
            self.assertGreater(later - earlier, 4.5, seen)
        self.check(self.cloud.image(image), "running")

    def test_boots(self):
        """a server boots from the image and has its data"""
        with Agent():
            record = self.cloud.snapshot(self.server, "boots")
        second = self.cloud.create_server("it-from-snapshot", record["id"])
        self.assertEqual(domain_state(second), "running")
        flush(second)
        flush(self.server)
        run("qemu-img", "compare", "-U", "-f", "qcow2", "-F", "qcow2", disk_file(second),
            disk_file(self.server))
        self.cloud.delete_server(second)

    @tap.any_method
    def test_member_of_a_project(self):
        """a tenant with the role member, whose token the service token accompanies"""
        demo = Cloud("demo-openrc.sh")
        try:
            server = demo.create_server("it-demo", self.base)
            with Agent():
                record = demo.snapshot(server, "demo")
            self.assertEqual(record["visibility"], "private")
            assert_same_content(record["id"], "qcow2", server)
        finally:
            demo.clean()

    @tap.any_method
    def test_concurrent(self):
        """several servers at once, one slot: all become active, the bus goes on"""
        others = [self.cloud.create_server(f"it-many-{i}", self.base) for i in range(2)]
        with Agent({"DEFAULT": {"max_concurrent_snapshots": "1"}}):
            started = [(s, *self.cloud.create_image(s, "many")) for s in [self.server, *others]]
            for server, image, request_id in started:
                self.cloud.wait_image(image)
                self.assertEqual(self.cloud.wait_event(server, request_id)["result"], "Success")
                assert_same_content(image, "qcow2", server)
        for server in others:
            self.cloud.delete_server(server)
        assert_nothing_left()


class Quiesced(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-agent", cls.cloud.image_named("lab-agent"), "m1.tiny")
        wait_guest_agent(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def test_frozen_and_thawed(self):
        """hw_qemu_guest_agent: the file system in the image is clean, the guest thawed"""
        with Agent() as agent:
            record = self.cloud.snapshot(self.server, "quiesced")
            self.assertIn("quiesced", agent.log())
        # A mounted ext4 that was not frozen has a journal to replay.
        raw = tempfile.mktemp(prefix="nova-snapshot-fs-")
        run("qemu-img", "convert", "-O", "raw", image_file(record["id"]), raw)
        features = run("dumpe2fs", "-h", raw)
        os.unlink(raw)
        self.assertNotIn("needs_recovery", features)
        self.assertIn("thawed", ask_guest_agent(self.server, "guest-fsfreeze-status").stdout)
        self.assertEqual(domain_state(self.server), "running")
        assert_nothing_left()


if __name__ == "__main__":
    tap.main()
