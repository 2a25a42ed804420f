#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the bus declares: as nova's options say, and never so that others are refused. Needs no lab."""

import json
import os
import subprocess
import sys
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import amqp
import tap
from denying_proxy import DENIAL, QUEUE_DECLARE, DenyingProxy
from fake_compute import FakeCompute
from peers import BUS_PEER, REPO, Broker, Bus, Oslo, broker_version, wait_for

HOST = "cmp1.example.org"


def setUpModule():
    global broker
    if "BUS_PEER" not in os.environ:
        subprocess.run(["make", "-s", "-C", REPO, BUS_PEER.removeprefix(f"{REPO}/")], check=True)
    broker = Broker()


def tearDownModule():
    broker.close()


class Declarations(unittest.TestCase):
    def setUp(self):
        connection = amqp.Connection(f"127.0.0.1:{broker.port}", "guest", "guest")
        connection.connect()
        self.addCleanup(connection.close)
        self.channel = connection.channel()
        for name in broker.queues():
            self.channel.queue_delete(name)
        for name in ("nova", "compute_fanout"):
            self.channel.exchange_delete(name)

    def bus(self, url=None, **options):
        bus = Bus(url or broker.url(), server=HOST, **options)
        self.addCleanup(lambda: self.assertEqual(bus.close(), 0, bus.log_text()[-2000:]))
        self.assertEqual(bus.started["result"], 0, bus.started)
        return bus

    def oslo(self, *argv):
        peer = Oslo(broker.url(), *argv)
        self.addCleanup(peer.kill)
        return peer

    def attached(self, bus):
        wait_for("attached", bus.attached)

    def call(self, bus):
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                         args={"a": 1}, timeout_ms=20000)
        self.assertEqual(answer["event"], "result", answer)

    @staticmethod
    def queue(prefix):
        """{durable, type, arguments} of the queue of that name, else of one whose name begins so."""
        text = broker.ctl("list_queues", "--formatter", "json", "name", "durable", "type",
                          "arguments")
        return min((queue for queue in json.loads(text) if queue["name"].startswith(prefix)),
                   key=lambda queue: queue["name"])

    @staticmethod
    def exchange_is_durable(name):
        rows = broker.ctl("list_exchanges", "--no-table-headers", "name", "durable").splitlines()
        return f"{name}\ttrue" in rows

    def assert_transient(self, prefix, kind, durable):
        queue = self.queue(prefix)
        self.assertEqual((queue["type"], queue["durable"]), (kind, durable))
        self.assertIn("x-expires", str(queue["arguments"]))

    def fanout(self, bus):
        """Reaches the bus, sent as oslo sends it, whose declaration the broker accepts."""
        self.channel.exchange_declare("compute_fanout", "fanout", auto_delete=True,
                                      durable=self.exchange_is_durable("compute_fanout"))
        message = {"method": "snapshot_instance", "args": {}, "version": "6.0",
                   "_unique_id": uuid.uuid4().hex, "_context_request_id": "req-raw"}
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
        self.channel.basic_publish(amqp.Message(body, content_type="application/json",
                                                content_encoding="utf-8"), "compute_fanout")
        bus.wait("served")

    def test_plain(self):
        """declarations: without options nothing is durable"""
        bus = self.bus(attach="exclusive")
        self.attached(bus)
        self.assertFalse(self.exchange_is_durable("compute_fanout"))
        for prefix in ("compute_fanout_", "reply_"):
            self.assert_transient(prefix, "classic", False)
        self.fanout(bus)

    def test_transient_quorum(self):
        """declarations: rabbit_transient_quorum_queue: reply and fanout queues, the fanout exchange"""
        bus = self.bus(attach="exclusive", transient_quorum=True)
        self.attached(bus)
        self.assertTrue(self.exchange_is_durable("compute_fanout"))
        for prefix in ("compute_fanout_", "reply_"):
            self.assert_transient(prefix, "quorum", True)
        self.assertEqual(self.queue(f"compute.{HOST}")["type"], "classic")
        self.fanout(bus)
        self.oslo("server", "conductor", "ctl1")
        self.call(bus)

    def test_queue_manager(self):
        """declarations: use_queue_manager: all is quorum, a caller's names are not random"""
        bus = self.bus(attach="exclusive", quorum=True, transient_quorum=True)
        self.attached(bus)
        for prefix in (f"compute.{HOST}", "compute_fanout_", "reply_"):
            self.assertEqual(self.queue(prefix)["type"], "quorum", prefix)
        reply_queue = "reply_ctl1:nova-conductor:1"
        self.channel.queue_declare(reply_queue, durable=True, auto_delete=False,
                                   arguments={"x-queue-type": "quorum", "x-expires": 1800000})
        call = {"method": "snapshot_instance", "args": {"a": 1}, "version": "6.0",
                "_msg_id": uuid.uuid4().hex, "_reply_q": reply_queue,
                "_unique_id": uuid.uuid4().hex, "_context_request_id": "req-raw"}
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(call)})
        self.channel.basic_publish(amqp.Message(body, content_type="application/json",
                                                content_encoding="utf-8"),
                                   "nova", f"compute.{HOST}")
        answer = wait_for("answer", lambda: self.channel.basic_get(reply_queue, no_ack=True))
        reply = json.loads(json.loads(answer.body)["oslo.message"])
        self.assertEqual((reply["_msg_id"], reply["result"]), (call["_msg_id"], {"a": 1}))

    def test_stream_fanout(self):
        """declarations: rabbit_stream_fanout: the bus and those that read the stream get a fanout"""
        bus = self.bus(attach="exclusive", transient_quorum=True, stream_fanout=True)
        self.attached(bus)
        self.assertTrue(self.exchange_is_durable("compute_fanout"))
        self.channel.queue_declare("compute_fanout", durable=True, auto_delete=False,
                                   arguments={"x-queue-type": "stream", "x-max-age": "1800s"})
        self.channel.queue_bind("compute_fanout", "compute_fanout", "compute")
        self.fanout(bus)
        self.assertEqual(self.queue("compute_fanout")["type"], "stream")

    def test_denied_shared(self):
        """declarations: a broker that denies queues that are not durable, beside nova-compute"""
        proxy = DenyingProxy(broker.port)
        self.addCleanup(proxy.close)
        self.oslo("server", "compute", HOST)
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus(broker.url(port=proxy.port))
        self.attached(bus)
        self.call(bus)
        self.assert_transient("reply_", "classic", True)
        done = bus.ask(do="notify", priority="INFO", payload={"a": 1})
        self.assertEqual(done["result"], 0, done)
        self.assertEqual(proxy.denials, 2)  # once for each connection

    def test_denied_exclusive(self):
        """declarations: the same, without a nova-compute"""
        proxy = DenyingProxy(broker.port)
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port), attach="exclusive")
        self.attached(bus)
        self.fanout(bus)
        self.assert_transient("compute_fanout_", "classic", True)

    def test_others_exchange(self):
        """declarations: an exchange that others have declared, durable or not, is taken as it is"""
        for durable in (True, False):
            for name, kind, auto_delete in (("nova", "topic", False),
                                            ("compute_fanout", "fanout", True)):
                self.channel.exchange_declare(name, kind, durable=durable, auto_delete=auto_delete)
            bus = self.bus(attach="exclusive", transient_quorum=not durable, quorum=not durable)
            self.attached(bus)
            self.fanout(bus)
            bus.close()
            self.setUp()


