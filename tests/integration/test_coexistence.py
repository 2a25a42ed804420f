#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent beside an unmodified nova-compute, and as the only one on a host name."""

import os
import subprocess
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import oslo_messaging
import tap
from agent import Agent
from cloud import (LAB, REPO, Cloud, assert_same_content, cast_snapshot, lab_environment,
                   wait_for)
from nova.objects.service import SERVICE_VERSION
from oslo_config import cfg


def compute_log():
    with open(f"{LAB}/log/nova-compute.log", encoding="utf-8", errors="replace") as lines:
        return lines.read()


class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-shared", cls.cloud.image_named("lab-base"))

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def test_foreign_rpcs_reach_nova_compute(self):
        """reboot and console log are served by nova-compute while the agent is attached"""
        with Agent() as agent:
            for _ in range(3):
                self.cloud.action(self.server, "reboot", {"type": "HARD"}, wait="ACTIVE")
                output = self.cloud.nova("POST", f"/servers/{self.server}/action",
                                         {"os-getConsoleOutput": {}}).json()
                self.assertIn("output", output)
            self.cloud.snapshot(self.server, "after-foreign")
            agent.wait_log("is active")
            agent.wait_log(f"nova-compute on this host has service version {SERVICE_VERSION}")

    def test_nova_compute_takes_over(self):
        """agent stopped: nova-compute takes the snapshot; agent killed: the same"""
        before = compute_log().count("Beginning live snapshot process")
        with Agent():
            pass
        record = self.cloud.snapshot(self.server, "native")
        agent = Agent().start()
        agent.kill()
        second = self.cloud.snapshot(self.server, "native-again")
        self.assertEqual(compute_log().count("Beginning live snapshot process"), before + 2)
        for image in (record, second):
            assert_same_content(image["id"], "qcow2", self.server)

    def test_detaches_without_nova_compute(self):
        """nova-compute stopped: the agent lets go; started: it attaches again"""
        with Agent({"snapshot_agent": {"attach_poll_interval": 1}}) as agent:
            subprocess.run([f"{REPO}/tests/lab/service", "stop", "nova-compute"], check=True,
                           capture_output=True)
            try:
                self.cloud.nova("POST", f"/servers/{self.server}/action", {"lock": None})
                agent.wait_log("detached from", 60)
            finally:
                subprocess.run([f"{REPO}/tests/lab/service", "start", "nova-compute"], check=True,
                               capture_output=True)
            agent.wait_log("attached to", 60, times=2)
            record = self.cloud.snapshot(self.server, "attached-again")
            self.assertIn(record["id"], agent.log())

    def test_one_agent_a_host(self):
        """a second agent on the same host name refuses to start"""
        with Agent() as first:
            state_dir = f"{first.folder}/state"
            second = Agent({"snapshot_agent": {"state_dir": state_dir}}, wait_attached=False)
            second.start()
            self.assertEqual(second.process.wait(20), 1)
            self.assertIn(f"another agent (pid {first.process.pid})", second.log())

    def test_small_when_idle(self):
        """memory of an attached, idle agent (measured)"""
        with Agent() as agent:
            self.cloud.snapshot(self.server, "warm")
            print(f"# idle RSS after one snapshot: {agent.rss_kib()} KiB", flush=True)

    def test_malformed_requests(self):
        """requests nobody can read are left to nova-compute, the agent lives on"""
        env = lab_environment()
        with Agent() as agent:
            client = rpc_client(env["LAB_TRANSPORT_URL"], env["LAB_HOST"])
            sends = [lambda instance=instance: client.cast(
                {}, "snapshot_instance", instance=instance, image_id=str(uuid.uuid4()))
                for instance in (None, 7, {"nova_object.name": "Flavor"},
                                 {"nova_object.name": "Instance"})]
            sends += [lambda: client.cast({}, "snapshot_instance")]
            sends += [lambda body=body: publish_raw(env, body) for body in (
                b"{", b"\x00\xff" * 100, b'{"oslo.version": "2.0", "oslo.message": "[]"}',
                b'{"oslo.version": "2.0", "oslo.message": "' + b"[" * 5000 + b'"}')]
            # Behind each the agent lets nova-compute take it: what comes meanwhile is not ours.
            for i, send in enumerate(sends, 1):
                send()
                agent.wait_log("left to nova-compute", 30, times=i)
                agent.wait_log("consuming .* again", 30, times=i)
            record = self.cloud.snapshot(self.server, "after-garbage")
            self.assertIn(record["id"], agent.log())


def rpc_client(url, server):
    """A real oslo.messaging client, which declares exchanges and queues as nova does."""
    cfg.CONF([], default_config_files=[f"{LAB}/etc/nova/nova.conf"])
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    target = oslo_messaging.Target(exchange="nova", topic="compute", server=server, version="6.0")
    return oslo_messaging.RPCClient(transport, target, timeout=20)


def publish_raw(env, body):
    import amqp
    host = env["LAB_TRANSPORT_URL"].split("//")[1].split("/")[0]
    login, place = host.split("@")
    user, password = login.split(":")
    with amqp.Connection(place, userid=user, password=password, virtual_host="/") as connection:
        connection.channel().basic_publish(
            amqp.Message(body, content_type="application/json", content_encoding="utf-8"),
            exchange="nova", routing_key=f"compute.{env['LAB_HOST']}")


class Exclusive(unittest.TestCase):
    """No nova-compute on the host name: a real oslo.messaging client speaks to the agent alone."""

    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.clean)
        env = lab_environment()
        self.url = env["LAB_TRANSPORT_URL"]

    def agent(self, host):
        return Agent({"DEFAULT": {"host": host}, "snapshot_agent": {"attach": "exclusive"}})

    def test_failures_in_oslos_form(self):
        """unknown method and version come back as oslo's own failures, ping is answered"""
        with self.agent("lonely"):
            client = rpc_client(self.url, "lonely")
            with self.assertRaises(oslo_messaging.RemoteError) as unknown:
                client.call({}, "no_such_method")
            self.assertEqual(unknown.exception.exc_type, "NoSuchMethod")
            with self.assertRaises(oslo_messaging.RemoteError) as version:
                client.prepare(version="7.1").call({}, "snapshot_instance")
            self.assertEqual(version.exception.exc_type, "UnsupportedVersion")
            pong = client.prepare(namespace="baseapi", version="1.0").call({}, "ping", arg="x")
            self.assertEqual(pong, {"service": "compute", "arg": "x"})

    def test_cast_by_a_real_client(self):
        """snapshot_instance cast by oslo.messaging with nova's own objects"""
        server = self.cloud.create_server("it-exclusive", self.cloud.image_named("lab-base"))
        with self.agent("lonely"):
            # nova-api speaks to nova-compute; the same request goes to the agent's own host name.
            image = cast_snapshot(self.cloud, "lonely", server)
            self.cloud.wait_image(image)
            wait_for("task state None",
                     lambda: self.cloud.server(server)["OS-EXT-STS:task_state"] is None)
        assert_same_content(image, "qcow2", server)


if __name__ == "__main__":
    tap.main()
