# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume types, each on the backend of its name: volume_types.py TYPE... What is there is left
as it is. Waits until the backends are up."""

import sys
import time

from lab_session import open_session

VOLUME = {"service_type": "volumev3"}


def ensure_types(session, names):
    there = {kind["name"] for kind in session.get(
        "/types", endpoint_filter=VOLUME).json()["volume_types"]}
    for name in names:
        if name not in there:
            session.post("/types", endpoint_filter=VOLUME, json={"volume_type": {
                "name": name, "extra_specs": {"volume_backend_name": name}}})


def wait_backends(session, names, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        services = session.get("/os-services", endpoint_filter=VOLUME,
                               params={"binary": "cinder-volume"}).json()["services"]
        missing = set(names) - {service["host"].partition("@")[2] for service in services
                                if service["state"] == "up"}
        if not missing:
            return
        time.sleep(0.5)
    sys.exit("Cinder's backends are not up after %d s: %s" % (seconds, " ".join(sorted(missing))))


def main():
    session = open_session()
    ensure_types(session, sys.argv[1:])
    wait_backends(session, sys.argv[1:], 60)


main()
