#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Image-backed servers whose root disk is in Ceph: snapshots within the cluster, and by copy."""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import AS_NOVA, Agent, assert_nothing_left
from cloud import (LAB, REPO, Cloud, assert_same_rbd, domain_state, domain_xml, flush, image_file,
                   lab_service, rbd, run, write_pattern)


def backend(service, kind):
    run(f"{REPO}/tests/lab/backend", service, kind)


def ceph(*argv):
    return run("rbd", "--conf", f"{LAB}/etc/ceph/ceph.conf", *argv)


class RbdServer(unittest.TestCase):
    """One server for all; Glance keeps its images in files, then in Ceph."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        backend("nova-compute", "rbd")
        cls.server = cls.cloud.create_server("it-rbd", cls.cloud.image_named("lab-base"))
        write_pattern(cls.server, "0x77", "200M", "4M")

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()
        backend("glance-api", "file")
        backend("nova-compute", "file")

    def setUp(self):
        self.xml = domain_xml(self.server)

    def agent(self, options=None):
        env = self.cloud.env
        return Agent(options, files=[env["LAB_NOVA_CONF"], env["LAB_NOVA_COMPUTE_CONF"],
                                     env["LAB_NOVA_COMPUTE_RBD_CONF"]])

    def assert_unharmed(self):
        self.assertEqual(domain_state(self.server), "running")
        self.assertEqual(domain_xml(self.server), self.xml)
        self.assertEqual(json.loads(ceph("snap", "ls", f"vms/{self.server}_disk",
                                         "--format=json")), [])
        assert_nothing_left()

    def test_1_extracted(self):
        """Glance on files: suspended, copied, resumed; content equal"""
        native = self.cloud.snapshot(self.server, "same")
        self.xml = domain_xml(self.server)
        with self.agent(AS_NOVA) as agent:
            ours = self.cloud.snapshot(self.server, "same")
            self.assertIn("Performing standard snapshot because direct snapshot failed", agent.log())
        own = {"id", "self", "file", "checksum", "os_hash_value", "created_at", "updated_at",
               "direct_url"}
        self.assertEqual({k: v for k, v in ours.items() if k not in own},
                         {k: v for k, v in native.items() if k not in own})
        flush(self.server)
        run("qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", image_file(ours["id"]),
            rbd(f"vms/{self.server}_disk"))
        self.assert_unharmed()

    def test_2_direct(self):
        """Glance on Ceph: a snapshot within the cluster, content equal, as nova-compute's"""
        backend("glance-api", "rbd")
        image = self.base_in_ceph()
        server = RbdServer.direct = self.cloud.create_server("it-rbd-direct", image)
        write_pattern(server, "0x55", "300M", "4M")
        native = self.cloud.snapshot(server, "same")
        with self.agent(AS_NOVA) as agent:
            ours = self.cloud.snapshot(server, "same")
            self.assertIn("Snapshot taken within the cluster", agent.log())
            self.assertNotIn("the guest was down", agent.log())
        own = {"id", "self", "file", "checksum", "os_hash_value", "created_at", "updated_at",
               "direct_url", "locations"}
        self.assertEqual({k: v for k, v in ours.items() if k not in own},
                         {k: v for k, v in native.items() if k not in own})
        flush(server)
        assert_same_rbd(f"images/{ours['id']}@snap", f"vms/{server}_disk")
        info = json.loads(ceph("info", f"images/{ours['id']}", "--format=json"))
        self.assertNotIn("parent", info)
        self.assertEqual(json.loads(ceph("snap", "ls", f"vms/{server}_disk", "--format=json")), [])
        self.assertEqual(domain_state(server), "running")
        second = self.cloud.create_server("it-from-rbd", ours["id"])
        flush(second)
        assert_same_rbd(f"vms/{second}_disk", f"images/{ours['id']}@snap")
        self.cloud.delete_server(second)

    def test_3_locations_hidden(self):
        """show_multiple_locations is off: Glance's own API takes them since 2.17, else a copy"""
        versions = self.cloud.glance("GET", "/versions", ok=False).json()["versions"]
        takes = "v2.17" in {version["id"] for version in versions}
        self.show_locations("false")
        self.addCleanup(self.show_locations, "true")
        with self.agent() as agent:
            ours = self.cloud.snapshot(self.direct, "hidden")
            self.assertIn("Snapshot taken within the cluster" if takes else
                          "Performing standard snapshot because direct snapshot failed", agent.log())
        flush(self.direct)
        assert_same_rbd(f"images/{ours['id']}@snap", f"vms/{self.direct}_disk")
        self.assertEqual(json.loads(ceph("snap", "ls", f"vms/{self.direct}_disk",
                                         "--format=json")), [])

    def show_locations(self, value):
        path = f"{LAB}/etc/glance/glance-api-rbd.conf"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub("(?<=show_multiple_locations = ).*", value, text))
        lab_service("restart", "glance-api")

    def base_in_ceph(self):
        """A raw image that Glance keeps in the cluster: disks are clones of it."""
        path = f"{LAB}/run/it-base.raw"
        run("qemu-img", "convert", "-O", "raw", f"{LAB}/guest/disk.qcow2", path)
        image = self.cloud.glance("POST", "/v2/images", json={
            "name": "it-base-rbd", "disk_format": "raw", "container_format": "bare"}).json()["id"]
        self.cloud.images.append(image)
        with open(path, "rb") as data:
            self.cloud.glance("PUT", f"/v2/images/{image}/file", data=data,
                              headers={"Content-Type": "application/octet-stream"})
        os.unlink(path)
        return image

    def test_4_ceph_unknown(self):
        """a cluster that cannot be reached: given up in time, the guest untouched"""
        with self.agent({"libvirt": {"images_rbd_ceph_conf": "/nonexistent/ceph.conf"}}) as agent:
            image, request_id = self.cloud.create_image(self.server, "no-ceph")
            event = self.cloud.wait_event(self.server, request_id)
            self.assertEqual(event["result"], "Error", agent.log())
            self.cloud.wait_server(self.server, "ACTIVE")
            self.assertIsNone(self.cloud.image(image))
        self.assert_unharmed()


if __name__ == "__main__":
    tap.main()
