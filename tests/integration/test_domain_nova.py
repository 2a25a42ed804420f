#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nova-snapshot domain on a server of nova's: what nova can do of it meanwhile, and that it can do all of
it again when its disk is flat. Beside the agent: a command is refused while a request is served, and a
request waits for a command.
"""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import Agent
from cloud import (REPO, Cloud, assert_same_content, disk_file, disk_io, domain_state, domain_xml, run,
                   write_pattern)
from failpoint import Failpoint

TOOL = f"{REPO}/build/nova-snapshot"
BEFORE, AFTER = "0x41", "0x42"
PLACE = "200M 4M"


def virsh(*words):
    return run("virsh", "-q", "-c", "qemu:///system", *words)


class DomainNova(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.clean)
        self.server = self.cloud.create_server("it-domain", self.cloud.image_named("lab-base"))
        self.addCleanup(self.forget_checkpoints)  # nova deletes no server that libvirt keeps one of
        write_pattern(self.server, BEFORE, *PLACE.split())
        folder = tempfile.TemporaryDirectory(prefix="nova-snapshot-agent-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o711)
        self.state = folder.name

    def argv(self, command, *words):
        return [TOOL, "domain", command, self.server, *words, "--state-dir", self.state]

    def tool(self, command, *words, status=0):
        done = subprocess.run(self.argv(command, *words), text=True, check=False, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def assert_guest_has(self, pattern):
        disk_io(self.server, "vda", f"read -P {pattern} {PLACE}")

    def checkpoints(self):
        return virsh("snapshot-list", "--name", self.server).split()

    def forget_checkpoints(self):
        for name in self.checkpoints():
            virsh("snapshot-delete", self.server, name, "--metadata")

    def hard_reboot(self):
        answer = self.cloud.nova("POST", f"/servers/{self.server}/action", {"reboot": {"type": "HARD"}})
        return self.cloud.wait_event(self.server, answer.headers["x-openstack-request-id"],
                                     "compute_reboot_instance")["result"]

    def test_way_back(self):
        """a server of nova's goes back to a checkpoint, and is nova's own again when it is deleted"""
        definition = domain_xml(self.server)
        self.assertIn("--force makes it all the same", self.tool("checkpoint", "--name", "before", status=1))
        self.tool("checkpoint", "--name", "before", "--force")
        write_pattern(self.server, AFTER, *PLACE.split())
        with self.subTest("nova cannot start it on what is below its layers, and nothing is lost"):
            self.assertEqual(self.hard_reboot(), "Error")
            self.assertEqual(domain_state(self.server), "shut off")
            virsh("start", self.server)
            self.assert_guest_has(AFTER)
            self.cloud.action(self.server, "os-resetState", {"state": "active"})
        self.tool("revert", "before", "--force", "--running")
        self.assert_guest_has(BEFORE)
        left = next(name for name in self.checkpoints() if name.startswith("left-"))
        self.tool("delete-checkpoint", left)
        self.assertIn("nova's own files again", self.tool("delete-checkpoint", "before"))
        self.assertEqual(self.checkpoints(), [])
        self.assertEqual(os.listdir(f"{self.state}/records"), [])
        self.assertIn(f"'{disk_file(self.server)}'", domain_xml(self.server))
        self.assertEqual(domain_xml(self.server), definition)
        with self.subTest("all of nova's works again"):
            self.assertEqual(self.hard_reboot(), "Success")
            self.cloud.wait_server(self.server, "ACTIVE")
            self.assert_guest_has(BEFORE)
            self.assertNotIn("snapshot_agent", image := self.cloud.snapshot(self.server, "by-nova"))
            assert_same_content(image["id"], "qcow2", self.server)
            self.cloud.action(self.server, "os-stop", wait="SHUTOFF")
            self.cloud.action(self.server, "os-start", wait="ACTIVE")
            self.assert_guest_has(BEFORE)

    def test_command_beside_a_request(self):
        """a command is refused while the agent serves a request on the server, which goes on"""
        with Agent({"snapshot_agent": {"upload_rate_limit": 10}}) as agent:
            image, _ = self.cloud.create_image(self.server, "beside")
            agent.wait_log("upload")
            said = self.tool("checkpoint", "--name", "beside", "--force", status=1)
            self.assertIn(f"another process, {agent.process.pid}, is at work on the domain", said)
            self.cloud.wait_image(image)
        self.assertEqual(self.checkpoints(), [])

    def test_request_beside_a_command(self):
        """a request waits for a command on the server, and is served when that has ended"""
        held = Failpoint(self.state, "domain:file-made")
        with Agent() as agent, subprocess.Popen(
                self.argv("image", "-o", f"{self.state}/image"), text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as command:
            held.wait()
            image, _ = self.cloud.create_image(self.server, "beside")
            agent.wait_log(f"the request waits: another process, {command.pid}, is at work on the domain")
            held.let_go()
            said = command.communicate(timeout=120)[0]
            self.assertEqual(command.returncode, 0, said)
            self.assertIn("snapshot_agent", self.cloud.wait_image(image))
            assert_same_content(image, "qcow2", self.server)


if __name__ == "__main__":
    tap.main()
