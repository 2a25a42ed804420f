#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's package in the hands of a new user, from its installation to its purge.

The snapshots are of the lab's OpenStack; a systemd in namespaces of its own, with a layer over the
machine's files, is the host.
"""

import os
import pathlib
import pwd
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from agent import leftovers
from cloud import LAB, Cloud, assert_same_content, block_jobs, domain_xml, run, wait_for, write_pattern
from package_root import PACKAGE, PACKAGES, TOOL_PACKAGE, UNIT, PackageRoot, build, newer
from scraper import Prometheus, free_port

OWN_CONF = "/etc/nova/nova-snapshot-agent.conf"
STATE_DIR = "/var/lib/nova-snapshot-agent"
INSTANCES = f"{LAB}/nova/instances"
SNAPSHOTS = f"{INSTANCES}/snapshots"
LOCAL_PROFILE = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
MADE = f"# Made by {PACKAGE}."
INCLUDE = f"include if exists <abstractions/{PACKAGE}>"
RECOVER_UNIT = "nova-snapshot-domain-recover.service"
# Of systemd-analyze: 20 is 2.0. The second has the file system and the processes of all.
MOST_EXPOSED = {UNIT: 20, RECOVER_UNIT: 30}
MIB = 1 << 20


def setUpModule():
    global packages, upgrades
    folder = tempfile.mkdtemp(prefix="nsa-package-", dir="/var/tmp")
    unittest.addModuleCleanup(subprocess.run, ["rm", "-rf", folder], check=True)
    packages = build(folder)
    upgrades = [newer(package, folder) for package in packages]


def lab_conf(cloud):
    """What the lab's nova-compute reads, in one file."""
    text = ""
    for name in ("LAB_NOVA_CONF", "LAB_NOVA_COMPUTE_CONF"):
        with open(cloud.env[name], encoding="utf-8") as file:
            text += file.read() + "\n"
    return text


def give_snapshots_to_nova(test):
    """The lab's nova-compute is root, and its folders are root's."""
    user = pwd.getpwnam("nova")
    os.makedirs(SNAPSHOTS, exist_ok=True)
    os.chown(SNAPSHOTS, user.pw_uid, user.pw_gid)
    test.addCleanup(os.chown, SNAPSHOTS, 0, 0)


class PackageTest(unittest.TestCase):
    def test_confined(self):
        """package: its units give away no more than they must, nor does the agent's as root"""
        with tempfile.TemporaryDirectory(prefix="nsa-files-") as files:
            for package in packages:
                subprocess.run(["dpkg-deb", "-x", package, files], check=True)
            for unit in MOST_EXPOSED:
                with self.subTest(unit):
                    self.assert_confined(files, unit)
            with self.subTest("as root"):
                os.remove(next(pathlib.Path(files).glob(f"**/{UNIT}.d/as-nova.conf")))
                self.assert_confined(files, UNIT)

    def assert_confined(self, files, unit):
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", f"--root={files}",
             f"--threshold={MOST_EXPOSED[unit]}", "--no-pager", unit], text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_purge_keeps_records(self):
        """package: a purge keeps the state directory while a record is in it, and says so"""
        with PackageRoot("[DEFAULT]\nhost = package.example.org\n") as root:
            root.dpkg("--unpack", *packages)
            folder = f"{STATE_DIR}/package.example.org.journal"
            root.run("sh", "-c", f"mkdir -p {folder}; echo {{}} >{folder}/record")
            self.assertIn(f"{STATE_DIR} is kept", root.dpkg("-P", PACKAGE))
            self.assertEqual(root.output("cat", f"{folder}/record"), "{}")

    def test_profile(self):
        """package: where libvirt brings no local profile for QEMU, as Debian 13's, it is made, and goes"""
        with PackageRoot("[DEFAULT]\nhost = package.example.org\n") as root:
            root.run("rm", "-r", os.path.dirname(LOCAL_PROFILE))
            before = root.changed()
            root.dpkg("-i", *packages)
            self.assertEqual(root.output("cat", LOCAL_PROFILE).splitlines(), [MADE, INCLUDE])
            root.dpkg("-P", *PACKAGES)
            self.assertEqual(root.changed(), before)

    def test_tool_alone(self):
        """package: nova-snapshot alone asks for nothing of nova's, and keeps a killed command's record"""
        tool = packages[0]
        self.assertNotIn("nova-common", run("dpkg-deb", "-f", tool, "Depends"))
        with PackageRoot("") as root:
            before = root.changed()
            root.dpkg("-i", tool)
            self.assertIn("there is no domain of the name or uuid none",
                          root.run("nova-snapshot", "domain", "checkpoints", "none").stdout)
            root.systemctl("start", RECOVER_UNIT)  # there is nothing to recover
            self.assertNotEqual(root.run("test", "-e", "/usr/sbin/nova-snapshot-agent").returncode, 0)
            self.assertEqual(root.systemctl("is-enabled", RECOVER_UNIT.replace(".service", ".timer")), "enabled")
            root.run("sh", "-c", "mkdir -p /var/lib/nova-snapshot/records; "
                     "echo {} >/var/lib/nova-snapshot/records/record")
            self.assertIn("/var/lib/nova-snapshot is kept", root.dpkg("-P", TOOL_PACKAGE))
            root.run("rm", "-r", "/var/lib/nova-snapshot")
            self.assertEqual(root.changed(), before)


class StoryTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.clean)
        give_snapshots_to_nova(self)
        self.server = self.cloud.create_server("it-package", self.cloud.image_named("lab-base"))
        write_pattern(self.server, "0x11", "200M", "8M")
        self.definition = domain_xml(self.server)

    def test_story(self):
        """package: a new user's first day, from installation to purge"""
        with PackageRoot(lab_conf(self.cloud)) as self.root:
            before = self.host()
            try:
                self.install()
                self.follow_the_man_page()
                self.watch_a_snapshot()
                self.throttle_a_snapshot()
                self.cancel_a_snapshot()
                self.ask_prometheus()
                self.stream_a_snapshot()
                self.drain_and_resume()
                self.upgrade_while_a_snapshot_runs()
                self.purge()
            except AssertionError as failure:
                raise AssertionError(f"{failure}\n{self.root.console()}") from None
            self.assertEqual(self.host(), before)

    def host(self):
        """What a package may leave: files, users, units; copies of disks; sockets; queues."""
        return {"files": self.root.changed(),
                "copies": leftovers(),
                "run": self.root.output("find", "/run", "-name", "*nova-snapshot*"),
                "queues": self.queues()}

    def queues(self):
        """But for those of notifications, which stay from the first one of a kind on, as nova's do."""
        names = run(self.cloud.env["LAB_RABBITMQCTL"], "-q", "list_queues", "--no-table-headers", "name").split()
        return sorted(name for name in names if "notifications." not in name)

    def ask_how_it_is(self, *wanted, is_well=True):
        """What a user asks when he wants to know what is wrong, until it is that."""
        def says():
            text = self.root.run("nova-snapshot", "status").stdout
            return all(word in text for word in wanted)
        wait_for(f"status with {wanted}", says, 90)
        doctor = self.root.run("nova-snapshot", "doctor")
        self.assertEqual(doctor.returncode, 0 if is_well else 5, doctor.stdout)

    # --- the chapters
    def install(self):
        root = self.root
        root.dpkg("-i", *packages)
        self.assertEqual(root.systemctl("is-enabled", UNIT), "enabled")
        self.assertEqual(root.show("ActiveState"), "active")
        self.assertEqual(root.agent_user(), "nova")
        self.assertEqual(root.output("stat", "-c", "%U %G %a", OWN_CONF), "root nova 640")
        self.assertIn(INCLUDE, root.output("cat", LOCAL_PROFILE).splitlines())
        self.assertEqual(root.output("stat", "-c", "%U %a", "/run/nova-snapshot"), "nova 700")
        root.run("systemd-tmpfiles", "--create", f"{PACKAGE}.conf")  # as an upgrade does
        self.assertEqual(root.output("stat", "-c", "%U %a", "/run/nova-snapshot"), "nova 700")
        checked = root.run("nova-snapshot-agent", "--check-config")  # as root
        self.assertEqual(checked.returncode, 0, checked.stdout)
        self.assertIn("state_dir is for an agent that runs as nova (", checked.stdout)
        self.ask_how_it_is("takes no requests\n", "cannot take snapshots: "
                           f"[DEFAULT]instances_path: {INSTANCES}: No such file or directory\n",
                           is_well=False)

    def follow_the_man_page(self):
        """FOLDERS ELSEWHERE: the lab is in /var/tmp, of which a service has its own."""
        self.metrics = free_port()
        self.root.run("sh", "-c", f"echo metrics_address = {self.metrics} >>{OWN_CONF}")
        self.root.drop_in(f"PrivateTmp=no\\nReadWritePaths={INSTANCES}")
        self.root.systemctl("restart", UNIT)
        self.ask_how_it_is("attached, takes requests\n", "host          can take snapshots\n")
        self.prometheus = Prometheus(self, self.metrics)

    def watch_a_snapshot(self):
        self.assertIn("upload none (host: 20 MiB/s)", self.root.tool("throttle", "--upload-host", "20"))
        image, request = self.cloud.create_image(self.server, "package-watched")
        job = self.job_of(image)
        seen = self.root.run("script", "-qec", f"nova-snapshot watch {job['id']}", "/dev/null").stdout
        self.assertRegex(seen, rf"{job['id']} +{self.server[:8]} upload +\[#+\.+\] +\d+ %  .* left")
        self.assert_snapshot(image, request)
        self.root.tool("throttle", "--upload-host", "0")

    def throttle_a_snapshot(self):
        self.root.tool("throttle", "--upload", "1")
        image, request, job = self.begin_slow("package-throttled")
        left = job["progress"]["total_bytes"] - job["progress"]["bytes"]
        self.root.tool("throttle", str(job["id"]), "--upload", "0")
        # At a MiB a second it would not have come so far.
        self.cloud.wait_image(image, left / MIB * 0.8)
        self.assert_snapshot(image, request)

    def cancel_a_snapshot(self):
        image, _, _ = self.begin_slow("package-cancelled")
        self.root.tool("cancel", image)
        wait_for("end of the image", lambda: self.cloud.image(image) is None, 30)
        self.assert_guest_is_as_before()

    def ask_prometheus(self):
        for outcome, wanted in (("active", 2), ("unwanted", 1)):
            query = f'sum(nova_snapshot_agent_snapshots_total{{outcome="{outcome}"}}) == {wanted}'
            wait_for(query, lambda query=query: self.prometheus.query(query))

    def stream_a_snapshot(self):
        """Of what QEMU lets its own user's group alone read."""
        self.root.run("sh", "-c", f"echo live_snapshot_method = stream >>{OWN_CONF}")
        self.root.systemctl("reload", UNIT)
        self.assertEqual(self.cloud.snapshot(self.server, "package-streamed")["snapshot_method"], "stream")

    def drain_and_resume(self):
        self.root.tool("drain", "--wait", "30")
        record = self.cloud.snapshot(self.server, "package-by-nova")
        self.assertNotIn("snapshot_agent", record)
        self.root.tool("resume")
        self.ask_how_it_is("attached, takes requests\n")

    def upgrade_while_a_snapshot_runs(self):
        first = self.root.main_pid()
        self.root.tool("throttle", "--upload", "1")
        image, request, _ = self.begin_slow("package-upgraded")
        self.root.dpkg("-i", *upgrades)
        self.assertNotIn(self.root.main_pid(), ("0", first))
        self.assertIn("metrics_address", self.root.output("cat", OWN_CONF))
        self.assertEqual(self.root.output("stat", "-c", "%U %G %a", OWN_CONF), "root nova 640")
        self.assert_snapshot(image, request)

    def purge(self):
        self.root.dpkg("-r", PACKAGE)
        self.assertEqual(self.root.output("stat", "-c", "%a", "/run/nova-snapshot"), "700")  # of the tool, too
        self.root.dpkg("-r", TOOL_PACKAGE)
        wait_for("an end of all processes", lambda: not self.root.processes())
        self.assertIn("metrics_address", self.root.output("cat", OWN_CONF))
        self.root.dpkg("-P", *PACKAGES)
        self.root.run("rm", "-r", f"/run/units/{UNIT}.d")  # the user's own

    # --- what they share
    def job_of(self, image):
        def found():
            return next((job for job in self.root.jobs() if job["image"] == image), None)
        return wait_for(f"job of image {image}", found, 30)

    def begin_slow(self, name):
        """At a MiB/s: the image, the request, the job that uploads it."""
        image, request = self.cloud.create_image(self.server, name)

        def uploads():
            job = self.job_of(image)
            progress = job["phase"] == "upload" and job.get("progress")
            return progress and progress["bytes"] > 0 and job
        return image, request, wait_for("an upload", uploads, 60)

    def assert_guest_is_as_before(self):
        self.cloud.wait_server(self.server, "ACTIVE")
        self.assertEqual(domain_xml(self.server), self.definition)
        self.assertIn("No current block job", block_jobs(self.server))

    def assert_snapshot(self, image, request):
        """By the agent, whole, and the guest as it was."""
        self.assertIn("snapshot_agent", self.cloud.wait_image(image))
        event = self.cloud.wait_event(self.server, request)
        self.assertEqual(event["result"], "Success", event)
        self.assert_guest_is_as_before()
        assert_same_content(image, "qcow2", self.server)


if __name__ == "__main__":
    tap.main()
