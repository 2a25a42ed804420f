# SPDX-License-Identifier: Apache-2.0
"""One cell: a RabbitMQ of its own, a nova-compute for each host, a conductor, somebody who casts."""

import collections
import json
import os
import signal
import time
import uuid

from peers import Broker, Peer, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
DURABLE = "?amqp_durable_queues=true"
PROCESSES = 4  # of nova-computes: a Python for each host would need the memory of all hosts
START_S = 180
SETTLE_S = 240
QUIET_S = 10
COLLECTED = "[erlang:garbage_collect(P) || P <- erlang:processes()], erlang:memory(total)."

Usage = collections.namedtuple("Usage", "connections channels queues broker_kib")


class Cell:
    def __init__(self, hosts, durable):
        self.hosts = hosts
        self.durable = durable
        self.broker = Broker()
        self.url = self.broker.url(DURABLE if durable else "")
        self.peers = []
        self.conductor = self.peer("conductor")
        self.caster = self.peer("caster")
        self.computes = []

    def peer(self, role, *hosts):
        peer = Peer("/usr/bin/python3", f"{HERE}/oslo_hosts.py", self.url, role, *hosts)
        self.peers.append(peer)
        if not hosts:
            peer.wait("started", START_S)
        return peer

    def start_computes(self):
        """At the same time, each of them a share."""
        self.computes = [self.peer("computes", *self.hosts[n::PROCESSES])
                         for n in range(PROCESSES) if self.hosts[n::PROCESSES]]
        for peer in self.computes:
            peer.wait("started", START_S)

    def usage(self):
        rows = json.loads(self.broker.ctl("list_connections", "channels", "--formatter", "json"))
        return Usage(len(rows), sum(row["channels"] for row in rows), len(self.broker.queues()),
                     int(self.broker.ctl("eval", COLLECTED)) // 1024)

    def wait_consumers(self, number):
        """Until each host's queue has as many, and nothing waits in it."""
        def ready():
            queues = self.broker.queues()
            return all(queues.get(f"compute.{host}") == (0, number) for host in self.hosts)
        begun = time.monotonic()
        wait_for(f"{number} consumers of each of {len(self.hosts)} queues", ready, START_S)
        return time.monotonic() - begun

    def kill_broker(self):
        """Without a word; then it is started again."""
        with open(f"{self.broker.folder}/pid", encoding="ascii") as pid:
            os.kill(int(pid.read()), signal.SIGKILL)
        self.broker.start()

    def close(self):
        for peer in self.peers:
            peer.kill()
        self.broker.close()


class Burst:
    """`count` casts over all hosts, one after another as fast as oslo sends; what became of them."""

    def __init__(self, cell, fleet, count, kill):
        self.cell = cell
        self.fleet = fleet
        self.casts = [(cell.hosts[n % len(cell.hosts)], str(uuid.uuid4())) for n in range(count)]
        begun = time.monotonic()
        halves = len(cell.caster.events("half"))
        number = cell.caster.send(casts=self.casts)
        if kill:
            wait_for("half of them", lambda: len(cell.caster.events("half")) > halves, START_S)
            cell.kill_broker()
        self.unsent = dict(cell.caster.answer(number, START_S)["unsent"])
        self.sent_s = time.monotonic() - begun
        self.await_end()
        self.ended_s = self.changed - begun

    def served_by_computes(self):
        return [event["image"] for peer in self.cell.computes for event in peer.events("served")]

    def count_served(self):
        images = {image for _, image in self.casts}
        self.by_compute = [image for image in self.served_by_computes() if image in images]
        ended = self.fleet.served() if self.fleet else []
        self.by_agent = [image for image in ended if image in images]
        self.times = collections.Counter(self.by_compute + self.by_agent)

    def await_end(self):
        """Until nothing has come for a while, and no agent is at anything."""
        self.changed = time.monotonic()
        deadline = self.changed + SETTLE_S
        last = 0
        while time.monotonic() < deadline:
            self.count_served()
            now = time.monotonic()
            if self.times.total() != last:
                last, self.changed = self.times.total(), now
            elif now - self.changed > QUIET_S and not (self.fleet and self.fleet.records()):
                return
            time.sleep(0.5)
        raise AssertionError(f"after {SETTLE_S} s requests are still under way")

    def lost(self):
        return [image for _, image in self.casts
                if not self.times[image] and image not in self.unsent]

    def twice(self):
        return [image for image, times in self.times.items() if times > 1]

    def unheard(self):
        """Ended by an agent, and nova-conductor has heard nothing of it."""
        begun = {event["image"] for event in self.cell.conductor.events("begun")}
        return [image for image in self.by_agent if image not in begun]
