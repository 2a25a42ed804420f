# SPDX-License-Identifier: Apache-2.0
"""What is measured: disks, how many of them at once, how often."""

import random
from dataclasses import dataclass

from paths import GIB, MIB

CLUSTER = 64 << 10


@dataclass(frozen=True)
class Layout:
    """A disk: half of its data in the base, from its beginning on, half in the overlay."""
    name: str
    disk_gib: int
    half: int                 # bytes
    kind: str = "one piece"   # of the overlay; or "spread", "scattered"
    writes: bool = False      # the guest, all the time
    base_zeroes: int = 0      # bytes behind the data of the base, which is not sparse
    wiped: bool = False       # the guest has written zeroes wherever it has no data

    def overlay_zeroes(self):
        """(offset, length) of what the guest has wiped: all but the two pieces of data."""
        begin = 2 * self.half
        return [(begin, self.disk_gib * GIB - begin)] if self.wiped else []

    def bytes_of_zeroes(self):
        """(in the base, in the overlay) of what is allocated without holding data."""
        return self.base_zeroes, sum(length for _, length in self.overlay_zeroes())

    def extents(self):
        """(offset, length) of the overlay's pieces in the order they are written."""
        if self.kind == "spread":
            count = 8
            stride = (self.disk_gib * GIB - self.half) // count
            return [(self.half + i * stride, self.half // count) for i in range(count)]
        if self.kind == "scattered":
            places = range(self.half // CLUSTER, self.disk_gib * GIB // CLUSTER)
            chosen = random.Random(self.name).sample(places, self.half // CLUSTER)
            return [(place * CLUSTER, CLUSTER) for place in chosen]
        return [(self.half, self.half)]


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    layout: Layout
    repetitions: int
    count: int = 1  # snapshots at once

    @property
    def data(self):
        return 2 * self.layout.half * self.count


def layouts(group):
    """{layout: how many guests have such a disk}."""
    found = {}
    for scenario in group:
        found[scenario.layout] = max(found.get(scenario.layout, 0), scenario.count)
    return found


def space(group):
    """
    The most bytes a group has on the disk at a time. Each base: while it is made, in Glance, in
    nova's cache; each guest: its overlay and the finished file; and what nova-compute makes of the
    guests of one scenario: a copy of the overlay, the flat file, the image.
    """
    kept = made = 0
    for layout, count in layouts(group).items():
        base_zeroes, overlay_zeroes = layout.bytes_of_zeroes()
        kept += layout.half * (3 + 3 * count) + base_zeroes * 3 + overlay_zeroes * count
    for scenario in group:
        overlay_zeroes = scenario.layout.bytes_of_zeroes()[1]
        made = max(made, (scenario.layout.half * 5 + overlay_zeroes) * scenario.count)
    return kept + made


P100M = Layout("100m", 1, 50 * MIB)
P1G = Layout("1g", 4, 512 * MIB)
P2G = Layout("2g", 4, GIB)
P8G = Layout("8g", 10, 4 * GIB)
SPARSE = Layout("sparse", 50, 512 * MIB, "spread")
FRAGMENTED = Layout("fragmented", 4, 512 * MIB, "scattered")
WRITING = Layout("writing", 4, 512 * MIB, writes=True)
RAW_BASE = Layout("raw-base", 1, 52 * MIB, base_zeroes=920 * MIB)
ALLOCATED = Layout("allocated", 8, 512 * MIB, wiped=True)

# The guests of a group exist at the same time and its scenarios take turns, so that the ratio of two
# of them is taken of neighbours in time.
FULL = [
    [Scenario("100m", "100 MB", P100M, 5)],
    [Scenario("2g", "2 GiB", P2G, 5), Scenario("8g", "8 GiB", P8G, 3)],
    [Scenario("1g", "1 GiB", P1G, 5),
     Scenario("sparse", "1 GiB in 50 GiB", SPARSE, 5),
     Scenario("fragmented", "1 GiB in scattered 64 KiB", FRAGMENTED, 5),
     Scenario("2x1g", "2 at once, 1 GiB each", P1G, 3, count=2),
     Scenario("5x1g", "5 at once, 1 GiB each", P1G, 3, count=5)],
    [Scenario("writing", "1 GiB, the guest writes", WRITING, 3)],
    [Scenario("raw-base", "a tenth of 1 GiB in a raw base", RAW_BASE, 3),
     Scenario("allocated", "1 GiB in 8 GiB that are all allocated", ALLOCATED, 3)],
]
QUICK = [
    [Scenario("100m", "100 MB", P100M, 3)],
    [Scenario("2g", "2 GiB", P2G, 3)],
]
