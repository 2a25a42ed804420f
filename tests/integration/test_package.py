#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's package under a real systemd: installed, upgraded while a snapshot runs, removed, purged.

The snapshot is one of the lab's OpenStack; the rest is private: RabbitMQ, and a systemd in
namespaces of its own with a layer over the machine's files. Not a part of make check: make package-check.
"""

import filecmp
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from cloud import LAB, Cloud, assert_same_content, block_jobs, domain_xml, write_pattern
from agent import assert_nothing_left
from package_root import PACKAGE, UNIT, PackageRoot, build, build_again, newer
from peers import Broker, wait_for

HOST = "package.example.org"
OWN_CONF = "/etc/nova/nova-snapshot-agent.conf"
STATE_DIR = "/var/lib/nova-snapshot-agent"
# Made by the agent as nova makes them, and left to it.
NOVAS = ("/var/lib/nova/instances", "/var/lib/nova/instances/snapshots")
LOCAL_PROFILE = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
INCLUDE = f"include if exists <abstractions/{PACKAGE}>"
MOST_EXPOSED = "20"  # of systemd-analyze: 2.0


def setUpModule():
    global folder, package, upgrade
    folder = tempfile.mkdtemp(prefix="nsa-package-", dir="/var/tmp")
    unittest.addModuleCleanup(subprocess.run, ["rm", "-rf", folder], check=True)
    package = build(folder)
    upgrade = newer(package, folder)


class PackageTest(unittest.TestCase):
    def test_reproducible(self):
        """package: made again, in another folder, it is the same to the byte"""
        with tempfile.TemporaryDirectory(prefix="nsa-again-", dir="/var/tmp") as other:
            again = build_again(package, f"{other}/a/longer/path")
            self.assertTrue(filecmp.cmp(package, again, shallow=False), f"{package} {again}")

    def test_confined(self):
        """package: the unit gives away no more than it must"""
        with tempfile.TemporaryDirectory(prefix="nsa-files-") as files:
            subprocess.run(["dpkg-deb", "-x", package, files], check=True)
            done = subprocess.run(
                ["systemd-analyze", "security", "--offline=true", f"--root={files}",
                 f"--threshold={MOST_EXPOSED}", "--no-pager", UNIT], text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_life(self):
        """package: installed it serves as nova, upgraded it serves on, purged the host is as before"""
        broker = Broker()
        self.addCleanup(broker.close)
        with PackageRoot(f"[DEFAULT]\nhost = {HOST}\ntransport_url = {broker.url()}\n"
                         "state_path = /var/lib/nova\n"
                         "[snapshot_agent]\nattach = exclusive\n") as root:
            before = root.changed()
            root.dpkg("-i", package)
            self.assertEqual(root.show("ActiveState"), "active", root.console())
            self.assertEqual(root.agent_user(), "nova")
            self.assertEqual(root.output("stat", "-c", "%U %G %a", OWN_CONF), "root nova 640")
            self.assertIn(INCLUDE, root.output("cat", LOCAL_PROFILE).splitlines())
            self.assertEqual(root.output("systemctl", "is-enabled", UNIT), "enabled")
            root.run("sh", "-c", f"echo \\# mine >>{OWN_CONF}")
            first = root.main_pid()
            root.dpkg("-i", upgrade)
            self.assertEqual(root.show("ActiveState"), "active", root.console())
            self.assertNotEqual(root.main_pid(), first)
            self.assertIn("# mine", root.output("cat", OWN_CONF))
            self.assertEqual(root.output("stat", "-c", "%U %G %a", OWN_CONF), "root nova 640")
            root.dpkg("-r", PACKAGE)
            wait_for("an end of all processes", lambda: not root.processes())
            self.assertIn("# mine", root.output("cat", OWN_CONF))
            root.dpkg("-P", PACKAGE)
            left = {path: look for path, look in root.changed().items() if path not in NOVAS}
            self.assertEqual(left, before)

    def test_purge_keeps_records(self):
        """package: a purge keeps the state directory while a record is in it, and says so"""
        with PackageRoot(f"[DEFAULT]\nhost = {HOST}\n") as root:
            root.dpkg("--unpack", package)
            folder = f"{STATE_DIR}/{HOST}.journal"
            root.run("sh", "-c", f"mkdir -p {folder}; echo {{}} >{folder}/record")
            self.assertIn(f"{STATE_DIR} is kept", root.dpkg("-P", PACKAGE))
            self.assertEqual(root.output("cat", f"{folder}/record"), "{}")

    def test_upgrade_while_a_snapshot_runs(self):
        """package: an upgrade in the middle of an upload loses no snapshot"""
        cloud = Cloud()
        self.addCleanup(cloud.clean)
        server = cloud.create_server("it-package", cloud.image_named("lab-base"))
        write_pattern(server, "0x11", "200M", "8M")
        definition = domain_xml(server)
        conf = ""
        for name in ("LAB_NOVA_CONF", "LAB_NOVA_COMPUTE_CONF"):
            with open(cloud.env[name], encoding="utf-8") as file:
                conf += file.read() + "\n"
        with PackageRoot(conf) as root:
            # The lab's nova is root, and at home in /var/tmp.
            root.drop_in(f"User=root\\nCapabilityBoundingSet=~\\nPrivateTmp=no\\nReadWritePaths={LAB}")
            root.run("sh", "-c", "printf '[DEFAULT]\\ngraceful_shutdown_timeout = 4\\n"
                     f"[snapshot_agent]\\nupload_rate_limit = 1\\n' >{OWN_CONF}")
            root.dpkg("--force-confold", "-i", package)
            wait_for("attached", lambda: "attached to" in root.console(), 60)
            image, request = cloud.create_image(server, "package")
            wait_for("an upload", lambda: "image_uploading" == cloud.server(
                server)["OS-EXT-STS:task_state"], 120)
            root.run("sh", "-c", f": >{OWN_CONF}")
            first = root.main_pid()
            root.dpkg("--force-confold", "-i", upgrade)
            try:
                cloud.wait_image(image)
                cloud.wait_server(server, "ACTIVE")
                event = cloud.wait_event(server, request)
            except AssertionError as failure:
                raise AssertionError(f"{failure}\n{root.console()}") from None
            self.assertNotIn(root.main_pid(), ("0", first))
            self.assertEqual(event["result"], "Success", event)
            assert_same_content(image, "qcow2", server)
            self.assertEqual(domain_xml(server), definition)
            self.assertIn("No current block job", block_jobs(server))
            root.systemctl("stop", UNIT)
            assert_nothing_left()


if __name__ == "__main__":
    tap.main()
