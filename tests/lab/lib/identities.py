# SPDX-License-Identifier: Apache-2.0
"""Roles, projects, users and the catalog: identities.py glance=PORT cinder=PORT nova=PORT ...
What is there already is left as it is, so that a run cut off midway is simply repeated."""

import os
import sys

from lab_session import open_session

SERVICES = {  # name: (type, path below the port)
    "glance": ("image", ""),
    "cinder": ("volumev3", "/v3/%(project_id)s"),
    "nova": ("compute", "/v2.1"),
    "placement": ("placement", ""),
    "neutron": ("network", ""),
}


class Identity:
    def __init__(self, session):
        self.session = session

    def call(self, method, path, **arguments):
        return self.session.request(
            os.environ["OS_AUTH_URL"] + path, method, endpoint_filter=None, **arguments)

    def ensure(self, collection, kind, query, **attributes):
        found = self.call("GET", "/" + collection, params=query).json()[collection]
        if found:
            return found[0]["id"]
        body = {kind: dict(query, **attributes)}
        return self.call("POST", "/" + collection, json=body).json()[kind]["id"]

    def project(self, name):
        return self.ensure("projects", "project", {"name": name, "domain_id": "default"})

    def user(self, name):
        return self.ensure("users", "user", {"name": name, "domain_id": "default"},
                           password=os.environ["OS_PASSWORD"])

    def role(self, name):
        return self.ensure("roles", "role", {"name": name})

    def grant(self, project, user, *roles):
        for role in roles:
            self.call("PUT", "/projects/%s/users/%s/roles/%s" % (project, user, self.role(role)))


def main():
    identity = Identity(open_session())
    ports = dict(argument.split("=") for argument in sys.argv[1:])
    service_project = identity.project("service")
    for name, (service_type, path) in SERVICES.items():
        if name != "neutron":
            identity.grant(service_project, identity.user(name), "admin", "service")
        service = identity.ensure("services", "service", {"type": service_type, "name": name})
        for interface in ("public", "internal", "admin"):
            identity.ensure(
                "endpoints", "endpoint", {"service_id": service, "interface": interface},
                region_id="RegionOne", url="http://127.0.0.1:%s%s" % (ports[name], path))
    identity.grant(identity.project("demo"), identity.user("demo"), "member", "reader")


main()
