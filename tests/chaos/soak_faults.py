# SPDX-License-Identifier: Apache-2.0
"""What happens during a soak: small faults that pass, and what tenants do."""

import guest
import http_proxy
from http_faults import FILE, IMAGE
from lab import DiskFull, Down, Still, wait_until

MIB = 1 << 20


def upload_broken(random, session):
    session.proxies["glance"].on("PUT", FILE, http_proxy.drop_after(random.randrange(20 * MIB)))
    return "an upload breaks off"


def upload_refused(random, session):
    code = random.choice([500, 502, 503, 410, 413])
    session.proxies["glance"].on("PUT", FILE, http_proxy.answer(code))
    return f"an upload is answered {code}"


def record_refused(random, session):
    verb, code = random.choice(["GET", "PATCH", "DELETE"]), random.choice([500, 503])
    session.proxies["glance"].on(verb, IMAGE, http_proxy.answer(code))
    return f"a {verb} is answered {code}"


def passing(fault, seconds, what):
    def happens(random, session):
        del session
        fault.begin()
        wait_until(lambda: False, random.uniform(0.3, seconds))
        fault.end()
        return what
    return happens


AROUND = [
    (5, upload_broken), (5, upload_refused), (4, record_refused),
    (2, passing(Down("libvirtd"), 1.5, "libvirtd killed")),
    (2, passing(Still("libvirtd"), 3, "libvirtd stands still")),
    (2, passing(Still("nova-conductor"), 4, "nova-conductor stands still")),
    (2, passing(DiskFull(), 2, "file system full")),
]


def around(random, session):
    """One of them, by weight; what it was."""
    return random.choices([f for _, f in AROUND], [w for w, _ in AROUND])[0](random, session)


def by_tenant(random, cloud, server, attempt, expect):
    """How many things were done to one request."""
    choice = random.choice(["image", "state", "guest"])
    if choice == "image":
        cloud.glance("DELETE", f"/v2/images/{attempt.image}", ok=False)
        expect.image_deleted = True
    elif choice == "state" and server.state == "running":
        cloud.action(server.id, "os-resetState", {"state": "active"})
    elif choice == "guest" and server.state == "running" and not server.has_agent:
        # A pause that is over at once, as of a host under load.
        guest.virsh(server.id, lambda dom: (dom.suspend(), dom.resume())
                    if dom.isActive() else None)
    else:
        return 0
    return 1
