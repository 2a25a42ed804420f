#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bus against a private RabbitMQ and real oslo.messaging peers.

Needs no lab. BUS_PEER names another build of the program under test (ASan, TSan).
"""

import contextlib
import errno
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import uuid
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import amqp
import tap
from peers import BUS_PEER, REPO, Broker, Bus, CuttingProxy, Oslo, broker_version, wait_for

HOST = "cmp1.example.org"
QUEUE = f"compute.{HOST}"


def setUpModule():
    global broker
    if "BUS_PEER" not in os.environ:
        subprocess.run(["make", "-s", "-C", REPO, BUS_PEER.removeprefix(f"{REPO}/")], check=True)
    broker = Broker()


def tearDownModule():
    broker.close()


def envelope(message):
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})


def request(method, **keys):
    message = {"method": method, "args": {}, "version": "6.0", "_unique_id": uuid.uuid4().hex,
               "_context_request_id": "req-raw"}
    return {**message, **keys}


class AmqpTest(unittest.TestCase):
    def setUp(self):
        with self.raw_connection() as connection:
            channel = connection.channel()
            for name in broker.queues():
                if not name.startswith("nova-snapshot-agent."):  # goes with its connection
                    channel.queue_delete(name)
            channel.exchange_delete("nova")

    def bus(self, url=None, **options):
        options.setdefault("server", HOST)
        bus = Bus(url or broker.url(), **options)
        self.addCleanup(self.end_bus, bus)
        return bus

    def end_bus(self, bus):
        """However it was used, the bus ends, in order and without a sanitizer's complaint."""
        status = bus.close()
        log = bus.log_text()
        for word in ("Sanitizer", "runtime error:"):
            self.assertNotIn(word, log, log[log.find(word):][:4000] if word in log else "")
        expected = 0 if bus.started["result"] == 0 else 1
        self.assertEqual(status, expected, log[-2000:])
        self.assertTrue(bus.events("ended"))

    def oslo(self, role, *argv, url=None):
        peer = Oslo(url or broker.url(), role, *argv)
        self.addCleanup(peer.kill)
        return peer

    def nova_compute(self, **kwargs):
        return self.oslo("server", "compute", HOST, **kwargs)

    def attached(self, bus, value=True):
        wait_for(f"attached {value}", lambda: bus.attached() == value)

    @staticmethod
    def raw_connection(node=None):
        """Use with "with": it does not survive a restart of the broker."""
        connection = amqp.Connection(f"127.0.0.1:{(node or broker).port}", "guest", "guest")
        connection.connect()
        return connection

    def raw_channel(self):
        """For as long as the test runs."""
        connection = self.raw_connection()
        self.addCleanup(connection.close)
        return connection.channel()

    def publish(self, body, key=QUEUE, exchange="nova", content_type="application/json",
                headers=None):
        message = amqp.Message(body, content_type=content_type, content_encoding="utf-8",
                               application_headers=headers or {}, delivery_mode=2)
        with self.raw_connection() as connection:
            connection.channel().basic_publish(message, exchange, key)

    def depth(self, name=QUEUE):
        return broker.queues().get(name, (None, None))[0]

    def busy_consumer(self):
        """Stands for a nova-compute that is there and takes nothing more."""
        channel = self.raw_channel()
        channel.queue_declare(QUEUE, auto_delete=False)
        channel.basic_qos(0, 1, False)
        channel.basic_consume(QUEUE, callback=lambda message: None)
        self.publish(envelope(request("reboot_instance")), exchange="")
        return channel

    def assert_served_once(self, peer, number, **keys):
        served = [event for event in peer.events("served", **keys)
                  if event["args"].get("number") == number]
        self.assertEqual(len(served), 1, f"number {number} of {keys}")


