#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped unit under a real systemd: however the agent ends, no guest stays frozen.

The guest is a real one with a guest agent, which $LAB/guest has (make lab-up); nothing else of the
lab is used. The rest is private: RabbitMQ, and a systemd in namespaces of its own.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import amqp
import tap
from lab_folder import LAB
from peers import REPO, Broker, wait_for
from systemd_root import BINARY, OWN_CONF, PREFIX, UNIT, SystemdRoot

HOST = "systemd.example.org"
THAWED = "the agent died while the guest was frozen: it is thawed"
WATCHDOG = "nsa-watchdog"

DOMAIN = """<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{folder}/vmlinuz</kernel><initrd>{folder}/initramfs</initrd>
    <cmdline>console=ttyS0 panic=1 quiet</cmdline></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{folder}/disk'/><target dev='vda' bus='virtio'/></disk>
    <channel type='unix'><source mode='bind'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='{folder}/console'/></serial>
  </devices>
</domain>"""


# What runs qemu-img and qemu-nbd as the agent does.
HELPER_TESTS = ("common/test_process_sandbox", "driver/image/test_qemu_img",
                "driver/image/test_image_stream")


class Guest:
    """With a file system that can be frozen."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="nsa-test-", dir="/var/tmp")
        self.name = os.path.basename(self.folder)
        self.uuid = str(uuid.UUID(hashlib.md5(self.name.encode()).hexdigest()))
        os.chmod(self.folder, 0o755)
        for name in ("vmlinuz", "initramfs"):
            shutil.copy(f"{LAB}/guest/{name}", self.folder)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", f"{self.folder}/disk", "64M"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(f"{self.folder}/xml", "w", encoding="utf-8") as out:
            out.write(DOMAIN.format(name=self.name, uuid=self.uuid, folder=self.folder))
        self.virsh("create", f"{self.folder}/xml")
        wait_for("the guest agent", lambda: self.status() == "thawed", 120)

    def virsh(self, *argv):
        return subprocess.run(["virsh", "-q", "-c", "qemu:///system", *argv], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout

    def status(self):
        answer = self.virsh("qemu-agent-command", self.name,
                            '{"execute":"guest-fsfreeze-status"}')
        return json.loads(answer)["return"] if answer.startswith("{") else answer

    def close(self):
        self.virsh("destroy", self.name)
        shutil.rmtree(self.folder)


class HelperRoot(SystemdRoot):
    programs = [f"build/tests/unit/{name}" for name in HELPER_TESTS]
    targets = ["all", *programs]
    install = f"{SystemdRoot.install} && cd {REPO} && cp {' '.join(programs)} {PREFIX}"


def setUpModule():
    global broker, guest, root
    broker = Broker()
    unittest.addModuleCleanup(broker.close)
    guest = Guest()
    unittest.addModuleCleanup(guest.close)
    root = HelperRoot(f"[DEFAULT]\nhost = {HOST}\ntransport_url = {broker.url()}\n"
                      "[snapshot_agent]\nattach = exclusive\nfreeze_deadline = 3600\n")
    root.__enter__()
    unittest.addModuleCleanup(root.__exit__)


class SystemdTest(unittest.TestCase):
    def setUp(self):
        root.drop_in("")
        self.seen = len(root.console())
        root.systemctl("start", UNIT)
        self.addCleanup(self.end)

    def end(self):
        root.run("systemctl", "stop", UNIT)
        root.run("systemctl", "reset-failed", UNIT)
        guest.virsh("qemu-agent-command", guest.name, '{"execute":"guest-fsfreeze-thaw"}')

    def log(self):
        return root.console()[self.seen:]

    def freeze(self):
        """As nova-api asks for it."""
        with open(f"{REPO}/tests/unit/agent/data/snapshot_instance.json", encoding="utf-8") as file:
            message = json.load(file)
        instance = message["args"]["instance"]
        instance["nova_object.data"]["uuid"] = guest.uuid
        instance["nova_object.data"]["system_metadata"]["image_hw_qemu_guest_agent"] = "yes"
        message.update(method="quiesce_instance", version="6.0", _unique_id=uuid.uuid4().hex,
                       args={"instance": instance})
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
        connection = amqp.Connection(f"127.0.0.1:{broker.port}", "guest", "guest")
        connection.connect()
        with connection:
            connection.channel().basic_publish(
                amqp.Message(body, content_type="application/json", content_encoding="utf-8"),
                "", f"compute.{HOST}")
        self.wait_status("frozen")

    def wait_status(self, status):
        try:
            wait_for(f"a guest that is {status}", lambda: guest.status() == status)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()}") from None

    def wait_nothing_left(self):
        wait_for("an end of all processes of the unit", lambda: not root.processes())

    def assert_thawed(self):
        """By the watchdog, and the agent cannot have had a hand in it."""
        self.wait_status("thawed")
        wait_for("its word", lambda: THAWED in self.log())

    def kill(self, name="KILL"):
        root.systemctl("kill", "-s", name, "--kill-whom=main", UNIT)

    def test_killed(self):
        """systemd: the agent is killed while a guest is frozen: it is thawed, the agent starts again"""
        first = root.show("MainPID")
        self.freeze()
        self.kill()
        self.assert_thawed()
        wait_for("the next agent", lambda: root.show("MainPID") not in ("0", first)
                 and root.show("ActiveState") == "active")

    def test_killed_for_good(self):
        """systemd: the same when the agent does not start again; nothing is left of it"""
        root.drop_in("Restart=no")
        self.freeze()
        self.kill()
        self.assert_thawed()
        self.wait_nothing_left()
        self.assertEqual(root.show("ActiveState"), "failed")

    def test_binary_is_gone(self):
        """systemd: the same when the agent's program has been removed"""
        self.freeze()
        root.run("mv", BINARY, f"{BINARY}.away")
        try:
            self.kill()
            self.assert_thawed()
        finally:
            root.run("mv", f"{BINARY}.away", BINARY)

    def test_hangs(self):
        """systemd: an agent that gives no sign of life is killed: the guest is thawed"""
        root.systemctl("stop", UNIT)
        root.drop_in("Restart=no\\nWatchdogSec=2\\nTimeoutAbortSec=1")
        root.systemctl("start", UNIT)
        self.freeze()
        self.kill("STOP")
        self.assert_thawed()
        wait_for("a unit that has failed", lambda: root.show("ActiveState") == "failed")
        self.assertEqual(root.show("Result"), "watchdog")
        self.wait_nothing_left()

    def test_stop(self):
        """systemd: systemctl stop thaws the guest and leaves no process"""
        self.freeze()
        root.systemctl("stop", UNIT)
        self.assertEqual(root.processes(), {})
        self.assertEqual(guest.status(), "thawed")
        self.assertEqual(root.show("Result"), "success")
        self.assertNotIn("still frozen", self.log())

    def test_signal_for_all(self):
        """systemd: SIGTERM for all processes of the unit is an orderly end"""
        self.freeze()
        root.systemctl("kill", UNIT)
        wait_for("an end", lambda: root.show("ActiveState") == "inactive")
        self.assertEqual(guest.status(), "thawed")
        self.wait_nothing_left()

    def test_drain(self):
        """systemd: SIGUSR1 for all processes of the unit drains the host, and ends none of them"""
        self.freeze()
        before = root.processes()
        root.systemctl("kill", "-s", "USR1", UNIT)
        wait_for("its word", lambda: "drained: no request is taken until" in self.log())
        self.assertEqual(root.processes(), before)
        self.assertEqual(guest.status(), "frozen")

    def test_watchdog_dies(self):
        """systemd: a watchdog that is killed is started again, and thaws"""
        def watchdogs():
            return [pid for pid, name in root.processes().items() if name == WATCHDOG]
        self.freeze()
        first = wait_for("a watchdog", watchdogs)
        root.run("kill", "-9", *map(str, first))
        wait_for("another watchdog", lambda: watchdogs() and watchdogs() != first)
        root.drop_in("Restart=no")
        self.kill()
        self.assert_thawed()
        self.wait_nothing_left()

    def test_memory(self):
        """systemd: who has the agent's user and capabilities, as its helpers have, sees none of its memory"""
        capabilities = "-all,+dac_override,+dac_read_search,+chown,+fowner"
        for pid in root.processes():
            for name in ("mem", "environ", "fd/0"):
                done = root.run("setpriv", "--bounding-set", capabilities, "--inh-caps=-all",
                                "dd", f"if=/proc/{pid}/{name}", "bs=1", "count=0")
                self.assertIn("Permission denied", done.stdout, name)

    def test_helpers(self):
        """systemd: qemu-img and qemu-nbd do under the unit's filter and their own what they do without"""
        root.systemctl("stop", UNIT)
        for name in HELPER_TESTS:
            root.drop_in(f"Type=oneshot\\nRestart=no\\nWatchdogSec=0\\nExecStart=\\n"
                         f"ExecStart={PREFIX}/{os.path.basename(name)}")
            root.systemctl("start", UNIT)

    def test_own_conf(self):
        """systemd: the configuration file that is installed is readable, whoever the agent runs as"""
        self.assertEqual(root.output("stat", "-c", "%U %a", OWN_CONF), "root 644")

    def test_state_folder(self):
        """systemd: the state directory is made for the agent's user alone, and does"""
        self.assertEqual(root.output("stat", "-c", "%U %a", "/var/lib/nova-snapshot-agent"),
                         "root 700")
        self.assertEqual(root.show("OOMPolicy"), "continue")
        self.assertEqual(root.show("MemoryMax"), str(4 << 30))


if __name__ == "__main__":
    tap.main()
