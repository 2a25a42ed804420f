#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of an attached NFS volume, which Cinder takes with the help of the compute host."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import Agent
from cloud import (LAB, Cloud, block_jobs, disk_io, domain_state, domain_xml, run, wait_for,
                   write_pattern)


def volume_file(volume):
    """What the guest writes to, and the layers below it."""
    with open(f"{LAB}/nfs/volume-{volume}.info", encoding="utf-8") as info:
        active = json.load(info)["active"]
    chain = json.loads(run("qemu-img", "info", "-U", "--backing-chain", "--output=json",
                           f"{LAB}/nfs/{active}"))
    return [os.path.basename(layer["filename"]) for layer in chain]


class Assisted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-assisted", cls.cloud.image_named("lab-base"))
        cls.volume = cls.cloud.create_volume("it-nfs", "nfs")
        cls.cloud.attach(cls.server, cls.volume)

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def source(self):
        xml = run("virsh", "-c", "qemu:///system", "domblklist", self.server)
        return next(os.path.basename(line.split()[1]) for line in xml.splitlines()
                    if line.strip().startswith("vdb"))

    def connection_name(self):
        done = run("mariadb", "--no-defaults", "--user=root", f"--socket={LAB}/mariadb/mariadb.sock",
                   "--batch", "--skip-column-names", "-e",
                   "SELECT connection_info FROM nova.block_device_mapping WHERE volume_id = "
                   f"'{self.volume}' AND deleted = 0")
        return json.loads(done)["data"]["name"]

    def round_trip(self, order):
        """Two snapshots with data between them, deleted in an order; the data stays."""
        write_pattern(self.server, "0x01", "1M", "1M", "vdb")
        one = self.cloud.create_volume_snapshot(self.volume, "one")
        self.assertEqual(self.source(), f"volume-{self.volume}.{one}")
        write_pattern(self.server, "0x02", "2M", "1M", "vdb")
        two = self.cloud.create_volume_snapshot(self.volume, "two")
        self.assertEqual(self.source(), f"volume-{self.volume}.{two}")
        wait_for("connection_info of the new file",
                 lambda: self.connection_name() == f"volume-{self.volume}.{two}")
        write_pattern(self.server, "0x03", "3M", "1M", "vdb")
        snapshots = {"one": one, "two": two}
        for name in order:
            self.cloud.delete_volume_snapshot(snapshots[name])
        self.assertEqual(len(volume_file(self.volume)), 1)
        self.assertEqual(self.source(), volume_file(self.volume)[0])
        self.assertIn("No current block job", block_jobs(self.server))
        self.assertEqual(domain_state(self.server), "running")
        domain_xml(self.server)
        for pattern, offset in (("0x01", "1M"), ("0x02", "2M"), ("0x03", "3M")):
            disk_io(self.server, "vdb", f"read -P {pattern} {offset} 1M")

    def test_oldest_first(self):
        """created twice, deleted oldest first: commit, then pull"""
        with Agent() as agent:
            self.round_trip(["one", "two"])
            self.assertEqual(agent.log().count("has its new layer"), 2)
            self.assertEqual(agent.log().count("is without the layer"), 2)

    def test_newest_first(self):
        """created twice, deleted newest first: pull, then pull"""
        with Agent() as agent:
            self.round_trip(["two", "one"])
            self.assertEqual(agent.log().count("is without the layer"), 2)

    def test_guest_stopped_meanwhile(self):
        """a layer of a stopped server's volume is taken out offline"""
        with Agent():
            one = self.cloud.create_volume_snapshot(self.volume, "offline")
            self.cloud.action(self.server, "os-stop", wait="SHUTOFF")
            try:
                self.cloud.delete_volume_snapshot(one)
            finally:
                self.cloud.action(self.server, "os-start", wait="ACTIVE")
        self.assertEqual(len(volume_file(self.volume)), 1)
        disk_io(self.server, "vdb", "read -P 0x03 3M 1M")

    def test_no_domain(self):
        """the hypervisor knows no such guest: Cinder is told at once, the volume is as before"""
        xml = domain_xml(self.server)
        layers = volume_file(self.volume) if os.path.exists(
            f"{LAB}/nfs/volume-{self.volume}.info") else None
        run("virsh", "-c", "qemu:///system", "destroy", self.server)
        run("virsh", "-c", "qemu:///system", "undefine", self.server)
        try:
            with Agent() as agent:
                body = {"snapshot": {"volume_id": self.volume, "name": "none", "force": True}}
                snapshot = self.cloud.cinder("POST", "/snapshots", body).json()["snapshot"]["id"]
                wait_for("snapshot in error", lambda: self.cloud.cinder(
                    "GET", f"/snapshots/{snapshot}").json()["snapshot"]["status"] == "error", 60)
                self.assertIn(self.server, agent.log())
                self.assertNotIn(" ERROR ", agent.log())
        finally:
            path = f"{LAB}/run/it-assisted.xml"
            with open(path, "w", encoding="utf-8") as out:
                out.write(xml)
            run("virsh", "-c", "qemu:///system", "define", path)
            os.unlink(path)
            self.cloud.action(self.server, "reboot", {"type": "HARD"}, wait="ACTIVE")
        if layers:
            self.assertEqual(volume_file(self.volume), layers)
        self.cloud.delete_volume_snapshot(snapshot)


if __name__ == "__main__":
    tap.main()
