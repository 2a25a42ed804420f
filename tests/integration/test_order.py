#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two requests on one server, and a task state that nova-compute clears while a snapshot runs."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import METHOD, Agent, assert_nothing_left
from cloud import (LAB, Cloud, assert_same_content, block_jobs, domain_state, domain_xml,
                   lab_service, run, wait_for, write_pattern)
from failpoint import Failpoint

COLD = {"workarounds": {"disable_libvirt_livesnapshot": "true"}}
COPIED = {"snapshot_agent": {
    "live_snapshot_method": "blockcopy" if METHOD == "stream" else METHOD}}


def database(statement):
    return run("mariadb", "--no-defaults", "--user=root", f"--socket={LAB}/mariadb/mariadb.sock",
               "--batch", "--skip-column-names", "-e", statement)


class Order(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-order", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x33", "100M", "8M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def task_state(self):
        return self.cloud.server(self.server)["OS-EXT-STS:task_state"]

    def hold(self, agent, point):
        """A snapshot that stands still at a point of its way. Its image and request."""
        self.held = Failpoint(f"{agent.folder}/state", point)
        image, request_id = self.cloud.create_image(self.server, point)
        self.held.wait()
        return image, request_id

    def with_cleared_state(self, request):
        """What nova-api takes only without a task state, before the agent has saved it again."""
        for _ in range(20):
            database("UPDATE nova.instances SET task_state = NULL "
                     f"WHERE uuid = '{self.server}'")
            answer = self.cloud.nova("POST", f"/servers/{self.server}/action", request, ok=False)
            if answer.status_code == 202:
                return answer
        raise AssertionError(f"{request} is refused: {answer.text}")

    def assert_unharmed(self, state="running"):
        self.assertEqual(domain_state(self.server), state)
        self.assertIn("Persistent:     yes",
                      run("virsh", "-c", "qemu:///system", "dominfo", self.server))
        if state == "running":
            self.assertIn("No current block job", block_jobs(self.server))
        assert_nothing_left()

    def test_two_snapshots(self):
        """two cold snapshots of one server: one after the other, both images whole, the guest runs"""
        with Agent(COLD) as agent:
            first, first_request = self.hold(agent, "cold:converted")
            answer = self.with_cleared_state({"createImage": {"name": "second"}})
            second = answer.json()["image_id"]
            self.cloud.images.append(second)
            journal = f"{agent.folder}/state/{self.cloud.env['LAB_HOST']}.journal"
            wait_for("second request", lambda: len(os.listdir(journal)) == 2)
            self.held.let_go()
            self.cloud.wait_image(first)
            self.cloud.wait_image(second)
            self.cloud.wait_server(self.server, "ACTIVE")
            for request_id in (first_request, answer.headers["x-openstack-request-id"]):
                event = self.cloud.wait_event(self.server, request_id)
                self.assertEqual(event["result"], "Success", event)
        for image in (first, second):
            assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed()

    def test_second_one_cancelled(self):
        """the image of a snapshot that waits for its turn is deleted: over at once, the first goes on"""
        with Agent(COLD) as agent:
            first, _ = self.hold(agent, "cold:converted")
            answer = self.with_cleared_state({"createImage": {"name": "second"}})
            self.cloud.glance("DELETE", f"/v2/images/{answer.json()['image_id']}")
            agent.wait_log("Image not found during snapshot", 5)
            self.held.let_go()
            self.cloud.wait_image(first)
            self.cloud.wait_server(self.server, "ACTIVE")
        assert_same_content(first, "qcow2", self.server)
        self.assert_unharmed()

    def test_nova_compute_restarts(self):
        """nova-compute restarted while a guest is saved: its state is held, its snapshot ends well"""
        with Agent(COLD) as agent:
            image, request_id = self.hold(agent, "cold:converted")
            lab_service("restart", "nova-compute")
            agent.wait_log("the task state was cleared", 60)
            self.assertEqual(self.task_state(), "image_pending_upload")
            self.held.let_go()
            self.cloud.wait_image(image)
            self.cloud.wait_server(self.server, "ACTIVE")
            event = self.cloud.wait_event(self.server, request_id)
            self.assertEqual(event["result"], "Success", event)
        assert_same_content(image, "qcow2", self.server)
        self.assert_unharmed()

    def stop_meanwhile(self, options, point):
        xml = domain_xml(self.server)
        with Agent(options) as agent:
            image, request_id = self.hold(agent, point)
            self.with_cleared_state({"os-stop": None})
            wait_for("stopped server",
                     lambda: self.cloud.server(self.server)["OS-EXT-STS:vm_state"] == "stopped")
            self.held.let_go()
            event = self.cloud.wait_event(self.server, request_id)
            self.cloud.wait_server(self.server, "SHUTOFF")
        record = self.cloud.image(image)
        if event["result"] == "Success":
            self.assertEqual(record["status"], "active")
        else:
            self.assertIsNone(record)
        self.assertEqual(domain_xml(self.server), xml)
        self.assert_unharmed("shut off")
        self.cloud.action(self.server, "os-start", wait="ACTIVE")
        self.assert_unharmed()

    def test_stopped_while_saved(self):
        """a server that is stopped while its guest is saved stays stopped"""
        self.stop_meanwhile(COLD, "cold:converted")

    def test_stopped_while_copied(self):
        """a server that is stopped while its disk is copied stays stopped, and defined"""
        self.stop_meanwhile(COPIED, "live:copy-started")


if __name__ == "__main__":
    tap.main()
