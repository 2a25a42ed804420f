# SPDX-License-Identifier: Apache-2.0
"""One cell: a RabbitMQ of its own, a nova-compute for each host, a conductor, somebody who casts."""

import collections
import json
import os
import signal
import time

from names import host_name, new_server
from peers import Broker, Peer, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
DURABLE = "?amqp_durable_queues=true"
PROCESSES = 4  # of nova-computes: a Python for each host would need the memory of all hosts
START_S = 300
SETTLE_S = 120
QUIET_S = 10
COLLECTED = "[erlang:garbage_collect(P) || P <- erlang:processes()], erlang:memory(total)."

Usage = collections.namedtuple("Usage", "connections channels queues broker_kib")


class SparingBroker(Broker):
    """RabbitMQ's own buffers are as large as the kernel's, over loopback 4 MiB a connection: here
    they are what its guide to many connections advises."""

    def start(self, *peer):
        if not getattr(self, "is_sparing", False):
            with open(f"{self.folder}/options", "a", encoding="ascii") as options:
                options.write("tcp_listen_options.sndbuf = 32768\n"
                              "tcp_listen_options.recbuf = 32768\n")
        self.is_sparing = True
        super().start(*peer)


def connecting_pid(row):
    """Both oslo.messaging and the agent name a connection program:pid:id."""
    names = [value for key, _, value in row["client_properties"] if key == "connection_name"]
    return int(names[0].split(":")[1])


class Cell:
    def __init__(self, n_hosts, durable):
        self.hosts = [host_name(number) for number in range(n_hosts)]
        self.broker = SparingBroker()
        self.url = self.broker.url(DURABLE if durable else "")
        self.peers = []
        self.computes = []

    def start(self):
        self.conductor = self.peer("conductor")
        self.caster = self.peer("caster")

    def peer(self, role, *hosts):
        peer = Peer("/usr/bin/python3", f"{HERE}/oslo_hosts.py", self.url, role, *hosts)
        self.peers.append(peer)
        if not hosts:
            peer.wait("started", START_S)
        return peer

    def start_computes(self):
        """At the same time; each has its share of the hosts."""
        self.computes = [self.peer("computes", *self.hosts[n::PROCESSES])
                         for n in range(PROCESSES) if self.hosts[n::PROCESSES]]
        for peer in self.computes:
            peer.wait("started", START_S)

    def usage(self, of_pids):
        """Of the broker; connections and channels of these processes alone."""
        rows = json.loads(self.broker.ctl("list_connections", "channels", "client_properties",
                                          "--formatter", "json"))
        channels = [row["channels"] for row in rows if connecting_pid(row) in of_pids]
        return Usage(len(channels), sum(channels), len(self.broker.queues()),
                     int(self.broker.ctl("eval", COLLECTED)) // 1024)

    def wait_consumers(self, number):
        """Until each host's queue has as many, and nothing waits in it."""
        def ready():
            queues = self.broker.queues()
            return all(queues.get(f"compute.{host}") == (0, number) for host in self.hosts)
        begun = time.monotonic()
        wait_for(f"{number} consumers of each of {len(self.hosts)} queues", ready, START_S)
        return time.monotonic() - begun

    def restart_broker(self):
        self.broker.stop()
        self.broker.start()

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
    """`count` casts over all hosts, as fast as oslo sends; when half are sent, `meanwhile` is called.

    Nova-conductor tells: whoever moves the task state of a server on has taken its request, and
    whoever finds that it was moved has got one that another has taken. Who has done it by the same
    message, which the broker has given out again, has not.
    """

    def __init__(self, cell, fleet, count, meanwhile=None):
        self.cell = cell
        self.fleet = fleet
        self.servers = [new_server(n % len(cell.hosts)) for n in range(count)]
        self.begun = time.monotonic()
        halves = len(cell.caster.events("half"))
        number = cell.caster.send(servers=self.servers)
        if meanwhile:
            wait_for("half of them", lambda: len(cell.caster.events("half")) > halves, START_S)
            meanwhile()
        self.unsent = dict(cell.caster.answer(number, START_S)["unsent"])
        self.sent_s = time.monotonic() - self.begun
        self.await_end()

    def told(self, event):
        """{server: who} by nova-conductor."""
        servers = set(self.servers)
        return {told["server"]: told["by"] for told in self.cell.conductor.events(event)
                if told["server"] in servers}

    def await_end(self):
        """Until nothing has come for a while, and no agent is at anything."""
        changed = time.monotonic()
        deadline = changed + SETTLE_S
        self.taken = {}
        while time.monotonic() < deadline:
            before, self.taken = len(self.taken), self.told("taken")
            now = time.monotonic()
            if len(self.taken) != before:
                changed = now
            elif now - changed > QUIET_S and not (self.fleet and self.fleet.records()):
                break
            time.sleep(0.5)
        self.taken_s = changed - self.begun
        self.under_way = self.fleet.records() if self.fleet else []

    def by(self, who):
        return sum(taker == who for taker in self.taken.values())

    def lost(self, first=0, end=None):
        return [server for server in self.servers[first:end]
                if server not in self.taken and server not in self.unsent]

    def stuck(self):
        """An agent has taken them, and their task state is there still. As nova-compute, its double
        only begins."""
        ended = self.told("ended")
        return [server for server, who in self.taken.items()
                if who == "agent" and server not in ended]

    def repeated(self):
        return len(self.told("repeated"))

    def twice(self):
        return [f"{server} by {who}" for server, who in self.told("refused").items()]
