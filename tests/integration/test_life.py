#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent's life: signals and the service manager, with a private RabbitMQ.

Needs no lab: the requests it takes wait for a nova-conductor that is not there.
"""

import os
import shutil
import signal
import sys
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from alone import QUEUE, AloneTest
from peers import PATIENCE_S, wait_for


class LifeTest(AloneTest):
    def test_status(self):
        """life: ready, attached, detached, trying, and an end in order"""
        compute = self.nova_compute()
        self.start()
        self.manager.wait("READY=1")
        self.attached()
        self.assertEqual(len(self.manager.heard("READY=1")), 1)
        compute.kill()
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running")
        self.broker.ctl("stop_app")
        try:
            self.manager.wait("STATUS=trying to connect to RabbitMQ")
            beats = len(self.manager.heard("WATCHDOG=1"))
            self.manager.wait("WATCHDOG=1", beats + 3)  # not being connected is no reason to die
        finally:
            self.broker.ctl("start_app")
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running", 2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0)
        self.assertEqual(len(self.manager.heard("STOPPING=1")), 1)
        self.manager.wait("STATUS=ending: ")

    def test_without_a_broker(self):
        """life: ready although there is no broker yet"""
        self.broker.ctl("stop_app")
        try:
            self.start()
            self.manager.wait("READY=1")
            self.manager.wait("STATUS=trying to connect to RabbitMQ")
        finally:
            self.broker.ctl("start_app")
        self.nova_compute()
        self.attached()

    def test_nobody_listens(self):
        """life: without a service manager nothing is told and an idle agent sleeps"""
        self.nova_compute()
        self.manager.path = ""
        self.start(watchdog_ms=0)
        self.wait_log("attached to")
        self.assertEqual(self.manager.heard(), [])
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            print(next(f"# idle agent: {line.strip()}" for line in status if "VmRSS" in line))

    def test_reload(self):
        """life: SIGHUP applies what it can, names what it cannot, refuses what is bad"""
        self.nova_compute()
        self.start()
        self.attached()
        self.configure(debug="true", max_concurrent_snapshots=2, rpc_response_timeout=7)
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("debug = true, max_concurrent_snapshots = 2, max_concurrent_disk_ops = 0")
        self.wait_log("needs a restart: [DEFAULT]rpc_response_timeout\n")
        self.manager.wait("READY=1", 2)
        order = [message.split("=")[0] for message in self.manager.heard()]
        self.assertLess(order.index("RELOADING"), len(order) - 1 - order[::-1].index("READY"))
        self.assertRegex(self.manager.heard("RELOADING=1")[0], r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        with open(f"{self.folder}/nova.conf", "a", encoding="utf-8") as out:
            out.write("no_such_option = 1\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("the configuration stays as it was")
        self.manager.wait("READY=1", 3)
        os.unlink(f"{self.folder}/nova.conf")
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("the configuration stays as it was", 2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0)

    def test_what_runs_has_its_time(self):
        """life: SIGTERM waits for what runs, SIGHUP does not disturb it, more time is asked for"""
        self.nova_compute()
        conductor = self.peer("conductor", "gone")
        self.start()
        self.attached()
        self.cast_snapshot()
        conductor.wait("served")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGTERM)
        self.manager.wait(f"STATUS=ending: detached from {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.process.wait(PATIENCE_S), 0, self.log())
        self.assertIn("Instance disappeared during snapshot", self.log())
        self.assertEqual(self.records(), [])
        self.assertEqual(self.manager.heard("RELOADING"), [])
        self.assertTrue(self.manager.heard("EXTEND_TIMEOUT_USEC=30000000"))

    def test_what_does_not_end(self):
        """life: what has not ended within graceful_shutdown_timeout is left, new requests are not taken"""
        compute = self.nova_compute()
        self.start(graceful_shutdown_timeout=15, rpc_response_timeout=60)
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGTERM)
        self.manager.wait(f"STATUS=ending: detached from {QUEUE}, 1 running")
        self.cast_snapshot()
        compute.wait("served", method="snapshot_instance")
        self.assertIsNone(self.process.poll())
        self.assertEqual(self.process.wait(PATIENCE_S), 1)
        self.wait_log("1 requests did not end within graceful_shutdown_timeout (15 s)")

    def test_a_bad_host_with_requests_left(self):
        """life: a host that is not fit for snapshots is nova-compute's, with what was left unbegun"""
        compute = self.nova_compute()
        self.start()
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.kill()
        self.process.wait()
        self.start(snapshots="/proc/none")
        self.wait_log("this host cannot take snapshots, requests go to nova-compute until it can: "
                      "snapshots_directory cannot be used")
        self.manager.wait("READY=1", 2)
        # How many run is told each half second; what was left goes sooner.
        wait_for("a status that tells why", lambda: any(
            "running, cannot take snapshots: snapshots_directory cannot be used" in status
            for status in self.manager.heard(f"STATUS=detached from {QUEUE}, ")))
        self.cast_snapshot(str(uuid.uuid4()))
        wait_for("nova-compute to serve both", lambda: len(compute.events("served")) == 2)
        wait_for("an empty journal", lambda: self.records() == [])

    def test_a_host_that_becomes_fit(self):
        """life: an agent that has stood aside serves again once the host is right"""
        self.nova_compute()
        os.mkdir(f"{self.folder}/bin")
        self.start(path=f"{self.folder}/bin")
        self.wait_log("qemu-img: qemu-img is not to be found")
        self.assertEqual(self.manager.heard("STATUS=attached"), [])
        for program in "qemu-img", "qemu-nbd":
            os.symlink(shutil.which(program), f"{self.folder}/bin/{program}")
        self.wait_log("this host can take snapshots again")
        self.attached()
        self.assertEqual(self.log().count("this host cannot take snapshots"), 1)

    def test_drain(self):
        """life: SIGUSR1 leaves new requests to nova-compute, ends those that run, and stays"""
        compute = self.nova_compute()
        conductor = self.peer("conductor", "gone")
        self.start()
        self.attached()
        self.cast_snapshot()
        conductor.wait("served")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("drained: no request is taken until nova-snapshot resume or the next start, 1 are under way")
        self.cast_snapshot(str(uuid.uuid4()))
        compute.wait("served", method="snapshot_instance")
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running")
        self.assertEqual(len(compute.events("served")), 1)
        self.assertEqual(self.records(), [])
        self.assertIsNone(self.process.poll())
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0)

    def test_drain_alone(self):
        """life: SIGUSR1 where there is no nova-compute: requests wait for the next start"""
        self.start(attach="exclusive")
        self.attached()
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("drained: no request is taken until")
        self.cast_snapshot()
        wait_for("a request that waits", lambda: self.broker.queues()[QUEUE] == (1, 0))
        self.assertEqual(self.records(), [])
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0)
        self.start(attach="exclusive")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")

    def two_requests(self, server=None, **options):
        """One waits for nova-conductor, the other, of another server, for the only slot."""
        self.start(max_concurrent_snapshots=1, graceful_shutdown_timeout=15,
                   rpc_response_timeout=60, **options)
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.cast_snapshot(server)
        self.manager.wait(f"STATUS=attached to {QUEUE}, 2 running")

    def test_what_waits_goes_back(self):
        """life: a request that waits for its slot is handed back to nova-compute, at once"""
        compute = self.nova_compute()
        self.two_requests(str(uuid.uuid4()))
        self.process.send_signal(signal.SIGTERM)
        compute.wait("served", method="snapshot_instance")
        self.assertIsNone(self.process.poll())
        self.assertEqual(self.process.wait(PATIENCE_S), 1)  # the other one still waits
        self.assertEqual(len(compute.events("served")), 1)
        self.assertIn("snapshot_instance is handed back to nova-compute", self.log())

    def test_what_waits_for_its_turn_stays(self):
        """life: a second request on a server stays with the first one: nova-compute may not meet it"""
        compute = self.nova_compute()
        self.two_requests()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 1)
        self.assertEqual(compute.events("served"), [])
        self.assertEqual(len(self.records()), 2)

    def test_what_waits_without_a_broker(self):
        """life: a request that cannot be handed back is the next agent's"""
        self.nova_compute()
        self.two_requests(str(uuid.uuid4()))
        self.broker.ctl("stop_app")
        try:
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.process.wait(PATIENCE_S), 1)
        finally:
            self.broker.ctl("start_app")
        self.assertEqual(len(self.records()), 2)


if __name__ == "__main__":
    tap.main()
