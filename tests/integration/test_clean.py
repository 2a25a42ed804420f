#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nova-snapshot clean, with what killed nova-computes and agents really leave behind."""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import METHOD, Agent, assert_nothing_left, leftovers
from cloud import (LAB, REPO, Cloud, assert_same_content, block_jobs, domain_state, lab_service,
                   run, wait_for, write_pattern)

TOOL = os.environ.get("TOOL", f"{REPO}/build/nova-snapshot")
COPIED = "live:copy-ready"
POINT = "stream:connected" if METHOD == "stream" else COPIED


def virsh(*argv):
    return run("virsh", "-c", "qemu:///system", *argv)


def database(statement):
    return run("mariadb", "--no-defaults", "--user=root", f"--socket={LAB}/mariadb/mariadb.sock",
               "--batch", "--skip-column-names", "-e", statement)


def make_older(image):
    """As if an hour had passed since; Glance's clock may be a minute off."""
    database("UPDATE glance.images SET created_at = created_at - INTERVAL 1 HOUR "
             f"WHERE id = '{image}'")


def nova_compute():
    """The pid of the lab's."""
    with open(f"{LAB}/run/nova-compute.pid", encoding="ascii") as pid:
        return int(pid.read())


def wait_later():
    """Files and processes are told apart by the second in which they began."""
    killed = int(time.time())
    wait_for("later second", lambda: time.time() >= killed + 2, 5, 0.05)