class Shared(AmqpTest):
    def test_beside_nova_compute(self):
        """shared: what is served never reaches nova-compute, the rest always does"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        client = self.oslo("client")
        for number in range(60):
            method = "snapshot_instance" if number % 3 == 0 else "reboot_instance"
            client.send(do="cast", server=HOST, method=method, args={"number": number})
        # Snapshots that arrive in the moment of a put-back are nova-compute's: never lost.
        wait_for("60 requests served", lambda: len(bus.events("served")) +
                 len(compute.events("served")) >= 60)
        time.sleep(0.5)
        served = [(event["method"], event["args"]["number"])
                  for peer in (bus, compute) for event in peer.events("served")]
        self.assertEqual(len(served), 60)
        self.assertEqual(len(set(served)), 60)
        self.assertEqual(bus.events("served", method="reboot_instance"), [])
        leaked = len(compute.events("served", method="snapshot_instance"))
        print(f"# of 20 snapshots among 40 reboots sent without a pause {leaked} went to nova-compute")
        self.assertEqual(self.depth(), 0)
        before = len(compute.events("served"))
        for number in range(100, 120):
            client.ask(do="cast", server=HOST, method="snapshot_instance", args={"number": number})
            wait_for("served", lambda: any(event["args"]["number"] == number
                                           for event in bus.events("served")))
        self.assertEqual(len(compute.events("served")), before)

    def test_put_back_time(self):
        """shared: a call of another method takes a few milliseconds longer"""
        compute = self.nova_compute()
        client = self.oslo("client")

        def median():
            times = sorted(client.ask(do="call", server=HOST, method="get_console_output",
                                      args={"number": number})["ms"] for number in range(101))
            return times[50]

        client.ask(do="call", server=HOST, method="get_console_output")
        alone = median()
        bus = self.bus()
        self.attached(bus)
        beside = median()
        print(f"# a call: {alone:.2f} ms alone, {beside:.2f} ms beside the bus")
        self.assertGreater(len(compute.events("served")), 200)
        self.assertLess(beside - alone, 50)
        self.assertTrue(bus.attached())

    def test_nova_compute_away(self):
        """shared: detaches while nova-compute is away, its requests wait, attaches again"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        compute.kill()
        self.attached(bus, False)
        self.publish(envelope(request("reboot_instance", args={"number": 1})))
        self.publish(envelope(request("snapshot_instance", args={"number": 2})))
        time.sleep(1.5)
        self.assertEqual(bus.events("served"), [])
        self.assertEqual(self.depth(), 2)
        back = self.nova_compute()
        wait_for("requests served", lambda: len(back.events("served")) == 2)
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance", args={"number": 3})))
        bus.wait("served", method="snapshot_instance")
        self.assertEqual(len(back.events("served")), 2)

    def test_another_name(self):
        """shared: nobody consumes the queue, only one of the short host name: one warning says so"""
        other = self.oslo("server", "compute", "cmp1")
        bus = self.bus()
        wait_for("warned", lambda: "nobody consumes" in bus.log_text())
        time.sleep(3)
        warnings = [line for line in bus.log_text().splitlines() if "nobody consumes" in line]
        self.assertEqual(len(warnings), 1, warnings)
        self.assertIn(f"nobody consumes {QUEUE}, but somebody does compute.cmp1:", warnings[0])
        compute = self.nova_compute()
        self.attached(bus)
        compute.kill()
        self.attached(bus, False)
        other.kill()
        wait_for("again", lambda: bus.log_text().count("nobody consumes") == 2)
        self.assertIn("is nova-compute up, and its [DEFAULT]host 'cmp1.example.org'?",
                      bus.log_text())

    def test_never_alone(self):
        """shared: a request that comes back makes the bus step back, without a busy loop"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        compute.process.send_signal(19)  # SIGSTOP: still a consumer, takes what it is sent
        self.addCleanup(compute.process.send_signal, 18)
        for number in range(5):
            self.publish(envelope(request("reboot_instance", args={"number": number})))
        time.sleep(1)
        self.assertEqual(compute.events("served"), [])
        compute.process.send_signal(18)
        wait_for("reboots", lambda: len(compute.events("served")) == 5)
        compute.process.send_signal(19)
        compute.kill()
        self.publish(envelope(request("reboot_instance", args={"number": 9})))
        time.sleep(2)
        self.assertLess(bus.log_text().count("putting"), 25)
        self.attached(bus, False)
        self.assertEqual(self.depth(), 1)

    def test_undecodable(self):
        """shared: what cannot be decoded is left to nova-compute"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        good = envelope(request("snapshot_instance"))
        bodies = ["", "{", "[]", good[:-5], '{"oslo.version": "3.0", "oslo.message": "{}"}',
                  '{"oslo.version": 2, "oslo.message": "{}"}', envelope([1]), envelope({"a": 1}),
                  envelope(request("snapshot_instance", args=[1])), "[" * 5000,
                  envelope(request("snapshot_instance", _msg_id=7)), "x" * (17 << 20)]
        plain = {"content_type": "application/json"}
        messages = [(body, plain) for body in bodies]
        messages.append((good, {"content_type": "text/plain"}))
        messages.append((zlib.compress(good.encode()),
                         {**plain, "headers": {"compression": "application/x-gzip"}}))
        for count, (body, properties) in enumerate(messages, 1):
            wait_for("both consume", lambda count=count: bus.log_text().count(
                f"consuming {QUEUE} again") == count - 1)
            self.publish(body, **properties)
            wait_for(f"message {count} seen", lambda: bus.log_text().count(
                "left to nova-compute") == count)
        compute.wait("served", method="snapshot_instance")  # kombu_compression is natively known
        wait_for("empty queue", lambda: self.depth() == 0)
        self.attached(bus)
        self.publish(good)
        bus.wait("served")

    def test_duplicates(self):
        """shared: the same _unique_id is served once"""
        self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        twice = envelope(request("snapshot_instance", args={"number": 1}))
        self.publish(twice)
        self.publish(twice)
        self.publish(envelope(request("snapshot_instance", args={"number": 2})))
        wait_for("the other", lambda: len(bus.events("served")) >= 2)
        self.assert_served_once(bus, 1)
        self.assertIn("duplicate", bus.log_text())
        self.assertEqual(self.depth(), 0)

    def test_ack_lost(self):
        """shared: a request whose ack was lost is in doubt, not served, and not taken twice"""
        self.busy_consumer()
        basic_ack = b"\x00\x3c\x00\x50"
        proxy = CuttingProxy(broker.port, basic_ack, swallows=True)
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port))
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance", args={"number": 1, "keep": True})),
                     exchange="")
        bus.wait("doubted")
        self.assertEqual(proxy.cuts, 1)
        proxy.word = None
        wait_for("comes again", lambda: "ignoring duplicate message" in bus.log_text())
        wait_for("gone", lambda: self.depth() == 1)  # the busy consumer's own
        self.assertEqual(bus.events("served"), [])

    def test_answer_lost(self):
        """shared: an ack that has arrived while its answer has not is in doubt as well"""
        self.busy_consumer()
        proxy = CuttingProxy(broker.port, b"\x00\x3c\x00\x50")
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port))
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance", args={"number": 1, "keep": True})),
                     exchange="")
        bus.wait("doubted")
        proxy.word = None
        wait_for("gone", lambda: self.depth() == 1)  # the busy consumer's own
        self.attached(bus)
        self.assertEqual(bus.events("served"), [])

    def test_queue_deleted(self):
        """shared: the queue is deleted under the consumer and declared again by nova-compute"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        compute.process.send_signal(19)
        broker.ctl("delete_queue", QUEUE)
        self.attached(bus, False)
        compute.process.send_signal(18)
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance")))
        bus.wait("served")

    def test_quorum_queue(self):
        """shared: beside a nova-compute with quorum queues"""
        compute = self.nova_compute(url=broker.url("?rabbit_quorum_queue=true"))
        bus = self.bus()
        self.attached(bus)
        for number in range(10):
            self.publish(envelope(request("reboot_instance", args={"number": number})))
            self.publish(envelope(request("snapshot_instance", args={"number": number})))
        wait_for("all served", lambda: len(bus.events("served")) +
                 len(compute.events("served")) >= 20)
        for number in range(10):
            self.assert_served_once(compute, number, method="reboot_instance")
        self.assertEqual(bus.events("served", method="reboot_instance"), [])

    def test_detach(self):
        """shared: after bus_detach() nothing is served, calls still work"""
        compute = self.nova_compute()
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        self.attached(bus)
        bus.send(do="detach")
        bus.wait("detached")
        self.assertFalse(bus.attached())
        self.publish(envelope(request("snapshot_instance")))
        compute.wait("served", method="snapshot_instance")
        self.assertEqual(bus.events("served"), [])
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                         args={"a": 1}, timeout_ms=5000)
        self.assertEqual(answer["event"], "result")

    def test_detach_is_complete(self):
        """shared: when bus_detach() returns the broker knows no consumer of ours"""
        self.nova_compute()
        channel = self.raw_channel()
        for _ in range(10):
            bus = self.bus()
            self.attached(bus)
            self.assertEqual(channel.queue_declare(QUEUE, passive=True).consumer_count, 2)
            bus.send(do="detach")
            bus.wait("detached")
            self.assertEqual(channel.queue_declare(QUEUE, passive=True).consumer_count, 1)
            bus.close()  # the next one waits for that

    def test_two_agents(self):
        """shared: a second agent of the host stays away until the first one has gone"""
        compute = self.nova_compute()
        first = self.bus()
        self.attached(first)
        second = self.bus()
        wait_for("its refusal", lambda: "another agent" in second.log_text())
        time.sleep(2)
        self.assertFalse(second.attached())
        self.assertEqual(second.log_text().count("another agent"), 1)
        self.publish(envelope(request("snapshot_instance", args={"number": 1})))
        first.wait("served")
        self.assert_served_once(first, 1)
        first.send(do="detach")
        first.wait("detached")
        time.sleep(1)
        self.assertFalse(second.attached())  # what runs there runs on
        first.close()
        self.attached(second)
        self.publish(envelope(request("snapshot_instance", args={"number": 2})))
        second.wait("served")
        self.assertEqual(compute.events("served"), [])

    def test_another_connection_of_its_own(self):
        """shared: an agent whose connection was cut is back at once"""
        self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        broker.ctl("close_all_connections", "test")
        wait_for("a detached bus", lambda: "detached from" in bus.log_text() or not bus.attached())
        self.attached(bus)


    def test_a_connection_the_broker_does_not_miss(self):
        """shared: an agent whose old connection the broker still holds is back at once"""
        self.nova_compute()
        self.forsaken(self.bus)

    def test_the_same_without_nova_compute(self):
        """exclusive: an agent whose old connection the broker still holds is back at once"""
        self.forsaken(lambda url: self.bus(url, attach="exclusive"))

    def forsaken(self, start):
        proxy = CuttingProxy(broker.port)
        self.addCleanup(proxy.close)
        bus = start(broker.url(port=proxy.port))
        self.attached(bus)
        proxy.forsake()
        wait_for("the loss", lambda: "trying again" in bus.log_text())
        self.attached(bus)
        self.assertNotIn("another agent", bus.log_text())


class HandBack(AmqpTest):
    def kept(self, bus, count, **keys):
        """`count` requests that the bus has acked and does nothing with."""
        before = len(bus.events("served"))
        for number in range(count):
            self.publish(envelope(request("snapshot_instance",
                                          args={"number": number, "keep": True, **keys})))
        wait_for("kept", lambda: len(bus.events("served")) == before + count)

    def hand_back(self, bus, count):
        bus.send(do="detach")
        bus.wait("detached")
        bus.send(do="hand_back")
        wait_for("handed back", lambda: len(bus.events("handed_back")) == count)
        return bus.events("handed_back")

    def test_to_nova_compute(self):
        """hand back: nova-compute serves each request once, the bus none again"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        self.kept(bus, 30)
        self.assertEqual(compute.events("served"), [])
        self.assertEqual({event["result"] for event in self.hand_back(bus, 30)}, {0})
        wait_for("all served", lambda: len(compute.events("served")) >= 30)
        wait_for("empty queue", lambda: self.depth() == 0)
        for number in range(30):
            self.assert_served_once(compute, number)
        self.assertEqual(len(bus.events("served")), 30)

    def test_to_our_successor(self):
        """hand back: a later agent serves it, with the same id"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        self.kept(bus, 1)
        compute.kill()
        self.attached(bus, False)
        self.busy_consumer()
        bus.send(do="detach")
        bus.wait("detached")
        self.hand_back(bus, 1)
        unique_id = bus.events("served")[0]["unique_id"]
        bus.close()
        other = self.bus(attach="exclusive")  # beside a nova-compute it would wait for that
        self.attached(other)
        served = other.wait("served")
        self.assertEqual(served["unique_id"], unique_id)
        self.assertEqual(served["args"], {"number": 0, "keep": True})

    def test_to_ourselves(self):
        """hand back: an agent that is attached again serves what it has handed back itself"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        self.kept(bus, 1)
        bus.send(do="hand_back")
        wait_for("handed back", lambda: len(bus.events("handed_back")) == 1)
        wait_for("its second coming", lambda: len(bus.events("served")) == 2)
        first, second = bus.events("served")
        self.assertEqual(second["unique_id"], first["unique_id"])
        self.assertEqual(compute.events("served"), [])

    def test_aside(self):
        """hand back: an agent that stands aside takes nothing, and is back when it is to"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        bus.send(do="stand_aside", on=True)
        bus.wait("stood_aside")
        self.attached(bus, False)
        self.publish(envelope(request("snapshot_instance", args={"number": 1})))
        compute.wait("served")
        bus.send(do="stand_aside", on=False)
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance", args={"number": 2})))
        self.assertEqual(bus.wait("served")["args"], {"number": 2})

    def test_call(self):
        """hand back: the caller of a monitored call gets nova-compute's answer"""
        self.nova_compute()
        client = self.oslo("client")
        bus = self.bus(serve=["get_console_output"])
        self.attached(bus)
        number = client.send(do="call", server=HOST, method="get_console_output",
                             args={"keep": True, "number": 7}, timeout=20, call_monitor_timeout=2)
        bus.wait("served")
        time.sleep(3)  # heartbeats keep it alive
        self.hand_back(bus, 1)
        answer = client.answer(number)
        self.assertEqual(answer.get("result"), {"output": 7}, answer)

    def test_nowhere_to(self):
        """hand back: without the queue it fails at once and says so"""
        compute = self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        self.kept(bus, 1)
        compute.kill()
        self.attached(bus, False)
        broker.ctl("delete_queue", QUEUE)
        done = self.hand_back(bus, 1)[0]
        self.assertEqual(done["result"], -2)
        self.assertIn(f"there is no queue '{QUEUE}'", done["message"])

    def test_no_answer(self):
        """hand back: while the broker takes nothing it fails after its time"""
        self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        self.kept(bus, 1)
        broker.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            # The broker blocks a connection when it publishes; what it gets then waits unread.
            bus.send(do="notify", priority="INFO", payload={})
            wait_for("blocked", lambda: "blocks publishing" in bus.log_text())
            done = self.hand_back(bus, 1)[0]
        finally:
            broker.ctl("set_vm_memory_high_watermark", "0.4")
        self.assertEqual(done["result"], -110)
        self.assertLess(abs(done["ms"] - 10000), 2000)

    def test_confirm_lost(self):
        """hand back: a lost confirm means sending again, nova-compute serves it once"""
        compute = self.nova_compute()
        proxy = CuttingProxy(broker.port, b"cut me here")
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port))
        self.attached(bus)
        self.kept(bus, 1, text="cut me here")
        bus.send(do="detach")
        bus.wait("detached")
        bus.send(do="hand_back")
        wait_for("cut", lambda: proxy.cuts == 1)
        proxy.word = None
        self.assertEqual(bus.wait("handed_back")["result"], 0)
        wait_for("both gone", lambda: self.depth() == 0)
        self.assert_served_once(compute, 0)


