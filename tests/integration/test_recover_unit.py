#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped nova-snapshot-domain-recover.service under a real systemd: what it is not allowed costs no guest.

The guest has no operating system, one disk in a file and one on a device. It is libvirt's outside of the
systemd, run by lib/own_libvirtd; nova-snapshot is run inside. Needs root.
"""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from command import output
from peers import REPO
from systemd_root import PREFIX, SystemdRoot

UNIT = "nova-snapshot-domain-recover.service"
TOOL = f"{PREFIX}/bin/nova-snapshot"
STATE = "/var/lib/nova-snapshot"
KILLED = 128 + 9
DOMAIN = """<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{folder}/disk'/><target dev='vda' bus='virtio'/></disk>
    <disk type='block' device='disk'><driver name='qemu' type='raw'/>
      <source dev='{device}'/><target dev='vdb' bus='virtio'/></disk>
  </devices>
</domain>"""


class RecoverRoot(SystemdRoot):
    install = (f"install -D -t {PREFIX}/bin {REPO}/build/nova-snapshot && "
               f"sed 's|@BINDIR@|{PREFIX}/bin|' {REPO}/packaging/{UNIT}.in >/run/units/{UNIT}")


def virsh(*argv):
    return output("virsh", "-q", "-c", "qemu:///system", *argv).strip()


def setUpModule():
    global name, root
    # Not in /var/tmp or /var/lib, of which the systemd has its own.
    folder = tempfile.TemporaryDirectory(prefix="nsa-test-", dir="/srv")
    unittest.addModuleCleanup(folder.cleanup)
    os.chmod(folder.name, 0o755)
    output("qemu-img", "create", "-q", "-f", "qcow2", f"{folder.name}/disk", "8M")
    output("truncate", "-s", "8M", f"{folder.name}/device")
    device = output("losetup", "-f", "--show", f"{folder.name}/device").strip()
    unittest.addModuleCleanup(output, "losetup", "-d", device)
    name = os.path.basename(folder.name)
    with open(f"{folder.name}/xml", "w", encoding="utf-8") as out:
        out.write(DOMAIN.format(name=name, folder=folder.name, device=device))
    virsh("define", f"{folder.name}/xml")
    unittest.addModuleCleanup(virsh, "undefine", "--managed-save", name)
    root = RecoverRoot("")
    root.__enter__()
    unittest.addModuleCleanup(root.__exit__)


class RecoverUnitTest(unittest.TestCase):
    def setUp(self):
        virsh("start", name)
        self.addCleanup(subprocess.run, ["virsh", "-q", "-c", "qemu:///system", "destroy", name],
                        check=False, capture_output=True)

    def tool(self, *words):
        return root.run(TOOL, "domain", words[0], name, *words[1:])

    def kill_at(self, point, *words):
        """The command dies there, and has written something down."""
        root.run("sh", "-c", f"mkdir -p -m 711 {STATE}; rm -f {STATE}/failpoint.reached; "
                             f"echo {point} kill >{STATE}/failpoint")
        done = self.tool(*words)
        self.assertIn(done.returncode, (-9, KILLED), done.stdout)

    def recover(self):
        """As its timer starts it."""
        root.systemctl("start", UNIT)
        self.assertEqual(root.output("find", f"{STATE}/records", "-type", "f"), "", root.console())

    def test_saved(self):
        """recover unit: a save that was killed: the guest's memory is kept, with what its disks were"""
        self.kill_at("save:memory-written", "save", "--managed", "--verify-disks")
        self.assertNotEqual(root.output("find", f"{STATE}/records", "-type", "f"), "")
        self.assertEqual(virsh("domstate", name), "shut off")
        self.recover()
        self.assertEqual(virsh("domstate", name), "shut off")
        done = self.tool("restore", "--force")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(virsh("domstate", name), "running")

    def test_restored(self):
        """recover unit: a restore that was killed before the guest ran: it is saved, or goes on"""
        for point in ("restore:noted", "restore:created", "restore:started"):
            with self.subTest(point):
                done = self.tool("save", "--managed", "--verify-disks")
                self.assertEqual(done.returncode, 0, done.stdout)
                self.kill_at(point, "restore")
                self.recover()
                if virsh("domstate", name) == "shut off":
                    done = self.tool("restore")
                    self.assertEqual(done.returncode, 0, done.stdout)
                self.assertEqual(virsh("domstate", name), "running")


if __name__ == "__main__":
    tap.main()
