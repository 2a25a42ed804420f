#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An agent whose libvirtd is in another container, as deployment tools have it: by qemu+tcp.

socat is the way to the lab's libvirtd. What kinds of daemons there are is test_libvirt_daemons.sh's.
"""

import os
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from agent import METHOD, Agent, assert_nothing_left
from cloud import Cloud, assert_same_content, block_jobs, domain_state, domain_xml, write_pattern
from failpoint import Failpoint
from scraper import free_port

COLD = {"workarounds": {"disable_libvirt_livesnapshot": "true"}}


class LibvirtElsewhere(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-elsewhere", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x21", "200M", "8M")
        cls.xml = domain_xml(cls.server)
        cls.port = free_port()

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def setUp(self):
        self.open_way()
        self.addCleanup(self.break_way)

    def open_way(self):
        self.socat = subprocess.Popen(
            ["socat", f"TCP-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork",
             "UNIX-CONNECT:/run/libvirt/libvirt-sock"], start_new_session=True)

    def break_way(self):
        """With all that goes through it."""
        if self.socat:
            os.killpg(self.socat.pid, signal.SIGKILL)
            self.socat.wait(10)
        self.socat = None

    def agent(self, options=None, **how):
        uri = f"qemu+tcp://127.0.0.1:{self.port}/system"
        return Agent({"libvirt": {"connection_uri": uri}, **(options or {})}, **how)

    def assert_whole(self, record):
        assert_same_content(record["id"], "qcow2", self.server)
        self.assert_as_before()

    def assert_as_before(self):
        self.assertEqual(domain_state(self.server), "running")
        self.assertEqual(domain_xml(self.server), self.xml)
        self.assertIn("No current block job", block_jobs(self.server))
        assert_nothing_left()

    def test_live(self):
        """a live snapshot through qemu+tcp"""
        with self.agent() as agent:
            record = self.cloud.snapshot(self.server, "elsewhere-live")
            self.assertIn(f"as qcow2 by {METHOD}\n", agent.log())
            self.assertNotIn("falling back from", agent.log())
        self.assert_whole(record)

    @tap.any_method
    def test_cold(self):
        """a cold snapshot through qemu+tcp"""
        with self.agent(COLD):
            record = self.cloud.snapshot(self.server, "elsewhere-cold")
        self.assert_whole(record)

    def broken_at(self, point, options=None):
        """The image and the result of a snapshot whose way to libvirtd breaks there, and is there again."""
        with self.agent(options) as agent:
            held = Failpoint(f"{agent.folder}/state", point)
            image, request_id = self.cloud.create_image(self.server, point)
            held.wait()
            self.break_way()
            agent.wait_log("connection to libvirtd is lost", 60)
            held.let_go()
            agent.wait_log("will retry in", 60)
            self.open_way()
            result = self.cloud.wait_event(self.server, request_id)["result"]
            self.cloud.wait_server(self.server, "ACTIVE")
        return image, result

    def assert_succeeds_broken_at(self, point, options=None):
        image, result = self.broken_at(point, options)
        self.assertEqual(result, "Success")
        self.assert_whole(self.cloud.wait_image(image))

    def test_live_broken(self):
        """the way to libvirtd breaks while a disk is copied: a fault, or streamed to the end; the guest as it was"""
        if METHOD == "stream":
            self.assert_succeeds_broken_at("stream:begun")
            return
        image, result = self.broken_at("live:copy-started")
        self.assertEqual(result, "Error")
        self.assertIsNone(self.cloud.image(image))
        self.assert_as_before()

    @tap.any_method
    def test_cold_broken(self):
        """the way to libvirtd breaks while a guest is saved: it runs again, the image is whole"""
        self.assert_succeeds_broken_at("cold:saved", COLD)

    @tap.any_method
    def test_no_way(self):
        """no way to libvirtd: nova-compute's requests stay with it, until there is one"""
        self.break_way()
        with self.agent(wait_attached=False) as agent:
            agent.wait_log("this host cannot take snapshots, requests go to nova-compute", 60)
            self.assertNotIn("attached to", agent.log())
            self.open_way()
            agent.wait_log("attached to", 120)
            record = self.cloud.snapshot(self.server, "elsewhere-again")
            self.assertIn(f"as qcow2 by {METHOD}\n", agent.log())
        self.assert_whole(record)


if __name__ == "__main__":
    tap.main()