class Exclusive(AmqpTest):
    def setUp(self):
        super().setUp()
        self.subject = self.bus(attach="exclusive", serve=["snapshot_instance", "quiesce_instance"],
                                missing_queue=3)
        self.attached(self.subject)
        self.client = self.oslo("client")

    def call(self, method, **command):
        return self.client.ask(do="call", server=HOST, method=method, **command)

    def test_topology(self):
        """exclusive: the queues oslo declares, a fanout reaches the bus"""
        queues = broker.queues()
        self.assertEqual([queues[name] for name in ("compute", QUEUE)], [(0, 1), (0, 1)])
        self.assertEqual(len([name for name in queues if name.startswith("compute_fanout_")]), 1)
        self.client.ask(do="cast", method="snapshot_instance", fanout=True, args={"number": 1})
        self.client.ask(do="cast", method="snapshot_instance", args={"number": 2})
        wait_for("both", lambda: len(self.subject.events("served")) == 2)
        # oslo itself accepts what we declared.
        other = self.oslo("server", "compute", "cmp2")
        self.client.ask(do="call", server="cmp2", method="get_console_output")
        wait_for("1 served", lambda: len(other.events("served")) == 1)

    def test_answers(self):
        """exclusive: result, failure, unknown method, unknown version, ping"""
        answer = self.call("quiesce_instance", args={"a": [1, None, "ä"]})
        self.assertEqual((answer["event"], answer["result"]), ("result", {"a": [1, None, "ä"]}))
        answer = self.call("quiesce_instance", args={
            "fail": {"exc": "InstanceQuiesceNotSupported", "message": "no agent: ä"}})
        self.assertEqual((answer["event"], answer["exc"], answer["code"]),
                         ("error", "InstanceQuiesceNotSupported_Remote", 400))
        self.assertIn("no agent: ä", answer["message"])
        answer = self.call("no_such")
        self.assertEqual((answer["exc"], answer["remote"]), ("RemoteError", "NoSuchMethod"))
        self.assertIn("Endpoint does not support RPC method no_such", answer["message"])
        for version in ("7.0", "6.2", "4.1"):
            answer = self.call("no_such", version=version)
            self.assertEqual(answer["remote"], "UnsupportedVersion")
            self.assertIn(f"Endpoint does not support RPC version {version}. Attempted method: "
                          "no_such", answer["message"])
        answer = self.call("ping", version="1.0", namespace="baseapi", args={"arg": "x"})
        self.assertEqual(answer["result"], {"service": "compute", "arg": "x"})
        self.client.ask(do="cast", server=HOST, method="no_such")
        self.assertEqual(self.call("quiesce_instance", version="5.13")["result"], {})

    def test_undecodable(self):
        """exclusive: what cannot be decoded is rejected and gone"""
        self.publish("{")
        self.publish("x" * (17 << 20))
        self.publish(envelope(request("snapshot_instance")))
        self.subject.wait("served")
        wait_for("empty", lambda: self.depth() == 0)
        self.assertEqual(self.subject.log_text().count("is rejected"), 2)

    def test_monitored_call(self):
        """exclusive: a monitored call outlives its monitor timeout by heartbeats"""
        answer = self.call("quiesce_instance", args={"sleep_ms": 5000}, timeout=20,
                           call_monitor_timeout=2)
        self.assertEqual(answer["event"], "result", answer)
        self.assertGreater(answer["ms"], 4900)

    def test_reply_queue_missing(self):
        """exclusive: a reply waits for its queue, then gives up and says so"""
        channel = self.raw_channel()
        late, never = f"reply_{uuid.uuid4().hex}", f"reply_{uuid.uuid4().hex}"
        for queue in (late, never):
            self.publish(envelope(request("quiesce_instance", _msg_id=uuid.uuid4().hex,
                                          _reply_q=queue, args={"number": queue})))
        wait_for("served", lambda: len(self.subject.events("served")) == 2)
        time.sleep(1)
        self.assertEqual(self.subject.events("replied"), [])
        channel.queue_declare(late, auto_delete=False)
        message = wait_for("the reply", lambda: channel.basic_get(late, no_ack=True))
        reply = json.loads(json.loads(message.body)["oslo.message"])
        self.assertEqual((reply["result"], reply["failure"], reply["ending"]),
                         ({"number": late}, None, True))
        wait_for("both done", lambda: len(self.subject.events("replied")) == 2)
        results = sorted(event["result"] for event in self.subject.events("replied"))
        self.assertEqual(results, [-2, 0])
        channel.queue_delete(late)

    def test_queue_deleted(self):
        """exclusive: queues that are deleted under the consumers are declared again"""
        fanout = next(name for name in broker.queues() if name.startswith("compute_fanout_"))
        for number, queue in enumerate((QUEUE, "compute", fanout)):
            lost = self.subject.log_text().count("the broker cancelled a consumer")
            broker.ctl("delete_queue", queue)
            wait_for("lost", lambda: self.subject.log_text().count(
                "the broker cancelled a consumer") > lost)
            self.attached(self.subject)
            for keys in ({"server": HOST}, {}, {"fanout": True}):
                before = len(self.subject.events("served"))
                self.client.ask(do="cast", method="snapshot_instance", args={"number": number},
                                **keys)
                wait_for("served", lambda: len(self.subject.events("served")) > before)

    def test_reply_while_blocked(self):
        """exclusive: what is answered while the broker blocks us reaches the caller afterwards"""
        number = self.client.send(do="call", server=HOST, method="quiesce_instance",
                                  args={"keep": True}, timeout=120)
        self.subject.wait("served")
        broker.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            self.subject.send(do="notify", priority="INFO", payload={})  # makes it blocked
            wait_for("blocked", lambda: "blocks publishing" in self.subject.log_text())
            self.subject.send(do="answer")
            time.sleep(2)
            self.assertEqual(self.subject.events("replied"), [])
        finally:
            broker.ctl("set_vm_memory_high_watermark", "0.4")
        self.assertEqual(self.client.answer(number).get("result"), {"keep": True})
        self.assertNotIn("lost", self.subject.log_text())

    def test_fanout_queue_deleted(self):
        """exclusive: the fanout queue goes with the bus"""
        self.subject.send(do="detach")
        self.subject.wait("detached")
        self.assertEqual([name for name in broker.queues() if name.startswith("compute_fanout_")],
                         [])
        self.publish(envelope(request("snapshot_instance")))
        time.sleep(0.5)
        self.assertEqual(self.depth(), 1)
        self.assertEqual(self.subject.events("served"), [])


