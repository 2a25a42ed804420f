#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""openstack server backup create --rotate: which backups stay."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import AS_NOVA, Agent, assert_nothing_left
from cloud import Cloud, assert_same_content, wait_for


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.server = cls.cloud.create_server("it-backup", cls.cloud.image_named("lab-base"))

    @classmethod
    def tearDownClass(cls):
        cls.cloud.clean()

    def backups(self, kind):
        query = f"image_type=backup&backup_type={kind}&instance_uuid={self.server}"
        return {i["id"] for i in
                self.cloud.glance("GET", f"/v2/images?{query}").json()["images"]}

    def test_rotation(self):
        """three backups with --rotate 2: the oldest is gone, as with nova-compute"""
        with Agent() as agent:
            other = self.cloud.backup(self.server, "other", "weekly", 1)["id"]
            made = [self.cloud.backup(self.server, f"daily-{i}", "daily", 2)["id"]
                    for i in range(3)]
            self.assertEqual(self.backups("daily"), set(made[1:]))
            self.assertEqual(self.backups("weekly"), {other})
            self.assertIn(f"Deleting backup {made[0]}", agent.log())
        assert_same_content(made[2], "qcow2", self.server)
        native = [self.cloud.backup(self.server, f"native-{i}", "native", 2)["id"]
                  for i in range(3)]
        self.assertEqual(self.backups("native"), set(native[1:]))
        assert_nothing_left()

    def test_same_record_as_nova(self):
        """the backup's record equals that of nova-compute, property by property"""
        own = {"id", "self", "file", "checksum", "os_hash_value", "created_at", "updated_at",
               "size", "direct_url", "locations"}
        native = self.cloud.backup(self.server, "same", "same", 9)
        with Agent(AS_NOVA):
            ours = self.cloud.backup(self.server, "same", "same", 9)
        self.assertEqual({k: v for k, v in ours.items() if k not in own},
                         {k: v for k, v in native.items() if k not in own})

    def test_rotate_0(self):
        """--rotate 0 keeps none, the new one included"""
        with Agent() as agent:
            answer = self.cloud.nova("POST", f"/servers/{self.server}/action", {"createBackup": {
                "name": "none", "backup_type": "none", "rotation": 0}})
            self.cloud.wait_event(self.server, answer.headers["x-openstack-request-id"],
                                  "compute_backup_instance")
            agent.wait_log("Deleting backup", 30)
        wait_for("end of all backups", lambda: not self.backups("none"))
        self.cloud.wait_server(self.server, "ACTIVE")

    def test_backups_an_administrator_asks_for(self):
        """an administrator's backups of a tenant's server are rotated, with the tenant's own"""
        demo = Cloud("demo-openrc.sh")
        try:
            server = demo.create_server("it-backup-demo", self.cloud.image_named("lab-base"))
            query = f"/v2/images?image_type=backup&instance_uuid={server}"
            with Agent():
                made = [self.cloud.backup(server, f"admin-{i}", "daily", 2)["id"]
                        for i in range(4)]
                left = {i["id"] for i in self.cloud.glance("GET", query).json()["images"]}
                self.assertEqual(left, set(made[2:]))
                demo.backup(server, "tenant", "daily", 9)
                last = self.cloud.backup(server, "admin-last", "daily", 1)["id"]
                left = {i["id"] for i in self.cloud.glance("GET", query).json()["images"]}
                self.assertEqual(left, {last})
        finally:
            demo.clean()

    def test_image_shared_by_another_project(self):
        """an image that looks like a backup but is another project's is neither counted nor deleted"""
        demo = Cloud("demo-openrc.sh")
        fake = demo.glance("POST", "/v2/images", json={
            "name": "look-alike", "disk_format": "raw", "container_format": "bare",
            "image_type": "backup", "backup_type": "shared", "instance_uuid": self.server,
            "visibility": "shared"}).json()["id"]
        demo.images.append(fake)
        demo.glance("PUT", f"/v2/images/{fake}/file", data=b"x" * 512,
                    headers={"Content-Type": "application/octet-stream"})
        try:
            with Agent():
                made = self.cloud.backup(self.server, "shared", "shared", 1)["id"]
            self.assertIn(made, self.backups("shared"))
            self.assertIsNotNone(demo.image(fake))
        finally:
            demo.clean()


if __name__ == "__main__":
    tap.main()
