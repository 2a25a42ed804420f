# SPDX-License-Identifier: Apache-2.0
"""A nova-compute of bare AMQP: it takes requests, acks them, and can stall or be killed."""

import json
import threading
import time

import amqp


class FakeCompute:
    """One consumer of `queue`, in a thread of its own.

    What it has acked is in `served`: number -> how often; `late_ms` has how long each took to come.
    `returns` has the most returns that a request had behind it (x-delivery-count).
    """

    def __init__(self, port, queue, prefetch, served, acks=True):
        self.connection = amqp.Connection(f"127.0.0.1:{port}", "guest", "guest")
        self.connection.connect()
        self.channel = self.connection.channel()
        if prefetch:
            self.channel.basic_qos(0, prefetch, False)
        self.served = served
        self.late_ms = []
        self.returns = 0
        self.acks = acks
        self.held = []
        self.awake = threading.Event()
        self.awake.set()
        self.over = False
        self.channel.basic_consume(queue, callback=self.take)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def take(self, message):
        late_ms = (time.monotonic() - message_args(message)["sent"]) * 1000
        self.late_ms.append(late_ms)
        count = (message.properties.get("application_headers") or {}).get("x-delivery-count", 0)
        self.returns = max(self.returns, count)
        self.held.append(message)
        self.settle()

    def settle(self):
        while self.acks and self.held:
            self.ack(self.held.pop(0))

    def ack(self, message):
        message.channel.basic_ack(message.delivery_tag)
        number = message_args(message)["number"]
        self.served[number] = self.served.get(number, 0) + 1

    def let_go(self):
        """Acks what it has held and whatever comes."""
        self.acks = True

    def run(self):
        while not self.over:
            self.awake.wait()
            self.settle()
            try:
                self.connection.drain_events(timeout=0.2)
            except TimeoutError:
                pass
            except (OSError, amqp.exceptions.AMQPError):
                return

    def stall(self):
        """Stays connected and reads nothing more."""
        self.awake.clear()

    def resume(self):
        self.awake.set()

    def kill(self):
        """Its connection ends without a word: what it has not acked goes back to the queue."""
        self.over = True
        self.awake.set()
        self.thread.join()
        self.connection.transport.sock.close()


def message_args(message):
    return json.loads(json.loads(message.body)["oslo.message"])["args"]