class Calls(AmqpTest):
    def call(self, bus, timeout_ms=10000, topic="conductor", **args):
        return bus.ask(do="call", topic=topic, version="3.0", method="object_action", args=args,
                       timeout_ms=timeout_ms)

    def test_outcomes(self):
        """calls: result, remote failure, unknown method, timeout"""
        conductor = self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        answer = self.call(bus, text="ä\u2028😀", number=2**53)
        self.assertEqual(answer["result"], [{"text": "ä\u2028😀", "number": 2**53}, None])
        answer = self.call(bus, conflict=True)
        self.assertEqual((answer["exc"], answer["module"], answer["code"], answer["errnum"]),
                         ("UnexpectedDeletingTaskStateError", "nova.exception", 500, 121))
        self.assertIn("'task_state': 'deleting'", answer["message"])
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="no_such", args={},
                         timeout_ms=5000)
        self.assertEqual((answer["exc"], answer["module"]),
                         ("NoSuchMethod", "oslo_messaging.rpc.dispatcher"))
        answer = bus.ask(do="call", topic="conductor", version="9.0", method="object_action",
                         args={}, timeout_ms=5000)
        self.assertEqual(answer["exc"], "UnsupportedVersion")
        answer = self.call(bus, timeout_ms=1000, seconds=2)
        self.assertEqual((answer["exc"], answer["errnum"]), ("MessagingTimeout", 110))
        self.assertTrue(900 < answer["ms"] < 5000, answer)
        answer = self.call(bus, timeout_ms=500, topic="nobody")
        self.assertEqual(answer["exc"], "MessagingTimeout")
        wait_for("late reply dropped", lambda: "no call waits" in bus.log_text())
        self.assertEqual(self.call(bus, a=1)["event"], "result")
        wait_for("4 served", lambda: len(conductor.events("served")) == 4)

    def test_many_at_once(self):
        """calls: 40 at once, each gets its own answer"""
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        numbers = {bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                            args={"number": n, "fill": "x" * 20000}, timeout_ms=20000): n
                   for n in range(40)}
        for ident, number in numbers.items():
            self.assertEqual(bus.answer(ident)["result"][0]["number"], number)

    def test_wire(self):
        """calls: what is on the wire, heartbeats, stray and broken replies"""
        channel = self.raw_channel()
        channel.exchange_declare("nova", "topic", auto_delete=False)
        channel.queue_declare("conductor", auto_delete=False)
        channel.queue_bind("conductor", "nova", "conductor")
        bus = self.bus()
        number = bus.send(do="call", topic="conductor", version="3.0", method="m", args={"a": 1},
                          timeout_ms=8000)
        message = wait_for("request", lambda: channel.basic_get("conductor", no_ack=True))
        self.assertLess(8000 - int(message.properties.pop("expiration")), 500)
        self.assertEqual(message.properties, {
            "content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
            "priority": 0, "application_headers": {}})
        body = json.loads(message.body)
        self.assertEqual(body["oslo.version"], "2.0")
        call = json.loads(body["oslo.message"])
        self.assertEqual({key for key in call if not key.startswith("_context_")},
                         {"method", "args", "version", "_msg_id", "_reply_q", "_timeout",
                          "_unique_id"})
        self.assertIsNone(call["_timeout"])
        self.assertRegex(call["_reply_q"], "^reply_[0-9a-f]{32}$")
        self.assertTrue(call["_context_is_admin"])

        def reply(**keys):
            message = {"result": None, "failure": None, "ending": False,
                       "_msg_id": call["_msg_id"], "_unique_id": uuid.uuid4().hex, **keys}
            self.publish(envelope(message), key=call["_reply_q"], exchange="")

        reply()
        reply(_msg_id="0" * 32, ending=True)
        self.publish("{broken", key=call["_reply_q"], exchange="")
        self.publish("[[", key=call["_reply_q"], exchange="", content_type="text/plain")
        reply(result={"part": 1})
        time.sleep(0.3)
        self.assertEqual(bus.events("result"), [])
        reply(ending=True)
        self.assertEqual(bus.answer(number)["result"], {"part": 1})
        self.assertEqual(self.depth(call["_reply_q"]), 0)
        for failure in ("no json", "[]", '{"class": 7}', '{"class": "E", "kwargs": 3}'):
            number = bus.send(do="call", topic="conductor", version="3.0", method="m", args={},
                              timeout_ms=8000)
            call = json.loads(json.loads(wait_for("request", lambda: channel.basic_get(
                "conductor", no_ack=True)).body)["oslo.message"])
            reply(failure=failure, ending=True)
            self.assertEqual(bus.answer(number)["event"], "error")

    def test_confirm_lost(self):
        """calls: a call whose confirm is lost is not sent twice and gets its answer"""
        conductor = self.oslo("server", "conductor", "ctl1")
        proxy = CuttingProxy(broker.port, b"cut me here")
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port))
        answer = self.call(bus, text="cut me here", number=1, seconds=1)
        self.assertEqual(answer["event"], "result", answer)
        self.assertEqual(proxy.cuts, 1)
        self.assert_served_once(conductor, 1)
        self.assertIn("was confirmed: waiting for its reply", bus.log_text())
        proxy.word = None
        self.assertEqual(self.call(bus, number=2)["event"], "result")

    def test_stalled(self):
        """calls: a broker that stops reading midway holds the bus for a few seconds, not for ever"""
        conductor = self.oslo("server", "conductor", "ctl1")
        proxy = CuttingProxy(broker.port, b"stall me here", stalls=True)
        self.addCleanup(proxy.close)
        bus = self.bus(broker.url(port=proxy.port))
        answer = self.call(bus, text="stall me here", fill="x" * (12 << 20), timeout_ms=2000)
        self.assertEqual(answer["event"], "error")
        self.assertLess(answer["ms"], 20000)
        proxy.word = None
        self.assertEqual(self.call(bus, number=2, timeout_ms=20000)["event"], "result")
        wait_for("1 served", lambda: len(conductor.events("served")) == 1)

    def test_reply_queue_deleted(self):
        """calls: the reply queue is deleted under a call that waits, its answer still comes"""
        conductor = self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        number = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                          args={"seconds": 2}, timeout_ms=20000)
        conductor.wait("served")
        name = next(name for name in broker.queues() if name.startswith("reply_"))
        broker.ctl("delete_queue", name)
        self.assertEqual(bus.answer(number)["event"], "result")
        self.assertIn("declaring it again", bus.log_text())
        self.assertEqual(self.call(bus)["event"], "result")
        wait_for("2 served", lambda: len(conductor.events("served")) == 2)

    def test_reply_queue_ends(self):
        """calls: an end in order takes the reply queue with it, unless a call still waits"""
        conductor = self.oslo("server", "conductor", "ctl1")

        def reply_queues():
            return {name for name in broker.queues() if name.startswith("reply_")}
        before = reply_queues()
        bus = self.bus()
        self.assertEqual(self.call(bus)["event"], "result")
        self.assertEqual(bus.close(), 0)
        wait_for("its reply queue to go", lambda: reply_queues() <= before)
        bus = self.bus()
        bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                 args={"seconds": 2}, timeout_ms=20000)
        wait_for("the call", lambda: len(conductor.events("served")) == 2)
        bus.close()
        self.assertEqual(len(reply_queues() - before), 1)

    def test_unblocked(self):
        """calls: calls begun before and during a block are answered after it"""
        conductor = self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        pending = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                           args={"seconds": 2, "number": 1}, timeout_ms=25000)
        conductor.wait("served")
        broker.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            blocked = [bus.send(do="call", topic="conductor", version="3.0",
                                method="object_action", args={"number": number}, timeout_ms=40000)
                       for number in (2, 3)]
            wait_for("blocked", lambda: "blocks publishing" in bus.log_text())
            time.sleep(3)
        finally:
            broker.ctl("set_vm_memory_high_watermark", "0.4")
        for number, ident in enumerate((pending, *blocked), 1):
            self.assertEqual(bus.answer(ident)["event"], "result")
            self.assert_served_once(conductor, number)

    def test_blocked(self):
        """calls: while the broker blocks publishing, a call ends at its deadline"""
        self.nova_compute()
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus(heartbeat=4)
        self.attached(bus)
        broker.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            answer = self.call(bus, timeout_ms=2000, number=1)
            self.assertEqual(answer["exc"], "MessagingTimeout")
            answer = self.call(bus, timeout_ms=2000, number=2)
            self.assertIn("could not be sent", answer["message"])
            time.sleep(9)  # beyond two heartbeats
            self.assertTrue(bus.attached())
        finally:
            broker.ctl("set_vm_memory_high_watermark", "0.4")
        self.assertEqual(self.call(bus, number=3)["event"], "result")
        self.assertNotIn("lost", bus.log_text())
        self.assertIn("blocks publishing", bus.log_text())


