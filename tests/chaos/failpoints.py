# SPDX-License-Identifier: Apache-2.0
"""The agent's failpoints (common/failpoint.h): which there are, and arming one."""

import glob
import os
import re

from lab import REPO, wait_until

POINT = re.compile(r'\bfailpoint\("([^"]+)"\)|\{\w+, "([a-z]+:[a-z-]+)"\}')


def points():
    """Every point in the sources, in their order."""
    found = []
    for module in ("agent", "amqp", "cinder_client", "common", "driver", "glance_client"):
        for path in sorted(glob.glob(f"{REPO}/{module}/**/*.c", recursive=True)):
            with open(path, encoding="utf-8") as source:
                names = [a or b for a, b in POINT.findall(source.read())]
                found += [p for p in names if p not in found]
    return found


class Failpoint:
    def __init__(self, state_dir):
        self.path = f"{state_dir}/failpoint"
        self.reached_path = f"{state_dir}/failpoint.reached"

    def arm(self, point, action):
        new = f"{self.path}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, f"{point} {action}\n".encode())
        os.close(descriptor)
        os.rename(new, self.path)

    def armed(self):
        return os.path.exists(self.path)

    def reached(self):
        return os.path.exists(self.reached_path)

    def wait_reached(self, timeout, settled=lambda: False):
        """True when a thread stands there; False when it was never passed."""
        wait_until(lambda: self.reached() or settled(), timeout, 0.05)
        return self.reached()

    def release(self):
        """True when it was armed still."""
        armed = self.armed()
        if armed:
            os.unlink(self.path)
        return armed
