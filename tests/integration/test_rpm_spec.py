#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The RPM's spec, without building it: what it installs is what it lists, and what an upgrade does. Needs no
lab. The RPM itself is a matter of make package-check.
"""

import fnmatch
import os
import re
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from command import output
from peers import REPO

SPEC = f"{REPO}/packaging/rpm/nova-snapshot-agent.spec"
UPGRADED = "1"  # how many are left: what RPM tells a script
# The Makefile's own, so that nothing is built again.
CFLAGS = "optflags -O2 -g"


def section(text, name):
    return re.search(rf"^%{name}\n(.*?)(?=^%(?:post|preun|postun|files|build|install)\b|\Z)", text,
                     re.MULTILINE | re.DOTALL)[1]


class RpmSpecTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="nsa-rpm-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_script(self, tag, left):
        """What it says to systemctl."""
        with open(f"{self.folder}/systemctl", "w", encoding="utf-8") as program:
            program.write(f'#!/bin/sh\necho "$1" >>{self.folder}/said\nexit 1\n')
        os.chmod(program.name, 0o755)
        script = output("rpmspec", "-q", "--qf", f"%{{{tag}}}", SPEC)
        output("/bin/sh", "-c", script, tag, left,
               env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"})
        with open(f"{self.folder}/said", encoding="utf-8") as said:
            return said.read().split()

    def test_upgrade(self):
        """rpm spec: an upgrade starts the new agent by the new unit, and fails by no systemctl"""
        self.assertEqual(self.run_script("POSTUN", UPGRADED), ["daemon-reload", "try-restart"])

    def test_files(self):
        """rpm spec: what is installed is what is listed"""
        text = output("rpmspec", "-P", "--define", CFLAGS, "--define", f"_topdir {self.folder}", SPEC)
        root = re.search(r"DESTDIR=(\S+)", text)[1]
        self.assertTrue(root.startswith(self.folder), root)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        output("sh", "-ec", section(text, "install"), cwd=REPO, env=environment)
        listed = re.findall(r"(/\S+)$", section(text, "files"), re.MULTILINE)
        installed = [f"{at}/{name}".removeprefix(root) for at, _, names in os.walk(root) for name in names]
        unlisted = [path for path in installed
                    if not any(fnmatch.fnmatch(path, f"{name}*") for name in listed)]
        self.assertEqual(unlisted, [])
        missing = [name for name in listed if not fnmatch.filter(installed, f"{name}*")]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    tap.main()