class Notifications(AmqpTest):
    def test_kinds(self):
        """notifications: legacy and versioned ones reach a listener, also one that comes later"""
        bus = self.bus()
        payload = {"instance_id": "i", "text": "ä"}
        for versioned in (False, True):
            for priority in ("INFO", "ERROR"):
                done = bus.ask(do="notify", versioned=versioned, priority=priority, payload=payload)
                self.assertEqual((done["event"], done["result"]), ("notified", 0), done)
        queues = broker.queues()
        for topic in ("notifications", "versioned_notifications"):
            for priority in ("info", "error"):
                self.assertEqual(queues[f"{topic}.{priority}"][0], 1)
        listener = self.oslo("listener", "notifications", "versioned_notifications")
        wait_for("four", lambda: len(listener.events("notification")) == 4)
        event = listener.events("notification")[0]
        self.assertEqual((event["publisher_id"], event["event_type"], event["payload"]),
                         ("compute.host", "compute.instance.snapshot.start", payload))
        self.assertRegex(event["metadata"]["timestamp"],
                         r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$")
        self.assertIsNone(event["context"]["auth_token"])
        self.assertEqual(event["context"]["service_catalog"], [])

    def test_drivers(self):
        """notifications: messaging is bare JSON, noop, log and test send nothing"""
        channel = self.raw_channel()
        bus = self.bus(notification_driver="messaging")
        bus.ask(do="notify", priority="INFO", payload={"a": 1})
        message = json.loads(channel.basic_get("notifications.info", no_ack=True).body)
        self.assertEqual(message["payload"], {"a": 1})
        self.assertNotIn("oslo.version", message)
        for driver in ("noop", "log", "test", "routing"):
            bus = self.bus(notification_driver=driver)
            done = bus.ask(do="notify", priority="INFO", payload={"a": 2})
            self.assertEqual(done["result"], 0)
            warned = "is not supported" in bus.log_text()
            self.assertEqual(warned, driver in ("test", "routing"))
            self.assertEqual('"a":2' in bus.log_text(), driver == "log")
        self.assertEqual(self.depth("notifications.info"), 0)

    def test_own_transport(self):
        """notifications: a transport_url of their own; without an answer the rest goes on"""
        silent = CuttingProxy(broker.port, silent=True)
        self.addCleanup(silent.close)
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus(notification_url=broker.url(port=silent.port), timeout=3)
        number = bus.send(do="notify", priority="INFO", payload={"a": 1})
        for _ in range(20):
            answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                             args={}, timeout_ms=2000)
            self.assertLess(answer["ms"], 500)
        done = bus.answer(number)
        self.assertEqual(done["result"], -110)
        self.assertIn("notification to 'notifications.info'", done["message"])
        # One that lets us log in and then says nothing more.
        mute = CuttingProxy(broker.port, b"\x00\x14\x00\x0a", stalls=True)
        self.addCleanup(mute.close)
        bus = self.bus(notification_url=broker.url(port=mute.port), timeout=8)
        wait_for("channel.open", lambda: mute.cuts)
        number = bus.send(do="notify", priority="INFO", payload={"a": 1})
        while not bus.events("notified", id=number):
            answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                             args={}, timeout_ms=10000)
            self.assertLess(answer["ms"], 2000)
        self.assertEqual(bus.answer(number)["result"], -110)
        good = self.bus(notification_url=broker.url())
        self.assertEqual(good.ask(do="notify", priority="INFO", payload={})["result"], 0)


