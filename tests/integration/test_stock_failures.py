#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each way a snapshot fails, as the stock nova-compute of the same release fails: the same request to
both, one after the other, and what tenants, operators, the bus and Glance see of it."""

import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "..", "chaos")]

import http_proxy
import tap
from agent import AS_NOVA, Agent
from attempt import Attempt
from bus_trace import traced
from cloud import REPO, Cloud
from failures import (IMAGE, Scene, agent_refuses, answered, ask_for_more, delete_image, delete_server,
                      nova_compute_through, plain, reset_state, while_held, without_disk,
                      without_domain, without_room)
from nova import exception

QUIET = {"result": "Success", "details": None, "faults": [], "exceptions": []}
# What happens, and how ours differs from nova's on purpose: docs/compatibility.md says why.
ROWS = {
    "image deleted before it is looked at":
        (while_held(delete_image, "GET", IMAGE, http_proxy.stall), {}),
    "image deleted during the upload": (while_held(delete_image), QUIET),
    "state reset during the upload": (while_held(reset_state), {**QUIET, "image": "active"}),
    "other requests during the upload": (while_held(ask_for_more), {}),
    "disk away, live": (without_disk("runs"), {}),
    "upload refused, live: 413": (answered(413, server="runs"), {}),
    "server deleted during the upload": (while_held(delete_server), {"image": None}),
    "quiesce required, no guest agent": (plain("required"), {}),
    "quiesce required, volume-backed, no answer": (plain("volume"), {}),
    "quiesce required, volume-backed, agent refuses": (agent_refuses, {}),
    "disk away, cold": (without_disk("stopped"), {
        "details": "No disk at ", "faults": [404], "exceptions": ["DiskNotFound"]}),
    "disk of another format": (without_disk("stopped", "raw"), {
        "details": "Disk info file is invalid: ", "exceptions": ["InvalidDiskInfo"]}),
    "no such domain": (without_domain, {
        "result": "Error", "details": "Instance SERVER has no libvirt domain", "faults": [400],
        "exceptions": ["InstanceNotRunning"], "state": ("stopped", None)}),
    "upload refused: 400": (answered(400), {
        "details": "Request of image IMAGE got BadRequest response: 400"}),
    "upload refused: 403": (answered(403), {}),
    "upload refused: 409": (answered(409), {}),
    "upload refused: 415": (answered(415), {}),
    "upload refused: 500": (answered(500), {}),
    "upload refused: 503": (answered(503), {"details": "Glance answered PUT of image IMAGE"}),
    "upload of a backup refused: 413": (answered(413, request="createBackup"), {}),
    "no room": (without_room, {**QUIET, "image": "active"}),
}


def attempts_of(scene):
    """What each row gave, or why it gave nothing."""
    made = {}
    for name, (act, _) in ROWS.items():
        try:
            made[name] = act(scene)
        except AssertionError as failure:
            made[name] = failure
        finally:
            scene.proxy.release()
    return made


def same(said, words):
    """Ours may go on where nova's words end."""
    return said == words or bool(
        isinstance(said, str) and words and said.startswith(words.rstrip(".")))


class StockFailures(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.clean)
        host, port = cls.cloud.env["LAB_GLANCE_URL"].split("//")[1].split(":")
        proxy = http_proxy.HttpProxy(host, int(port))
        with traced() as messages, nova_compute_through(proxy, cls.cloud):
            scene = Scene(cls.cloud, proxy)
            cls.native = attempts_of(scene)
            with Agent(AS_NOVA) as agent:
                cls.ours = attempts_of(scene)
                cls.log = agent.log()
        for attempt in [*cls.native.values(), *cls.ours.values()]:
            if isinstance(attempt, Attempt):
                attempt.add_messages(messages)

    @classmethod
    def clean(cls):
        for server in cls.cloud.servers:
            cls.cloud.nova("DELETE", f"/servers/{server}", ok=False)
        cls.cloud.clean()

    def compare(self, name, differs):
        native, ours = self.native[name], self.ours[name]
        for attempt in (native, ours):
            if isinstance(attempt, AssertionError):
                raise attempt
        self.assertIn(ours.request_id, self.log)
        expected, seen = dict(native.seen), dict(ours.seen)
        for field, value in differs.items():
            self.assertFalse(same(expected[field], value), f"no more a difference: {field}")
            expected[field] = value
        if "details" in expected and same(seen["details"], expected["details"]):
            seen["details"] = expected["details"]
        if "result" in differs:  # and so it is told otherwise
            del seen["notifications"], expected["notifications"]
        self.assertEqual(seen, expected)

    def test_codes(self):
        """the codes of nova's exceptions are those of this release"""
        with open(f"{REPO}/common/error.h", encoding="utf-8") as header:
            names = dict(re.findall(r'#define (EXC_\w+) "(\w+)"', header.read()))
        with open(f"{REPO}/common/error.c", encoding="utf-8") as source:
            codes = dict(re.findall(r"\{(EXC_\w+), NOVA, (\d+)\}", source.read()))
        novas = {name: vars(exception)[exc].code for name, exc in names.items()
                 if exc in vars(exception)}
        self.assertGreater(len(novas), 20)
        self.assertEqual({name: int(codes.get(name, 500)) for name in novas}, novas)


def comparison(name, differs):
    def test(self):
        self.compare(name, differs)
    test.__doc__ = f"{name}: as nova-compute" + (", with a difference on purpose" if differs else "")
    return test


for number, (row, (_, difference)) in enumerate(ROWS.items()):
    setattr(StockFailures, f"test_{number:02}", comparison(row, difference))


if __name__ == "__main__":
    tap.main()
