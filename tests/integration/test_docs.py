#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the operators' pages tell people to type, typed: blocks marked "sh lab", one page after the other.

A block of text behind one is what it has to print; ... stands for what differs.
"""

import doctest
import os
import pathlib
import re
import shlex
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import Agent, assert_nothing_left
from cloud import REPO, Cloud, run, write_pattern

SOCKET = "/run/nova-snapshot-agent/control"
BLOCK = re.compile(r"^```sh lab\n(.*?)^```$(?:\n^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
MARK = "-- block"
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# nova's way, as in the pages; slow enough for a snapshot to be seen under way.
OPTIONS = {"snapshot_agent": {"live_snapshot_method": "blockrebase", "upload_rate_limit": 20}}


def pages():
    for page in sorted(pathlib.Path(REPO, "docs").glob("*.md")):
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        if blocks:
            yield page.name, blocks


def wrapper(folder, program, *words):
    """The program as an operator types it, where this agent is."""
    path = pathlib.Path(folder, os.path.basename(program))
    path.write_text(f'#!/bin/sh\nexec {shlex.join([program])} "$@" {shlex.join(words)}\n', encoding="utf-8")
    path.chmod(0o755)


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-docs", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x31", "200M", "4M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def images(self):
        return {image["id"] for image in self.cloud.glance("GET", "/v2/images").json()["images"]}

    def run_blocks(self, blocks, agent):
        """What each of them has printed, all in one shell."""
        with tempfile.TemporaryDirectory() as programs:
            wrapper(programs, f"{REPO}/build/nova-snapshot", "--socket", f"{agent.folder}/control")
            wrapper(programs, agent.argv[0], *agent.argv[1:])
            env = {**os.environ, **self.cloud.env, "SERVER": "it-docs",
                   "PATH": f"{programs}:{os.environ['PATH']}"}
            script = "set -euo pipefail\n" + "".join(
                f"echo '{MARK}'\n{commands}" for commands, _ in blocks)
            said = run("bash", "-c", script.replace(SOCKET, f"{agent.folder}/control"), env=env, timeout=300)
        return said.split(f"{MARK}\n")[1:]

    def check_page(self, blocks):
        before = self.images()
        try:
            with Agent(OPTIONS) as agent:
                said = self.run_blocks(blocks, agent)
        finally:
            self.cloud.images += self.images() - before
        for (commands, wanted), got in zip(blocks, said, strict=True):
            if wanted:
                self.assertTrue(doctest.OutputChecker().check_output(wanted, got, LIKE),
                                f"{commands} has printed\n{got} instead of\n{wanted}")
        assert_nothing_left()


def add_tests():
    for name, blocks in pages():
        def test(self, blocks=blocks):
            self.check_page(blocks)
        test.__doc__ = f"docs/{name}: what is to be typed works, and prints what it says"
        setattr(Docs, f"test_{pathlib.Path(name).stem}", test)


add_tests()

if __name__ == "__main__":
    tap.main()