class Connections(AmqpTest):
    def test_application_restart(self):
        """broker: stop_app and start_app, everything comes back by itself"""
        compute = self.nova_compute()
        conductor = self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        self.attached(bus)
        pending = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                           args={"seconds": 3, "number": 1}, timeout_ms=25000)
        conductor.wait("served")
        broker.ctl("stop_app")
        self.attached(bus, False)
        waiting = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                           args={"number": 2}, timeout_ms=25000)
        notified = bus.send(do="notify", priority="INFO", payload={})
        broker.ctl("start_app")
        self.attached(bus)
        self.assertEqual(bus.answer(waiting)["event"], "result")
        self.assertEqual(bus.answer(pending)["event"], "result")
        self.assertEqual(bus.answer(notified)["result"], 0)
        self.assert_served_once(conductor, 1)
        self.assert_served_once(conductor, 2)
        self.publish(envelope(request("snapshot_instance", args={"number": 3})))
        bus.wait("served")
        self.publish(envelope(request("reboot_instance", args={"number": 4})))
        compute.wait("served")

    def test_full_restart(self):
        """broker: the whole node restarts"""
        self.nova_compute()
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus()
        exclusive = self.bus(attach="exclusive", server="cmp9")
        self.attached(bus)
        self.attached(exclusive)
        broker.stop()
        self.attached(bus, False)
        broker.start()
        self.attached(bus)
        self.attached(exclusive)
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                         args={}, timeout_ms=25000)
        self.assertEqual(answer["event"], "result")
        self.publish(envelope(request("snapshot_instance")))
        bus.wait("served")
        self.publish(envelope(request("snapshot_instance")), key="compute.cmp9")
        exclusive.wait("served")

    def test_largest(self):
        """broker: the largest message that is sent is one that RabbitMQ 4 takes by itself"""
        small = Broker(largest=16 << 20)
        self.addCleanup(small.close)
        bus = self.bus(small.url())
        connection = amqp.Connection(f"127.0.0.1:{small.port}", "guest", "guest")
        connection.connect()
        self.addCleanup(connection.close)
        channel = connection.channel()

        def notify(length):
            return bus.ask(do="notify", priority="INFO", payload={"a": "a" * length})

        def came():
            return wait_for("it", lambda: channel.basic_get("notifications.info", no_ack=True))

        self.assertEqual(notify(0)["result"], 0)
        most = (16 << 20) - len(came().body)
        self.assertEqual(notify(most)["result"], 0)
        self.assertEqual(len(came().body), 16 << 20)
        self.assertEqual(notify(most + 1)["result"], -errno.EMSGSIZE)

    def test_too_large_for_the_broker(self):
        """broker: a message beyond its max_message_size fails at once, and says so"""
        small = Broker(largest=100000)
        self.addCleanup(small.close)
        bus = self.bus(small.url(), timeout=10)
        done = bus.ask(do="notify", priority="INFO", payload={"a": "a" * 200000})
        self.assertEqual(done["result"], -errno.EMSGSIZE, done)
        self.assertIn("max_message_size of 100000", done["message"])
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                         args={"a": "a" * 200000}, timeout_ms=10000)
        self.assertIn("max_message_size of 100000", answer["message"])
        self.assertEqual(bus.ask(do="notify", priority="INFO", payload={})["result"], 0)

    def test_failover(self):
        """broker: the next host is taken when one does not answer"""
        closed = CuttingProxy(broker.port)
        closed.close()
        hosts = f"guest:guest@127.0.0.1:{closed.port},guest:guest@127.0.0.1:{broker.port}"
        bus = self.bus(f"rabbit://{hosts}/")
        self.assertEqual(bus.started["result"], 0)

    def test_nobody_there(self):
        """broker: no answer, wrong password, wrong virtual host: clear errors without a secret"""
        silent = CuttingProxy(broker.port, silent=True)
        self.addCleanup(silent.close)
        bus = self.bus(broker.url(port=silent.port), start_ms=500)
        self.assertEqual(bus.started["result"], -110)
        start = time.monotonic()
        bus.close()
        self.assertLess(time.monotonic() - start, 16)
        bus = self.bus(f"rabbit://guest:s3cret@127.0.0.1:{broker.port}/", start_ms=2000)
        self.assertIn("403 ACCESS_REFUSED", bus.started["message"])
        self.assertNotIn("s3cret", bus.log_text() + bus.started["message"])
        bus = self.bus(broker.url("nowhere"), start_ms=2000)
        self.assertIn("530 NOT_ALLOWED", bus.started["message"])

    def test_tls(self):
        """broker: TLS, verified or not, as oslo does"""
        tls = f"{broker.folder}/tls"
        url = broker.url(port=broker.port + 3, host="localhost")
        self.oslo("server", "conductor", "ctl1")
        bus = self.bus(url, ssl=True, ssl_ca_file=f"{tls}/ca.pem",
                       ssl_enforce_hostname_verification=True)
        self.assertEqual(bus.started["result"], 0, bus.started)
        fill = "x" * 3000000
        answer = bus.ask(do="call", topic="conductor", version="3.0", method="object_action",
                         args={"fill": fill}, timeout_ms=20000)
        self.assertEqual(answer["result"][0]["fill"], fill)
        self.assertEqual(self.bus(url, ssl=True).started["result"], 0)
        by_ip = broker.url(port=broker.port + 3)
        for options in ({"url": url, "ssl_ca_file": f"{tls}/other.pem"},
                        {"url": by_ip, "ssl_ca_file": f"{tls}/ca.pem",
                         "ssl_enforce_hostname_verification": True},
                        {"url": url, "ssl_ca_file": f"{tls}/missing.pem"},
                        {"url": broker.url()}):
            bus = self.bus(ssl=True, start_ms=1500, **options)
            self.assertEqual(bus.started["result"], -110, options)
            print(f"# {bus.started['message']}")
        # Without a CA file the name is not looked at either.
        self.assertEqual(self.bus(by_ip, ssl=True, ssl_enforce_hostname_verification=True)
                         .started["result"], 0)

    def test_declared_otherwise(self):
        """broker: exchange and queues declared durable by others are taken as they are"""
        channel = self.raw_channel()
        channel.exchange_declare("nova", "topic", durable=True, auto_delete=False)
        for queue in ("compute", QUEUE):
            channel.queue_declare(queue, durable=True, auto_delete=False)
        bus = self.bus(attach="exclusive")
        self.attached(bus)
        self.publish(envelope(request("snapshot_instance")))
        bus.wait("served")
        self.assertEqual(bus.ask(do="notify", priority="INFO", payload={})["result"], 0)

    def test_idle(self):
        """broker: an idle bus is still and small"""
        self.nova_compute()
        bus = self.bus()
        self.attached(bus)
        busy_ns = bus.cpu_ns()
        time.sleep(3)
        busy_ns = bus.cpu_ns() - busy_ns
        text = broker.ctl("list_connections", "--no-table-headers", "client_properties")
        self.assertIn("bus_peer:", text)
        self.assertIn("consumer_cancel_notify", text)
        print(f"# idle: {bus.memory_kib()} KiB, {busy_ns / 1e6:.1f} ms of CPU in 3 s")


