#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A node of RabbitMQ's cluster is away for a while, with the classic queues that live on it.

Starts three brokers. Not a part of make check: make broker-check.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f"{HERE}/lib", f"{HERE}/amqp"]

import tap
import test_amqp
from peers import wait_for
from test_amqp import setUpModule, tearDownModule


class NodeAway(test_amqp.ClusterTest):
    def test_failover_durable(self):
        """cluster: where durable queues are away with their node, they are served once it is back"""
        self.node_away(durable=True, keeps_transient=self.keeps_transient_queues())

    def test_node_dies(self):
        """cluster: the first node is killed, calls go on with the second, requests once it is back"""
        query = "?rabbit_retry_backoff=0"
        options = {"retry_backoff": 0}
        self.oslo("server", "conductor", "ctl1", url=self.second.url(query))
        with self.only_the_first():
            compute = self.oslo("server", "compute", test_amqp.HOST, url=self.both(query))
            bus = self.bus(self.both(), **options)
            alone = self.bus(self.both(), attach="exclusive", server="cmp9", **options)
            self.attached(bus)
            self.attached(alone)
        test_amqp.broker.kill()
        for peer in (bus, alone):
            wait_for("the loss", lambda peer=peer: "connection: lost" in peer.log_text())
        for number in range(10):
            for peer in (bus, alone):
                answer = peer.ask(do="call", topic="conductor", version="3.0",
                                  method="object_action", args={"number": number},
                                  timeout_ms=60000, timeout=70)
                self.assertEqual(answer["event"], "result", answer)
            time.sleep(2)
        self.assertLess(answer["ms"], 15000)
        test_amqp.broker.start()
        for peer in (bus, alone):  # RabbitMQ 4.2 and later said nothing, and it is asked each minute
            wait_for("attached", peer.attached, 100)
        self.assert_serves(bus, compute, self.second.url(query))

    def test_requests_of_a_node_that_was_away(self):
        """cluster: requests in a durable queue are served when its node is back"""
        query = "?amqp_durable_queues=true&rabbit_retry_backoff=0"
        with self.only_the_first():
            self.oslo("server", "compute", test_amqp.HOST, url=self.both(query)).kill()
            bus = self.bus(self.both(), durable=True, retry_backoff=0)
        self.assertEqual(self.depth(), 0)
        for number, method in enumerate(("snapshot_instance", "reboot_instance")):
            self.publish(test_amqp.envelope(test_amqp.request(method, args={"number": number})))
        wait_for("two requests", lambda: self.depth() == 2)
        test_amqp.broker.stop()
        wait_for("it is known", lambda: "cannot be consumed" in bus.log_text())
        test_amqp.broker.start()
        compute = self.oslo("server", "compute", test_amqp.HOST, url=self.both(query))
        wait_for("both served", lambda: len(bus.events("served") + compute.events("served")) == 2)
        self.attached(bus)
        self.assert_serves(bus, compute, self.second.url(query))


if __name__ == "__main__":
    tap.main()
