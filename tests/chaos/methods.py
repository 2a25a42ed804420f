"""The ways a snapshot is taken, each with the server and the agent's options it needs."""

from dataclasses import dataclass

import attempts


@dataclass(frozen=True)
class Method:
    name: str
    kind: str      # of server
    options: str   # of the agent
    attempt: type
    only: tuple = ()  # beginnings of trap points that cannot be passed are left out

    def new_attempt(self, cloud, server):
        if issubclass(self.attempt, attempts.LayerAttempt):
            return self.attempt(cloud, server.id, server.volumes[0])
        return self.attempt(cloud, server.id, server.has_agent)


METHODS = [
    Method("live running", "plain", "live", attempts.ImageAttempt),
    Method("live paused", "paused", "live", attempts.ImageAttempt),
    Method("stopped", "stopped", "live", attempts.ImageAttempt),
    Method("backup", "plain", "live", attempts.BackupAttempt),
    Method("quiesced", "agent", "live", attempts.ImageAttempt),
    Method("volume-backed", "booted-from-volume", "live", attempts.VolumeBackedAttempt),
    Method("volume-backed cast", "booted-from-volume", "live", attempts.CastAttempt),
    Method("volume snapshot", "with-volume", "live", attempts.LayerAttempt),
    Method("volume merge", "with-volume", "live", attempts.MergeAttempt),
    Method("cold running", "plain", "cold", attempts.ImageAttempt),
    Method("cold paused", "paused", "cold", attempts.ImageAttempt),
]

OPTIONS = {"live": {}, "cold": {"workarounds": {"disable_libvirt_livesnapshot": "true"}}}


def method(name):
    return next(m for m in METHODS if m.name == name)
