# SPDX-License-Identifier: Apache-2.0
"""Where the helpers of the other tests are, and where a benchmark keeps its own files."""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path += [f"{TESTS}/chaos", f"{TESTS}/integration/lib"]

from lab import LAB, REPO, Cloud, processes_of, run, wait_until  # noqa: E402

BUILD = f"{REPO}/build"
STAGING = f"{LAB}/nova/instances/snapshots"
WORK = f"{LAB}/run/bench"
MIB, GIB = 1 << 20, 1 << 30


class Defect(Exception):
    """What was to be measured is not right: its figures would be worth nothing."""


__all__ = ["BUILD", "GIB", "LAB", "MIB", "REPO", "STAGING", "WORK", "Cloud", "Defect",
           "processes_of", "run", "wait_until"]
