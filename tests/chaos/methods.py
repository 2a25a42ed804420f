# SPDX-License-Identifier: Apache-2.0
"""The ways a snapshot is taken, each with the server and the agent's options it needs."""

from dataclasses import dataclass

import attempts


@dataclass(frozen=True)
class Method:
    name: str
    kind: str      # of server
    options: str   # of the agent
    attempt: type
    never: tuple = ()  # components whose failpoints it cannot pass: not tried

    def may_pass(self, point):
        return point.split(":")[0] not in self.never

    def new_attempt(self, cloud, server):
        if issubclass(self.attempt, attempts.LayerAttempt):
            return self.attempt(cloud, server.id, server.volumes[0])
        return self.attempt(cloud, server.id, server.has_agent)


# recover is passed by an agent that starts after a death.
NOT_DISK = ("direct", "recover", "volume", "volumes", "merge")
NOT_LIVE = (*NOT_DISK, "stream", "cold")
NOT_COLD = (*NOT_DISK, "stream", "live")
NOT_STREAM = (*NOT_DISK, "live", "cold")
NOT_VOLUME = ("direct", "recover", "live", "stream", "cold", "disk")
NOT_API = (*NOT_VOLUME, "snapshot", "volumes", "upload", "end")  # nova-api does those
NOT_DIRECT = ("recover", "live", "stream", "cold", "volume", "volumes", "disk", "upload")
NOT_LAYER = (*NOT_VOLUME, "snapshot", "volumes", "upload", "end")

METHODS = [
    Method("live running", "plain", "live", attempts.ImageAttempt, NOT_LIVE),
    Method("live paused", "paused", "live", attempts.ImageAttempt, NOT_LIVE),
    Method("stopped", "stopped", "live", attempts.ImageAttempt, NOT_COLD),
    Method("backup", "plain", "live", attempts.BackupAttempt, NOT_LIVE),
    Method("quiesced", "agent", "live", attempts.ImageAttempt, NOT_LIVE),
    Method("volume-backed", "booted-from-volume", "live", attempts.VolumeBackedAttempt, NOT_API),
    Method("volume-backed cast", "booted-from-ceph", "live", attempts.CastAttempt, NOT_VOLUME),
    Method("volume snapshot", "with-volume", "live", attempts.LayerAttempt, NOT_LAYER),
    Method("volume merge", "with-volume", "live", attempts.MergeAttempt, NOT_LAYER),
    Method("cold running", "plain", "cold", attempts.ImageAttempt, NOT_COLD),
    Method("cold paused", "paused", "cold", attempts.ImageAttempt, NOT_COLD),
    Method("stream running", "plain", "stream", attempts.ImageAttempt, NOT_STREAM),
    Method("stream paused", "paused", "stream", attempts.ImageAttempt, NOT_STREAM),
    Method("stream quiesced", "agent", "stream", attempts.ImageAttempt, NOT_STREAM),
    Method("stream stopped", "stopped", "stream", attempts.ImageAttempt, NOT_STREAM),
    Method("blockcopy running", "plain", "blockcopy", attempts.ImageAttempt, NOT_LIVE),
    Method("compressed running", "plain", "compressed", attempts.ImageAttempt, NOT_LIVE),
    Method("direct", "rbd", "rbd", attempts.DirectAttempt, NOT_DIRECT),
]

OPTIONS = {"live": {}, "rbd": {}, "cold": {"workarounds": {"disable_libvirt_livesnapshot": "true"}},
           "stream": {"snapshot_agent": {"live_snapshot_method": "stream"}},
           "compressed": {"libvirt": {"snapshot_compression": "true"}},
           "blockcopy": {"snapshot_agent": {"live_snapshot_method": "blockcopy"}}}


def method(name):
    return next(m for m in METHODS if m.name == name)