class Denied(unittest.TestCase):
    """By the broker itself, as upstream's RabbitMQ 4.3 does unless it is told otherwise."""

    def setUp(self):
        self.broker = Broker(transient=False)
        self.addCleanup(self.broker.close)
        connection = self.connect()
        self.addCleanup(connection.close)
        self.channel = connection.channel()
        self.channel.exchange_declare("nova", "topic", durable=True, auto_delete=False)

    def connect(self):
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}", "guest", "guest")
        connection.connect()
        return connection

    def bus(self, **options):
        bus = Bus(self.broker.url(), server=HOST, **options)
        self.addCleanup(lambda: self.assertEqual(bus.close(), 0, bus.log_text()[-2000:]))
        wait_for("attached", bus.attached)
        return bus

    def reply(self, queue):
        """Answers the first call in a queue, as oslo does."""
        call = wait_for("call", lambda: self.channel.basic_get(queue, no_ack=True))
        request = json.loads(json.loads(call.body)["oslo.message"])
        answer = {"result": [1], "failure": None, "_unique_id": uuid.uuid4().hex,
                  "_msg_id": request["_msg_id"], "ending": True}
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(answer)})
        self.channel.basic_publish(amqp.Message(body, content_type="application/json",
                                                content_encoding="utf-8"), "", request["_reply_q"])

    def call(self, bus):
        self.channel.queue_declare("conductor", durable=True, auto_delete=False)
        self.channel.queue_bind("conductor", "nova", "conductor")
        number = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                          args={}, timeout_ms=20000)
        self.reply("conductor")
        self.assertEqual(bus.answer(number)["event"], "result")

    def test_proxy(self):
        """declarations: the denial is what the proxy of the other tests says"""
        connection = self.connect()
        with self.assertRaises(amqp.exceptions.InternalError) as denied:
            connection.channel().queue_declare("transient", auto_delete=False)
        error = denied.exception
        said = DENIAL.decode().partition("\n")[0]
        self.assertEqual((error.reply_code, error.method_sig), (541, QUEUE_DECLARE))
        self.assertEqual(error.reply_text.partition("\n")[0], said)

    def test_shared(self):
        """declarations: a broker that denies queues that are not durable, beside nova-compute"""
        queue = f"compute.{HOST}"
        self.channel.queue_declare(queue, durable=True, auto_delete=False)
        compute = FakeCompute(self.broker.port, queue, 1, {})
        self.addCleanup(compute.kill)
        self.call(self.bus())

    def test_exclusive(self):
        """declarations: the same, without a nova-compute"""
        for options in ({}, {"quorum": True, "transient_quorum": True}, {"stream_fanout": True}):
            for name in self.broker.queues():
                self.channel.queue_delete(name)
            bus = self.bus(attach="exclusive", **options)
            self.call(bus)
            bus.close()


if broker_version() < (4,):
    del Denied  # it knows no such thing

if __name__ == "__main__":
    tap.main()