class ClusterTest(AmqpTest):
    """Three nodes; the first, the tests' common one, is stopped and comes back.

    Quorum queues, and from 4.2 on a cluster as a whole, need the majority of the nodes.
    """

    @classmethod
    def setUpClass(cls):
        cls.others = [Broker(broker) for _ in range(2)]
        cls.second = cls.others[0]

    @classmethod
    def tearDownClass(cls):
        for other in cls.others:
            other.ctl("stop_app")
            other.ctl("reset")
            other.close()

    def tearDown(self):
        if not broker.is_running:
            broker.start()

    def both(self, path=""):
        return (f"rabbit://guest:guest@127.0.0.1:{broker.port},"
                f"guest:guest@127.0.0.1:{self.second.port}/{path}")

    def fail_over(self, vhost="", query="", **bus_options):
        """The first node stops while a call waits for its answer and requests are in the queue."""
        compute = self.oslo("server", "compute", HOST, url=self.both(vhost + query))
        conductor = self.oslo("server", "conductor", "ctl1", url=self.both(vhost + query))
        bus = self.bus(self.both(vhost), **bus_options)
        self.attached(bus)
        # An answer that a node takes while it stops is lost with it, and so is one for a queue that the
        # other still takes for a stopped node's: this one waits until there is a queue for it again.
        back = pathlib.Path(self.second.folder, f"back-{uuid.uuid4()}")
        pending = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                           args={"until": str(back), "number": 1}, timeout_ms=120000)
        conductor.wait("served")
        broker.stop()
        later = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                         args={"number": 2}, timeout_ms=60000)
        notified = bus.send(do="notify", priority="INFO", payload={})
        self.assertEqual(bus.answer(later, 60)["event"], "result", bus.answer(later))
        back.touch()
        self.assertEqual(bus.answer(notified, 60)["result"], 0)
        self.assertEqual(bus.answer(pending, 120)["event"], "result")
        self.assert_served_once(conductor, 1)
        self.assert_served_once(conductor, 2)
        self.attached(bus)
        self.assert_serves(bus, compute, self.second.url(vhost + query))

    def assert_serves(self, bus, compute, url):
        """Both take what is theirs of requests that are sent to this host now."""
        client = self.oslo("client", url=url)
        for number in range(10, 15):
            for method in ("snapshot_instance", "reboot_instance"):
                said = client.ask(do="cast", server=HOST, method=method, args={"number": number})
                self.assertEqual(said["event"], "result", said)
        wait_for("all served", lambda: len([event for peer in (bus, compute)
                                            for event in peer.events("served")
                                            if event["args"]["number"] in range(10, 15)]) >= 10)
        for number in range(10, 15):
            self.assert_served_once(compute, number, method="reboot_instance")
        self.assertGreater(len(bus.events("served")), 0)

    def keeps_transient_queues(self):
        """Whether a stopped node's stay its own, as with RabbitMQ 4.2 and later where they have Khepri."""
        with self.raw_connection() as connection:
            connection.channel().queue_declare("transient", auto_delete=False)
        broker.stop()
        try:
            with self.raw_connection(self.second) as connection:
                connection.channel().queue_declare("transient", passive=True)
        except amqp.NotFound as error:
            return "no queue" not in str(error)
        finally:
            broker.start()
        return False

    @contextlib.contextmanager
    def only_the_first(self):
        """Whoever connects meanwhile has his queues on the first node."""
        for other in self.others:
            other.ctl("suspend_listeners")
        yield
        for other in self.others:
            other.ctl("resume_listeners")

    def node_away(self, durable, keeps_transient):
        """The host's queue cannot be had while its node is away: nothing else stands still."""
        query = f"?amqp_durable_queues={str(durable).lower()}&rabbit_retry_backoff=0"
        options = {"durable": durable, "retry_backoff": 0, "timeout": 120}
        conductor = self.oslo("server", "conductor", "ctl1", url=self.second.url(query))
        with self.only_the_first():
            compute = self.oslo("server", "compute", HOST, url=self.both(query))
            bus = self.bus(self.both(), **options)
            alone = self.bus(self.both(), attach="exclusive", server="cmp9", **options)
            self.attached(bus)
            self.attached(alone)
            self.assertEqual(bus.ask(do="notify", priority="INFO", payload={})["result"], 0)
        back = pathlib.Path(self.second.folder, f"back-{uuid.uuid4()}")
        self.addCleanup(back.touch)
        pending = bus.send(do="call", topic="conductor", version="3.0", method="object_action",
                           args={"until": str(back), "number": 1}, timeout_ms=25000)
        conductor.wait("served")
        broker.stop()
        notified = bus.send(do="notify", priority="INFO", payload={})
        for peer, number in ((bus, 2), (alone, 3)):
            later = peer.ask(do="call", topic="conductor", version="3.0", method="object_action",
                             args={"number": number}, timeout_ms=60000, timeout=60)
            self.assertEqual(later["event"], "result", later)
            self.assertLess(later["ms"], 30000)
        back.touch()
        answer = bus.answer(pending, 60)
        if keeps_transient:  # the queue for it is away as well
            self.assertEqual(answer.get("exc"), "MessagingTimeout", answer)
            self.assertIn("the queue for it was lost in an outage", answer["message"])
        else:
            self.assertEqual(answer["event"], "result", answer)
        self.assertLess(answer["ms"], 27000)
        for peer, queue in ((bus, QUEUE), (alone, "compute.cmp9")):
            self.assertFalse(peer.attached())
            told = [line for line in peer.log_text().splitlines() if "cannot be consumed" in line]
            self.assertEqual(len(told), 1, told)
            self.assertRegex(told[0], f"WARNING.* {queue} cannot be consumed: .*NOT_FOUND")
            self.assertNotIn("nobody consumes", peer.log_text())
        told = bus.answer(notified)
        self.assertEqual(told["result"], -errno.ETIMEDOUT, told)
        self.assertRegex(told["message"], "could not be sent in time: .*NOT_FOUND")
        broker.start()
        self.attached(alone)
        self.attached(bus)
        self.assertEqual(bus.ask(do="notify", priority="INFO", payload={})["result"], 0)
        self.assert_serves(bus, compute, self.second.url(query))
        self.publish(envelope(request("snapshot_instance", args={"number": 20})), "compute.cmp9")
        alone.wait("served")
        self.assert_served_once(conductor, 1)
        self.assert_served_once(conductor, 2)


