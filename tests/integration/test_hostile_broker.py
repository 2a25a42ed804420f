#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bus against a broker that is hostile, broken or overloaded, in each way of hostile_modes.py.

Whatever it does: the bus neither dies nor leaks, serves nothing twice and nothing whose ack has not
arrived, loses nothing that is nova-compute's, says why in words, and comes back when the broker
behaves. Needs no lab; built with ASan. BUS_PEER names another build of the program under test.
"""

import concurrent.futures
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
ASAN_PEER = f"{REPO}/build/asan/tests/integration/amqp/bus_peer"
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]
if "BUS_PEER" not in os.environ:
    os.environ["BUS_PEER"] = ASAN_PEER
    subprocess.run(["make", "-s", "-C", REPO, "SAN=asan", ASAN_PEER.removeprefix(f"{REPO}/")],
                   check=True)

import tap
from hostile_modes import MODES
from peers import Bus, wait_for
from scripted_broker import ScriptedBroker

# Threads that set no stack of their own get the smallest one that is common (musl has less).
resource.setrlimit(resource.RLIMIT_STACK, (2 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

HOST = "cmp1"
FOREIGN, OURS = (1, 3), (2, 4)  # before the broker behaves, and after
AT_A_TIME = 24

results = {}  # of each mode's name


class Run:
    """One mode from its beginning to its end."""

    def __init__(self, mode):
        self.mode = mode
        self.broker = ScriptedBroker(HOST, mode.run)
        self.broker.hold("snapshot_instance", OURS[0])
        if mode.options.get("is_down"):
            self.broker.close()
        self.bus = Bus(f"rabbit://127.0.0.1:{self.broker.port}/", server=HOST, start_ms=1,
                       heartbeat=mode.options.get("heartbeat", 2), retry_backoff=0, timeout=10,
                       retry_interval=mode.options.get("retry_interval", 1))

    def check(self):
        try:
            self.suffer()
            self.broker.mode = None
            if self.mode.options.get("is_down"):
                time.sleep(2)  # for another attempt
                self.assert_said_once()
                self.broker.listen()
            self.recover()
            self.account()
        except AssertionError as error:
            raise AssertionError(f"{error}; its log: {self.bus.log_text()[-2000:]}") from error
        finally:
            status = self.bus.close()
            self.broker.close()
        log = self.bus.log_text()
        assert "Sanitizer" not in log and "runtime error:" not in log, log[-6000:]
        assert self.bus.events("ended"), f"ended with {status}: {log[-3000:]}"
        self.read(log)

    def numbers(self, kind):
        return [event["args"]["number"] for event in self.bus.events(kind)]

    def places(self, number):
        return self.numbers("served").count(number), self.broker.compute.count(number)

    def suffer(self):
        says = self.mode.says
        if says:
            wait_for(f"the log says {says}", lambda: re.search(says, self.bus.log_text(), re.I))
        failure = self.mode.options.get("calls_fail")
        if failure:
            wait_for("attached", self.bus.attached)
            answer = self.call(timeout_ms=2000)
            assert answer["event"] == "error", answer
            assert re.search(failure, answer["message"]), answer
        limit_mib = self.mode.options.get("max_rss_mib")
        if limit_mib:
            assert self.bus.peak_kib() < limit_mib << 10, f"{self.bus.peak_kib()} KiB"

    def assert_said_once(self):
        """Two connections that go to the same host are one trouble."""
        warnings = [line for line in self.bus.log_text().splitlines() if " WARNING " in line]
        assert not [line for line in warnings if "publishing" in line], warnings

    def call(self, timeout_ms=10000):
        return self.bus.ask(do="call", topic="conductor", version="3.0", method="m",
                            args={"a": 1}, timeout_ms=timeout_ms)

    def recover(self):
        wait_for("attached again", self.bus.attached)
        for number in FOREIGN:
            self.broker.offer("reboot_instance", number)
            wait_for("the foreign one is nova-compute's", lambda: number in self.broker.compute)
            wait_for("attached after a put-back", self.bus.attached)
        wait_for("what waited is somebody's",
                 lambda: sum(self.places(OURS[0])) or self.bus.events("doubted"))
        self.broker.offer("snapshot_instance", OURS[1])
        wait_for("it is served", lambda: sum(self.places(OURS[1])) == 1)
        assert self.call()["event"] == "result"

    def account(self):
        for number in FOREIGN:
            assert self.places(number) == (0, 1), f"foreign {number}: {self.places(number)}"
        ids = {event["unique_id"] for event in self.bus.events("served")}
        assert len(ids) == len(self.bus.events("served")), "served twice"
        doubted = self.bus.events("doubted")
        for event in doubted:
            assert event["unique_id"] not in ids, "in doubt and served"
        for number in OURS:
            served, computed = self.places(number)
            assert served + computed <= 1, f"{number} is served {served} and {computed} times"
            assert served + computed == 1 or doubted, f"{number} is lost"
        unacked = set(self.numbers("served")) - set(self.broker.acked)
        assert not unacked, f"served though the ack has not arrived: {unacked}"
        assert bool(doubted) == bool(self.mode.options.get("doubts")), doubted

    def read(self, log):
        for line in log.splitlines():
            assert not re.search(r"connection: ;|lost: ;|lost: *$", line), f"no reason: {line}"
            if "a socket error occurred" in line:
                assert re.search(r"occurred: [A-Z]", line), f"no errno: {line}"


def check(mode):
    try:
        Run(mode).check()
        return None
    except Exception as error:  # told by the test of the mode
        return error


def setUpModule():
    """Side by side, for they wait most of the time; those that compute first."""
    names = [name for name in MODES if os.environ.get("MODE", "") in name]
    for name in names:
        if MODES[name].options.get("alone"):
            results[name] = check(MODES[name])
    others = [name for name in names if name not in results]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        results.update(zip(others, pool.map(lambda name: check(MODES[name]), others)))


class Hostile(unittest.TestCase):
    pass


class SlowDisk(unittest.TestCase):
    """What is served is written down first; nobody else waits for that."""

    def begin(self, mode=None, write_ms=3000, **args):
        self.broker = ScriptedBroker(HOST, mode)
        self.addCleanup(self.broker.close)
        self.broker.hold("snapshot_instance", 2, **args)
        self.bus = Bus(f"rabbit://127.0.0.1:{self.broker.port}/", server=HOST, heartbeat=60,
                       write_ms=write_ms)
        self.addCleanup(self.end_bus)

    def end_bus(self):
        self.bus.close()
        log = self.bus.log_text()
        self.assertNotIn("Sanitizer", log, log[-4000:])
        self.assertTrue(self.bus.events("ended"))

    def test_others_do_not_wait(self):
        """slow disk: other requests of the host go back at once, and one by one"""
        self.begin()
        wait_for("attached", self.bus.attached)
        for number in range(10, 15):
            self.broker.offer("reboot_instance", number)
            wait_for("it is nova-compute's", lambda: number in self.broker.compute)
        self.assertEqual(self.bus.events("served"), [])
        self.assertEqual(self.bus.ask(do="call", topic="conductor", version="3.0", method="m",
                                      args={}, timeout_ms=2000)["event"], "result")
        self.assertEqual(self.bus.events("served"), [])
        self.bus.wait("served")
        self.assertEqual(self.broker.acked, [2])
        self.assertEqual(sorted(self.broker.compute), list(range(10, 15)))

    def test_lost_meanwhile(self):
        """slow disk: the connection is lost while it is written down: it is somebody else's"""
        self.begin()
        wait_for("attached", self.bus.attached)
        for connection in list(self.broker.connections):
            connection.sock.shutdown(socket.SHUT_RDWR)
        wait_for("it is nova-compute's", lambda: self.broker.compute == [2])
        self.bus.wait("withdrawn")
        self.assertEqual(self.bus.events("served") + self.bus.events("doubted"), [])

    def test_disk_full(self):
        """slow disk: what cannot be written down is nova-compute's"""
        self.begin(write_ms=10, args={"number": 2, "disk_full": True})
        wait_for("it is nova-compute's", lambda: self.broker.compute == [2])
        self.assertEqual(self.bus.events("served"), [])
        self.assertEqual(self.broker.acked, [])

    def test_detached_meanwhile(self):
        """slow disk: bus_detach() while it is written down gives it back"""
        self.begin()
        wait_for("attached", self.bus.attached)
        self.bus.send(do="detach")
        self.bus.wait("detached")
        wait_for("it is nova-compute's", lambda: self.broker.compute == [2])
        self.bus.wait("withdrawn")
        self.assertEqual(self.bus.events("served"), [])

    def test_detached_behind_the_ack(self):
        """slow disk: what was acked when bus_detach() is called is served before it returns"""
        def never_answers(connection, point):
            return point == "basic.qos" and connection.own_consumer() is not None
        self.begin(never_answers, write_ms=10)
        wait_for("acked", lambda: self.broker.acked)
        self.bus.send(do="detach")
        self.bus.wait("detached")
        self.assertEqual(len(self.bus.events("served")), 1)
        self.assertEqual(self.broker.compute, [])

    def test_end_meanwhile(self):
        """slow disk: the end of the bus waits for the disk and leaves nothing behind"""
        self.begin()
        wait_for("attached", self.bus.attached)
        self.bus.process.stdin.close()
        self.bus.wait("withdrawn")
        wait_for("it is nova-compute's", lambda: self.broker.compute == [2])


