# SPDX-License-Identifier: Apache-2.0
"""The flavors of the lab's servers; one that is there already is left as it is."""

from lab_session import open_session

FLAVORS = (
    {"name": "m1.nano", "id": "1", "ram": 128, "vcpus": 1, "disk": 1},
    {"name": "m1.tiny", "id": "2", "ram": 256, "vcpus": 1, "disk": 1},
)

session = open_session()
there = {flavor["name"] for flavor in session.get(
    "/flavors", endpoint_filter={"service_type": "compute"}).json()["flavors"]}
for flavor in FLAVORS:
    if flavor["name"] not in there:
        session.post("/flavors", endpoint_filter={"service_type": "compute"},
                     json={"flavor": flavor})