class Cluster(ClusterTest):
    def test_failover(self):
        """cluster: the first node stops, everything goes on with the second, or once it is back"""
        if self.keeps_transient_queues():
            self.node_away(durable=False, keeps_transient=True)
        else:
            self.fail_over()

    def test_failover_quorum(self):
        """cluster: the same where all queues, also those for replies, are quorum queues"""
        broker.ctl("add_vhost", "quorum")
        self.addCleanup(broker.ctl, "delete_vhost", "quorum")
        broker.ctl("set_permissions", "-p", "quorum", "guest", ".*", ".*", ".*")
        self.fail_over("quorum", "?rabbit_quorum_queue=true", quorum=True, transient_quorum=True)
        rows = self.second.ctl("list_queues", "-p", "quorum", "--no-table-headers", "name",
                               "type").splitlines()
        ours = [row for row in rows if row.startswith(("reply_", QUEUE))]
        self.assertEqual([row for row in ours if not row.endswith("quorum")], [])
        self.assertGreater(len(ours), 1)

    def test_failover_mirrored(self):
        """cluster: the same with mirrored queues, whose consumers are cancelled; 4.0 has them not"""
        if broker_version() >= (4,):
            with self.assertRaisesRegex(AssertionError, "ha-mode.*not recognised"):
                broker.ctl("set_policy", "ha-all", ".*", '{"ha-mode": "all"}')
            return
        self.addCleanup(broker.ctl, "clear_policy", "ha-all")
        broker.ctl("set_policy", "ha-all", "^(?!amq\\.).*",
                   '{"ha-mode": "all", "ha-sync-mode": "automatic"}')
        self.fail_over()


if __name__ == "__main__":
    tap.main()
