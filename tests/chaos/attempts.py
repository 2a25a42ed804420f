# SPDX-License-Identifier: Apache-2.0
"""One snapshot on its way, as its tenant knows it: ids, and whether it has come to its end."""

import json

import checker
import content
from lab import cast_snapshot, sql


class ImageAttempt:
    event = "compute_snapshot_instance"

    def __init__(self, cloud, server, has_agent=False):
        self.cloud, self.server, self.has_agent = cloud, server, has_agent
        self.image = self.request_id = None
        self.judged = {}

    def prepare(self):
        """What has to be there before the request itself."""

    def start(self):
        self.image, self.request_id = self.cloud.create_image(self.server, "chaos")
        return self

    def settled(self):
        if self.event and not checker.event_row(self.request_id, self.event)[1]:
            return False
        row = checker.instance_row(self.server)
        return row["gone"] or (not row["task_state"] and
                               checker.image_status(self.image) in ("active", "gone"))

    def told(self):
        if self.image == "none":
            return "refused"
        result = self.event and checker.event_row(self.request_id, self.event)[0]
        return f"{result or 'no result'}, image {checker.image_status(self.image)}"

    def judge(self, before, expect):
        return checker.judge_image(before, self, expect)

    def defects(self, before):
        """Read once: an active image does not change."""
        if self.image not in self.judged:
            disk = before.facts["disks"].get("vda") if before.facts else None
            self.judged[self.image] = content.image_defects(self.image, self.server, disk,
                                                             self.has_agent)
        return self.judged[self.image]

    def snapshots(self):
        return []

    def clean(self):
        self.cloud.glance("DELETE", f"/v2/images/{self.image}", ok=False)
        if self.image in self.cloud.images:
            self.cloud.images.remove(self.image)


class DirectAttempt(ImageAttempt):
    """The root disk and the image are in Ceph."""

    def defects(self, before):
        return content.direct_image_defects(self.image, self.server)


class BackupAttempt(ImageAttempt):
    event = "compute_backup_instance"

    def start(self):
        answer = self.cloud.nova("POST", f"/servers/{self.server}/action", {
            "createBackup": {"name": "chaos", "backup_type": "daily", "rotation": 2}})
        self.image = answer.json()["image_id"]
        self.request_id = answer.headers["x-openstack-request-id"]
        return self


class VolumeBackedAttempt(ImageAttempt):
    """nova-api makes the image; the host freezes the guest and snapshots the NFS volume."""
    event = "api_snapshot_instance"

    def start(self):
        answer = self.cloud.nova("POST", f"/servers/{self.server}/action",
                                 {"createImage": {"name": "chaos"}}, ok=False)
        self.request_id = answer.headers["x-openstack-request-id"]
        if answer.status_code == 202:
            self.image = answer.json()["image_id"]
        else:  # refused before anything began: the tenant is told so
            self.image, self.event = "none", None
        return self

    def settled(self):
        known = checker.volume_snapshots()
        return super().settled() and all(known.get(s) != "creating" for s in self.snapshots())

    def defects(self, before):
        return []

    def snapshots(self):
        """What the image's record refers to."""
        rows = sql("SELECT value FROM glance.image_properties WHERE deleted = 0 AND name = "
                   f"'block_device_mapping' AND image_id = '{self.image}'")
        return [m["snapshot_id"] for m in json.loads(rows[0][0])] if rows else []

    def clean(self):
        snapshots = self.snapshots()
        super().clean()
        for snapshot in snapshots:
            self.cloud.delete_volume_snapshot(snapshot, 60)


class CastAttempt(VolumeBackedAttempt):
    """snapshot_instance itself for a server booted from a volume."""
    event = "compute_snapshot_instance"

    def start(self):
        self.image = cast_snapshot(self.cloud, self.cloud.env["LAB_HOST"], self.server)
        self.request_id = sql(
            "SELECT request_id FROM instance_actions WHERE instance_uuid = "
            f"'{self.server}' ORDER BY id DESC LIMIT 1")[0][0]
        return self


class LayerAttempt:
    """Cinder's own snapshot of an attached volume."""

    def __init__(self, cloud, server, volume):
        self.cloud, self.server, self.volume = cloud, server, volume
        self.snapshot = None

    def prepare(self):
        pass

    def start(self):
        body = {"snapshot": {"volume_id": self.volume, "name": "chaos", "force": True}}
        self.snapshot = self.cloud.cinder("POST", "/snapshots", body).json()["snapshot"]["id"]
        return self

    def status(self):
        return checker.volume_snapshots().get(self.snapshot, "gone")

    def settled(self):
        return self.status() in ("available", "error", "error_deleting", "gone")

    def told(self):
        return f"volume snapshot {self.status()}"

    def judge(self, before, expect):
        """Available and a layer of its own, or in error and no layer."""
        del expect
        status = self.status()
        if status == "creating":
            return [("stuck", "volume snapshot creating")]
        extra = set(checker.volume_snapshots()) - before.snapshots - {self.snapshot}
        found = [("leaked", f"unknown volume snapshot {s}") for s in extra]
        top = content.layers(self.volume)[:1]
        if status == "available" and top != [f"volume-{self.volume}.{self.snapshot}"]:
            found.append(("lost", f"available, but the guest writes to {top}"))
        return found + judge_source(self.server, self.volume)

    def clean(self):
        self.cloud.delete_volume_snapshot(self.snapshot, 60)


class MergeAttempt(LayerAttempt):
    """Cinder deletes a snapshot of an attached volume: its layer is taken out."""

    def prepare(self):
        super().start()
        self.cloud.wait_snapshot(self.snapshot, 60)

    def start(self):
        self.cloud.cinder("DELETE", f"/snapshots/{self.snapshot}")
        return self

    def settled(self):
        return self.status() in ("gone", "error_deleting", "error")

    def judge(self, before, expect):
        del expect
        status = self.status()
        if status == "deleting":
            return [("stuck", "volume snapshot deleting")]
        found = judge_source(self.server, self.volume)
        if status == "gone" and len(content.layers(self.volume)) != 1:
            found.append(("leaked", "the layer of a deleted snapshot"))
        return found


def judge_source(server, volume):
    """The guest, its definition and Cinder agree on the file it writes to."""
    import guest
    now = guest.facts(server)
    if not now:
        return []
    files = [f.rsplit("/", 1)[-1] for f in now["disks"].values() if f and volume in f]
    active = content.info_of(volume)["active"]
    return [] if files == [active] else [("lost", f"the guest writes to {files}, Cinder says {active}")]
