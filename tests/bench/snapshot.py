# SPDX-License-Identifier: Apache-2.0
"""One measurement: snapshots of all guests of a scenario at once, taken by one contender."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import libvirt
import meters
import verify
import writing_guest
from paths import GIB, Defect

SETTLE_S, AT_REST_S, UNDISTURBED_S = 0.3, 1.0, 5.0


class Bench:
    """What all measurements share."""

    def __init__(self, cloud, watch, pauses, warm_up_server):
        self.cloud, self.watch, self.pauses = cloud, watch, pauses
        self.warm_up_server = warm_up_server
        self.libvirt = libvirt.open("qemu:///system")

    def cast(self, servers):
        """The images of snapshots that are all asked for at once."""
        with ThreadPoolExecutor(len(servers)) as pool:
            return list(pool.map(lambda server: self.cloud.create_image(server, "bench-shot")[0],
                                 servers))

    def written_by(self, guests):
        return sum(self.libvirt.lookupByUUIDString(guest.server).blockStats("vda")[3]
                   for guest in guests)

    def drop(self, images):
        for image in images:
            self.cloud.glance("DELETE", f"/v2/images/{image}")
            self.cloud.images.remove(image)

    @contextmanager
    def at_work(self, contender):
        """
        A daemon that has been running: it has its tokens and connections, for it has taken a small
        snapshot already, and so have those it talks to.
        """
        failed = True
        contender.begin()
        try:
            images = self.cast([self.warm_up_server])
            self.watch.await_ends(images, [self.warm_up_server], 60)
            self.drop(images)
            yield
            failed = False
        finally:
            contender.end(failed)


def take(bench, contender, guests, check):
    """The figures; Defect when the images are not right. check: read them, too."""
    with bench.at_work(contender):
        taken = contender.taken()
        images, figures = measure(bench, contender, guests)
        if taken is not None and contender.taken() != taken + len(guests):
            raise Defect(f"{contender.name} did not take all snapshots by its own method")
        time.sleep(AT_REST_S)
        figures["rss_idle_mib"] = meters.rss_mib(contender.main())
        figures["rss_idle_anonymous_mib"] = meters.anonymous_mib(contender.main())
    for image, guest in zip(images, guests, strict=True):
        size = verify.image(bench.cloud, image, guest, check, contender.name)
        figures["image_bytes"] = figures.get("image_bytes", 0) + size
    bench.drop(images)
    return figures


def measure(bench, contender, guests):
    servers = [guest.server for guest in guests]
    qemus = [meters.qemu_pid(server) for server in servers]
    disk_bytes = sum(2 * guest.layout.half for guest in guests)
    latency = Latency(guests)
    meters.reset_peak_rss(contender.main())
    before = counters(bench, contender, guests, qemus)
    begin = time.monotonic()
    with meters.Sampler(contender.processes()) as sampler:
        images = bench.cast(servers)
        ends = bench.watch.await_ends(images, servers, 120 + 120 * disk_bytes / GIB)
    written = latency.figures()
    time.sleep(SETTLE_S)
    used = {name: value - before[name]
            for name, value in counters(bench, contender, guests, qemus).items()}
    return images, {
        "seconds": ends.active - begin,
        "seconds_cleared": ends.cleared - begin,
        "pause_ms": bench.pauses.longest_ms(servers, begin, ends.cleared),
        "cpu_s": used["own"].cpu_s,
        "qemu_cpu_s": used["qemu"].cpu_s,
        "rss_mib": meters.peak_rss_mib(contender.main()),
        "helpers_rss_mib": sampler.helpers_mib,
        "staged_bytes": max(used["own"].written + used["qemu"].written - used["guest"],
                            sampler.space - used["guest"], 0),
        "space_bytes": sampler.space,
        "guest_wrote_bytes": used["guest"],
        "sent_bytes": used["sent"],
        **written}


def counters(bench, contender, guests, qemus):
    """
    Staged is whatever anyone who takes part writes to the disk and the guest has not asked for: also
    files without a name, or gone before they could be looked at. The room files take below the
    snapshots folder is looked at as well, and the greater counts.
    """
    return {"own": meters.usage(contender.processes()), "qemu": meters.usage(qemus),
            "guest": bench.written_by(guests), "sent": meters.loopback_bytes()}


class Latency:
    """Of a guest that writes, as it measures it itself: for a while before, then during a snapshot."""

    def __init__(self, guests):
        self.guest = next((guest for guest in guests if guest.layout.writes), None)
        if self.guest:
            begin = writing_guest.mark(self.guest)
            time.sleep(UNDISTURBED_S)
            self.before = writing_guest.latency_since(self.guest, begin)
            self.begin = writing_guest.mark(self.guest)

    def figures(self):
        if not self.guest:
            return {}
        now = writing_guest.latency_since(self.guest, self.begin)
        return {"write_mean_us": now.mean_us, "write_longest_us": now.max_us,
                "undisturbed_mean_us": self.before.mean_us,
                "undisturbed_longest_us": self.before.max_us}
