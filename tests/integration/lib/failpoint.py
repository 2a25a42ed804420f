# SPDX-License-Identifier: Apache-2.0
"""A step at which what is under test stands still (common/failpoint.h)."""

import os

from cloud import wait_for


class Failpoint:
    """Whoever has the state directory holds at the point, from now on until it is let go."""

    def __init__(self, state_dir, point):
        self.point = point
        self.path = f"{state_dir}/failpoint"
        with open(self.path, "w", encoding="ascii") as out:
            out.write(f"{point} hold\n")
        os.chmod(self.path, 0o600)

    def is_reached(self):
        return os.path.exists(f"{self.path}.reached")

    def wait(self):
        wait_for(f"{self.point} to be reached", self.is_reached, interval=0.02)

    def let_go(self):
        """What holds here goes on soon; that it does is not waited for."""
        os.unlink(self.path)
