#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nova-snapshot clean, with what killed nova-computes and agents really leave behind. Another lab's
nova-compute on this machine, also in a folder of its own, would be taken for one that may be at it."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import METHOD, Agent, assert_nothing_left, leftovers
from cloud import (LAB, REPO, Cloud, assert_same_content, block_jobs, domain_state, lab_service,
                   run, wait_for, write_pattern)
from failpoint import Failpoint

TOOL = os.environ.get("TOOL", f"{REPO}/build/nova-snapshot")
COPIED = "live:copy-ready"
POINT = "stream:connected" if METHOD == "stream" else COPIED


def virsh(*argv):
    return run("virsh", "-c", "qemu:///system", *argv)


def nova_compute():
    """The pid of the lab's."""
    with open(f"{LAB}/run/nova-compute.pid", encoding="ascii") as pid:
        return int(pid.read())


def wait_later():
    """Files and processes are told apart by seconds, and clocks may be off by some."""
    killed = int(time.time())
    wait_for("later seconds", lambda: time.time() >= killed + 6, 10, 0.05)


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
        self.addCleanup(self.remove_what_is_left)
        self.name_users(self.cloud.env["LAB_HOST"])

    def remove_what_is_left(self):
        """A test that fails costs no other one."""
        if not os.path.exists(f"/proc/{nova_compute()}"):
            lab_service("start", "nova-compute")
        for image in self.cloud.images:
            self.cloud.glance("DELETE", f"/v2/images/{image}", ok=False)
        if leftovers():
            self.cloud.action(self.server, "os-resetState", {"state": "active"})
            self.define_again()
        for name in leftovers():
            shutil.rmtree(f"{LAB}/nova/instances/snapshots/{name}")

    def name_users(self, *hosts):
        """Who uses the disk, as nova-compute writes it down each [image_cache]manager_interval."""
        path = f"{LAB}/nova/instances/compute_nodes"
        before = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as users:
                before = users.read()
        with open(path, "w", encoding="utf-8") as users:
            json.dump({host: time.time() for host in hosts}, users)
        self.addCleanup(self.write_or_remove, path, before)

    @staticmethod
    def write_or_remove(path, text):
        if text is None:
            os.unlink(path)
            return
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

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
        found = {item["kind"]: item for item in answer["found"]}
        self.assertEqual(len(found), len(answer["found"]), answer)
        return found

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

    def hold(self, point, state_dir):
        """A snapshot that stands still at a point of its way. Its image, and the point."""
        held = Failpoint(state_dir, point)
        image, _ = self.cloud.create_image(self.server, point)
        held.wait()
        return image, held

    def killed_at(self, point, state_dir):
        """An agent that is killed there, and its journal is lost. The image."""
        with Agent({"snapshot_agent": {"state_dir": state_dir}}) as agent:
            image, held = self.hold(point, state_dir)
            agent.kill()
            agent.process.returncode = 0  # as it was to be
        held.let_go()
        os.unlink(f"{held.path}.reached")
        shutil.rmtree(f"{state_dir}/{self.cloud.env['LAB_HOST']}.journal")
        wait_later()
        return image

    def drain(self, agent):
        """What comes is nova-compute's."""
        run(TOOL, "drain", "--wait", "30", "--socket", f"{agent.folder}/control")

    def resume(self, agent):
        run(TOOL, "resume", "--socket", f"{agent.folder}/control")

    def restart_nova_compute(self):
        lab_service("restart", "nova-compute")
        self.cloud.wait_server(self.server, "ACTIVE")

    def delete(self, image):
        """What an operator does with an image that is left."""
        self.cloud.glance("DELETE", f"/v2/images/{image}")

    def state_dir(self):
        folder = tempfile.mkdtemp(prefix="nova-snapshot-agent-state-")
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def test_nova_compute_killed(self):
        """nova-compute killed in its own snapshot: folder and block job go after its next start, the guest stays"""
        with Agent() as agent:
            self.drain(agent)
            image, _ = self.cloud.create_image(self.server, "killed")
            self.wait_copy()
            os.kill(nova_compute(), signal.SIGKILL)
            found = self.clean(agent, "--yes")  # that it does not run cannot be proven
            self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
            wait_later()
            self.restart_nova_compute()
            self.name_users(self.cloud.env["LAB_HOST"], "another")
            found = self.clean(agent, "--yes")
            self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
            self.assertIn("names another", found["job"]["why"])
            self.name_users(self.cloud.env["LAB_HOST"])
            found = self.clean(agent)
            self.assertEqual(self.verdicts(found),
                             {"job": "nobodys", "folder": "nobodys", "image": "left"}, found)
            self.assertEqual(found["job"]["instance"], self.server)
            self.assertEqual(found["image"]["what"], image)
            self.assertNotIn("No current block job", block_jobs(self.server))  # it has only looked
            self.assertEqual(len(leftovers()), 1)
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found),
                             {"job": "done", "folder": "done", "image": "left"}, found)
            self.assert_untouched()
            self.assertEqual(self.cloud.image(image)["status"], "queued")
            self.delete(image)
            self.finds_nothing(agent)
        self.define_again()

    def test_nova_compute_that_began_before(self):
        """what a nova-compute has left that began before the agent waits for its next start"""
        image, _ = self.cloud.create_image(self.server, "before")
        self.wait_copy()
        os.kill(nova_compute(), signal.SIGKILL)
        wait_later()
        self.restart_nova_compute()
        with Agent() as agent:
            found = self.clean(agent, "--yes")
            self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
            self.assertIn("restart nova-compute", found["job"]["why"])
            self.restart_nova_compute()
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found),
                             {"job": "done", "folder": "done", "image": "left"}, found)
            self.delete(image)
            self.finds_nothing(agent)
        self.define_again()

    def test_agent_killed_while_it_copies(self):
        """an agent killed in its copy, its journal lost: folder and block job are known to be its own, and go"""
        state_dir = self.state_dir()
        image = self.killed_at(POINT, state_dir)
        with Agent() as other:  # with another state_dir, as on another host
            found = self.clean(other, "--yes")
            self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
        with Agent({"snapshot_agent": {"state_dir": state_dir}}) as agent:
            found = self.clean(agent)
            self.assertEqual(self.verdicts(found), {"job": "nobodys", "folder": "nobodys",
                                                    "image": "left", "task_state": "left"}, found)
            found = self.clean(agent, "--yes")
            self.assertEqual(self.verdicts(found), {"job": "done", "folder": "done",
                                                    "image": "left", "task_state": "left"}, found)
            self.assert_untouched()
            self.cloud.action(self.server, "os-resetState", {"state": "active"})
            self.delete(image)
            self.finds_nothing(agent)
        self.define_again()

    def test_agent_killed_while_it_uploads(self):
        """an agent killed in its upload, its journal lost: its image is known by its mark as well"""
        state_dir = self.state_dir()
        image = self.killed_at("disk:properties-set", state_dir)
        self.assertEqual(self.state(), "image_uploading")
        with Agent({"snapshot_agent": {"state_dir": state_dir}}) as agent:
            found = self.clean(agent, "--yes")
            self.assertEqual({kind: item["verdict"] for kind, item in found.items()
                              if kind in ("folder", "image", "task_state")},
                             {"folder": "done", "image": "done", "task_state": "left"}, found)
            self.assertEqual(found.get("job", {"verdict": "done"})["verdict"], "done")
            self.assert_untouched()
            self.assertIsNone(self.cloud.image(image))
            self.cloud.action(self.server, "os-resetState", {"state": "active"})
            self.finds_nothing(agent)

    def test_snapshot_of_the_agent_meanwhile(self):
        """a snapshot of the agent that is under way is left alone, and comes to its end"""
        for point in (POINT, "disk:properties-set"):
            with Agent() as agent:
                image, held = self.hold(point, f"{agent.folder}/state")
                found = self.clean(agent, "--yes")
                self.assertEqual(set(self.verdicts(found).values()), {"left"}, found)
                self.assertIn("folder", found)
                self.assertIn("task_state", found)
                held.let_go()
                record = self.cloud.wait_image(image)
                self.cloud.wait_server(self.server, "ACTIVE")
                assert_same_content(image, record["disk_format"], self.server)
                self.assert_untouched()

    def clean_until_active(self, agent, image):
        """At each step that is seen of a snapshot of nova-compute's, by an agent that is attached."""
        looks = 0
        while self.cloud.image(image)["status"] != "active" and looks < 200:
            found = self.clean(agent, "--yes")
            self.assertLessEqual(set(self.verdicts(found).values()), {"left"}, found)
            looks += 1
        self.assertGreater(looks, 1)
        return self.cloud.wait_image(image)

    def taken_by_nova_compute(self, agent, server):
        """A snapshot of the server that nova-compute has begun, the agent beside it."""
        self.drain(agent)
        image, _ = self.cloud.create_image(server, "meanwhile")
        wait_for("nova-compute", lambda: self.cloud.server(server)["OS-EXT-STS:task_state"] not in (
            None, "image_snapshot_pending"), 60, 0.02)
        self.resume(agent)
        agent.wait_log("attached to", times=2)
        return image

    def test_snapshot_of_nova_compute_meanwhile(self):
        """one of nova-compute as well, with an agent that is attached and a nova-compute it saw begin"""
        with Agent() as agent:
            self.drain(agent)  # the lab waits for a consumer, which is to be nova-compute
            self.restart_nova_compute()
            image = self.taken_by_nova_compute(agent, self.server)
            record = self.clean_until_active(agent, image)
            self.cloud.wait_server(self.server, "ACTIVE")
            assert_same_content(image, record["disk_format"], self.server)
            self.assert_untouched()

    def test_server_of_an_agents_image_meanwhile(self):
        """a server booted from an image of the agent: its images have the properties, and are left alone"""
        with Agent() as agent:
            parent = self.cloud.snapshot(self.server, "parent")
            self.assertIn("snapshot_mark", parent)
            child = self.cloud.create_server("it-clean-child", parent["id"])
            image = self.taken_by_nova_compute(agent, child)
            self.assertEqual(self.cloud.image(image)["snapshot_mark"], parent["snapshot_mark"])
            record = self.clean_until_active(agent, image)
            self.cloud.wait_server(child, "ACTIVE")
            assert_same_content(image, record["disk_format"], child)

            self.cloud.action(child, "shelve")
            shelved = wait_for("image of the shelved server", lambda: next(
                (listed["id"] for listed in self.cloud.glance(
                    "GET", "/v2/images?name=it-clean-child-shelved").json()["images"]), None), 60, 0.05)
            self.cloud.images.append(shelved)
            self.clean_until_active(agent, shelved)
            wait_for("shelved server", lambda: self.cloud.server(child)["status"] in (
                "SHELVED", "SHELVED_OFFLOADED"), 120)
            self.cloud.delete_server(child)
            assert_nothing_left()


if __name__ == "__main__":
    tap.main()
