# SPDX-License-Identifier: Apache-2.0
"""Waits until the scheduler would use the compute host: wait_compute.py NOVA_URL HOST SECONDS."""

import sys
import time

from lab_session import open_session


def main():
    url, host, seconds = sys.argv[1:]
    session = open_session()
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        services = session.get(f"{url}/v2.1/os-services?binary=nova-compute").json()["services"]
        if any(s["host"] == host and s["state"] == "up" for s in services):
            return
        time.sleep(0.5)
    sys.exit(f"nova-compute on {host} is not 'up' in Nova after {seconds} s")


main()