class ReplyQueue(unittest.TestCase):
    """A node that is down has the queue of replies, and a server an answer for it."""

    def begin(self):
        self.calls, self.denied, self.is_denied = [], set(), False
        self.broker = ScriptedBroker(HOST, self.mode)
        self.addCleanup(self.broker.close)
        self.bus = Bus(f"rabbit://127.0.0.1:{self.broker.port}/", server=HOST, heartbeat=60,
                       retry_backoff=0, retry_interval=1)
        self.addCleanup(self.bus.close)
        wait_for("attached", self.bus.attached)

    def mode(self, connection, point):
        if point == "published" and connection.last["key"] == "conductor":
            self.calls.append(connection.last)
        if point != "queue.declare":
            return False
        name, _ = connection.name_at(connection.arguments, 2)
        if not name.startswith("reply_") or not (self.is_denied or name in self.denied):
            return False
        self.denied.add(name)
        connection.close_channel(404, f"NOT_FOUND - queue '{name}' process is stopped by supervisor")
        return True

    def call(self):
        return self.bus.send(do="call", topic="conductor", version="3.0", method="m", args={},
                             timeout_ms=50000)

    def lose_the_node(self):
        for connection in list(self.broker.connections):
            connection.sock.shutdown(socket.SHUT_RDWR)

    def test_answer_under_the_old_name(self):
        """reply queue: its node stops, and what a server has for it still arrives"""
        self.begin()
        self.broker.answer, answer = lambda message: None, self.broker.answer
        waiting = self.call()
        wait_for("the call", lambda: self.calls)
        self.is_denied = True
        self.lose_the_node()
        wait_for("no queue yet", lambda: self.denied)
        self.is_denied, self.denied = False, set()
        wait_for("attached again", lambda: self.bus.attached() and self.broker.consuming())
        answer(self.calls[0])
        self.assertEqual(self.bus.answer(waiting)["event"], "result")

    def test_name_that_stays_taken(self):
        """reply queue: where the broker keeps its name for that node, it gets another one"""
        self.begin()
        self.is_denied = True
        self.lose_the_node()
        wait_for("no queue yet", lambda: self.denied)
        self.is_denied = False
        self.assertEqual(self.bus.answer(self.call())["event"], "result")
        self.assertEqual(len(self.denied), 1)
        self.assertNotIn(json.loads(json.loads(self.calls[-1]["body"])["oslo.message"])["_reply_q"],
                         self.denied)


def add_test(number, name):
    def test(self):
        if results[name] is not None:
            raise results[name]
    test.__doc__ = f"hostile broker: {name}"
    setattr(Hostile, f"test_{number:02}", test)


for place, mode_name in enumerate(MODES):
    if os.environ.get("MODE", "") in mode_name:
        add_test(place, mode_name)


if __name__ == "__main__":
    tap.main()
