#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""As the stock nova-compute of the same release does it: the same snapshot by both, one after the other, and
what the tenant, the bus and Glance see of them."""

import json
import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import bus_trace
import tap
from agent import AS_NOVA, Agent
from cloud import Cloud, write_pattern


def traced(work):
    """The messages published while work() ran."""
    with bus_trace.traced() as messages:
        result = work()
        time.sleep(1)  # the last notifications pass
    return result, messages


class Stock(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-stock", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x12", "200M", "8M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def test_same_record_as_nova(self):
        """the image record equals that of nova-compute, property by property"""
        self.assert_same_record(self.server)

    def test_same_record_of_an_ami(self):
        """a server booted from an AMI: the image record is that of nova-compute, too"""
        image = self.cloud.blank_image(disk_format="ami", container_format="ami")
        try:
            server = self.cloud.create_server("it-ami", image)
        except AssertionError as refused:  # Debian's Zed boots none
            self.assertIn("does not match disk_format", str(refused))
        else:
            self.assert_same_record(server)

    def assert_same_record(self, server):
        native = self.cloud.snapshot(server, "same")
        with Agent(AS_NOVA):
            ours = self.cloud.snapshot(server, "same")
        own = {"id", "self", "file", "checksum", "os_hash_value", "created_at", "updated_at", "size",
               "direct_url"}
        self.assertEqual({k: v for k, v in ours.items() if k not in own},
                         {k: v for k, v in native.items() if k not in own})

    def test_same_messages_as_nova(self):
        """the messages on the bus are those of nova-compute, in its order"""
        self.assert_same_messages()

    def test_same_messages_at_rest(self):
        """a stopped server: the messages are those of nova-compute, too"""
        self.cloud.action(self.server, "os-stop", wait="SHUTOFF")
        self.addCleanup(self.cloud.action, self.server, "os-start", wait="ACTIVE")
        self.assert_same_messages()

    def assert_same_messages(self):
        _, native = traced(lambda: self.cloud.snapshot(self.server, "trace"))
        with Agent(AS_NOVA) as agent:
            _, ours = traced(lambda: self.cloud.snapshot(self.server, "trace"))
            self.assertIn("is active", agent.log())
        native, ours = story(native), story(ours)
        # nova tries a direct upload first, which file-backed disks never can: one flip more.
        flip = [("save", "image_uploading", "image_pending_upload"),
                ("save", "image_pending_upload", "image_uploading")]
        index = next(i for i in range(len(native)) if native[i:i + 2] == flip)
        self.assertEqual(ours, native[:index] + native[index + 2:])

    def test_notifications_as_novas(self):
        """snapshot.start and .end carry the payloads of nova-compute"""
        _, native = traced(lambda: self.cloud.snapshot(self.server, "notes"))
        with Agent():
            _, ours = traced(lambda: self.cloud.snapshot(self.server, "notes"))
        native, ours = snapshot_notifications(native), snapshot_notifications(ours)
        self.assertEqual(len(native), 4)
        self.assertEqual(ours, native)

    def test_task_states(self):
        """the states a watching tenant can see, in their order"""
        with Agent():
            _, messages = traced(lambda: self.cloud.snapshot(self.server, "states"))
        states = [s[1] for s in story(messages)
                  if s[0] == "save" and s[1] not in ("power_state", "progress")]
        self.assertEqual(states, ["image_snapshot", "image_pending_upload", "image_uploading", None])


def story(messages):
    """(what, ...) for each call and notification of a compute service about a snapshot."""
    told = []
    for entry in messages:
        message = entry["message"]
        if entry["routing_keys"] == ["conductor"]:
            told += conductor_call(message["args"])
        elif re.search("snapshot", message.get("event_type", "")):
            told.append((message["event_type"], message["priority"], message["publisher_id"],
                         entry["routing_keys"][0]))
    return told


def conductor_call(args):
    if args.get("objmethod") == "save" and args["objinst"]["nova_object.name"] == "Instance":
        expected = args["kwargs"].get("expected_task_state")
        if isinstance(expected, list) and len(expected) == 1:
            expected = expected[0]
        data = args["objinst"]["nova_object.data"]
        return [("save", data.get("task_state") if name == "task_state" else name, expected)
                for name in args["objinst"]["nova_object.changes"]]
    if args.get("objname") == "InstanceActionEvent":
        return [(args["objmethod"], *args["args"][1:], json.dumps(args["kwargs"], sort_keys=True))]
    return []


def snapshot_notifications(messages):
    """Payloads without what differs from run to run."""
    found = []
    for entry in messages:
        message = entry["message"]
        if "instance.snapshot." not in message.get("event_type", ""):
            continue
        payload = message["payload"]
        data = payload.get("nova_object.data", payload)
        for name in ("snapshot_image_id", "request_id", "updated_at"):
            data.pop(name, None)
        found.append((entry["routing_keys"][0], message["event_type"], message["priority"],
                      message["publisher_id"], payload))
    return found


if __name__ == "__main__":
    tap.main()