class Clean(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-clean", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x33", "100M", "300M")
        cls.guest = cls.guest_as_it_is()

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def setUp(self):
        self.cloud.action(self.server, "os-resetState", {"state": "active"})

    @classmethod
    def guest_as_it_is(cls):
        """The run of the guest, and its disks with what is below them."""
        xml = virsh("dumpxml", cls.server)
        disks = re.findall(r"<disk .*?</disk>", xml, re.DOTALL)
        return virsh("domid", cls.server), [re.sub(r"index='\d+'", "", disk) for disk in disks]

    def assert_untouched(self):
        self.assertEqual(domain_state(self.server), "running")
        self.assertIn("No current block job", block_jobs(self.server))
        self.assertEqual(virsh("domid", self.server), self.guest[0])
        self.assertEqual(self.guest_as_it_is()[1], self.guest[1])
        assert_nothing_left()

    def clean(self, agent, *words, expect=0):
        """What is found, by kind."""
        done = subprocess.run([TOOL, "clean", "--json", *words, "--socket",
                               f"{agent.folder}/control"],
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["troubles"], [])
        return {item["kind"]: item for item in answer["found"]}

    def verdicts(self, found):
        return {kind: item["verdict"] for kind, item in found.items()}

    def finds_nothing(self, agent):
        done = subprocess.run([TOOL, "clean", "--socket", f"{agent.folder}/control"],
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "nothing is left of snapshots\n"))

    def wait_copy(self):
        """nova-compute's copy has begun: its file grows."""
        def grows():
            return any(os.stat(path).st_blocks > 8192 for path in glob.glob(
                f"{LAB}/nova/instances/snapshots/tmp*/*.delta"))
        wait_for("copy", grows, 60, 0.001)

    def state(self):
        return self.cloud.server(self.server)["OS-EXT-STS:task_state"]

    def define_again(self):
        """What clean leaves to nova: the definition it forgets while it copies."""
        self.cloud.action(self.server, "reboot", {"type": "HARD"}, wait="ACTIVE")
        type(self).guest = self.guest_as_it_is()

    def hold(self, agent, point):
        """A snapshot that stands still at a point of its way."""
        failpoint = f"{agent.folder}/state/failpoint"
        with open(failpoint, "w", encoding="ascii") as out:
            out.write(f"{point} hold\n")
        os.chmod(failpoint, 0o600)
        image, _ = self.cloud.create_image(self.server, point)
        wait_for(f"snapshot at {point}", lambda: os.path.exists(f"{failpoint}.reached"), 60, 0.05)
        return image, failpoint

    def killed_at(self, point):
        """An agent that is killed there, and its journal with it. The image."""
        with Agent() as agent:
            image, _ = self.hold(agent, point)
            agent.kill()
            agent.process.returncode = 0  # as it was to be
        wait_later()
        return image

    def test_nova_compute_killed(self):
        """nova-compute killed in its own snapshot: folder, block job and image go, the guest stays"""
        image, _ = self.cloud.create_image(self.server, "killed")
        self.wait_copy()
        os.kill(nova_compute(), signal.SIGKILL)
        wait_later()
        lab_service("restart", "nova-compute")
        self.cloud.wait_server(self.server, "ACTIVE")
        make_older(image)
        with Agent() as agent:
            found = self.clean(agent)
            self.assertEqual(self.verdicts(found),
                             {"job": "nobodys", "folder": "nobodys", "image": "nobodys"}, found)
            self.assertEqual(found["job"]["instance"], self.server)
            self.assertEqual(found["image"]["what"], image)
            self.assertNotIn("No current block job", block_jobs(self.server))  # it has only looked
            self.assertEqual(len(leftovers()), 1)
            self.assertEqual(self.cloud.image(image)["status"], "queued")
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found),
                             {"job": "done", "folder": "done", "image": "done"}, found)
            self.assert_untouched()
            self.assertIsNone(self.cloud.image(image))
            self.finds_nothing(agent)
        self.define_again()

    def test_agent_killed_while_it_copies(self):
        """an agent killed in its copy, its journal lost: what nova-compute may own waits for its restart"""
        image = self.killed_at(POINT)
        with Agent() as agent:
            found = self.clean(agent)
            self.assertEqual(self.verdicts(found), {"job": "nobodys", "folder": "nobodys",
                                                    "image": "left", "task_state": "left"}, found)
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found), {"job": "done", "folder": "done",
                                                    "image": "left", "task_state": "left"}, found)
            self.assert_untouched()
            self.assertEqual(self.cloud.image(image)["status"], "queued")
            lab_service("restart", "nova-compute")
            self.cloud.wait_server(self.server, "ACTIVE")
            make_older(image)
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found), {"image": "done"}, found)
            self.assertIsNone(self.cloud.image(image))
            self.finds_nothing(agent)
        self.define_again()

    def test_agent_killed_while_it_uploads(self):
        """an agent killed in its upload, its journal lost: all is known to be its own, and goes"""
        image = self.killed_at("disk:properties-set")
        self.assertEqual(self.state(), "image_uploading")
        with Agent() as agent:
            found = self.clean(agent, "--yes")
            self.assertEqual({kind: item["verdict"] for kind, item in found.items()
                              if kind in ("folder", "image", "task_state")},
                             {"folder": "done", "image": "done", "task_state": "done"}, found)
            self.assertEqual(found.get("job", {"verdict": "done"})["verdict"], "done")
            self.assert_untouched()
            self.assertIsNone(self.cloud.image(image))
            self.assertIsNone(self.state())
            self.finds_nothing(agent)

    def test_snapshot_of_the_agent_meanwhile(self):
        """a snapshot of the agent that is under way is left alone, and comes to its end"""
        for point in (POINT, "disk:properties-set"):
            with self.subTest(point), Agent() as agent:
                image, failpoint = self.hold(agent, point)
                found = self.clean(agent, "--yes")
                self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
                self.assertIn("folder", found)
                self.assertIn("task_state", found)
                os.unlink(failpoint)
                record = self.cloud.wait_image(image)
                self.cloud.wait_server(self.server, "ACTIVE")
                assert_same_content(image, record["disk_format"], self.server)
                self.assert_untouched()

    def test_snapshot_of_nova_compute_meanwhile(self):
        """one of nova-compute as well, at each step that is seen of it"""
        with Agent() as agent:
            run(TOOL, "drain", "--wait", "30", "--socket", f"{agent.folder}/control")
            image, _ = self.cloud.create_image(self.server, "meanwhile")
            looks = 0
            while self.cloud.image(image)["status"] != "active" and looks < 200:
                found = self.clean(agent, "--yes")
                self.assertLessEqual(set(self.verdicts(found).values()), {"left"}, found)
                looks += 1
            self.assertGreater(looks, 1)
            record = self.cloud.wait_image(image)
            self.cloud.wait_server(self.server, "ACTIVE")
            assert_same_content(image, record["disk_format"], self.server)
            self.assert_untouched()


if __name__ == "__main__":
    tap.main()
