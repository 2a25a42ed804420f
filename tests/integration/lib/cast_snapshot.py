# SPDX-License-Identifier: Apache-2.0
"""What nova-api does for createImage, but to a host name of our choice: cast_snapshot.py HOST SERVER.

The server is on that host until its task state is cleared, 120 s at most.
"""

import os
import sys
import time

from keystoneauth1 import session
from keystoneauth1.identity import v3
from nova import config, context, objects
from nova.compute import rpcapi, task_states, utils
from nova.image import glance


def catalog_of(access):
    """The catalog in the form nova-api gets it from Keystone's middleware."""
    catalog = []
    for service in access.service_catalog.catalog:
        endpoints = {f"{e['interface']}URL": e["url"] for e in service["endpoints"]}
        region = {"region": service["endpoints"][0]["region"]} if service["endpoints"] else {}
        catalog.append({"type": service["type"], "name": service["name"],
                        "endpoints": [{**region, **endpoints}]})
    return catalog


def main():
    host, server = sys.argv[1:]
    env = os.environ
    config.parse_args(["nova-api", "--config-file", env["LAB_NOVA_CONF"],
                       "--config-file", f"{env['LAB']}/etc/nova/nova-controller.conf"])
    objects.register_all()

    auth = v3.Password(
        auth_url=env["OS_AUTH_URL"], username=env["OS_USERNAME"], password=env["OS_PASSWORD"],
        project_name=env["OS_PROJECT_NAME"], user_domain_name=env["OS_USER_DOMAIN_NAME"],
        project_domain_name=env["OS_PROJECT_DOMAIN_NAME"])
    keystone = session.Session(auth=auth)
    access = auth.get_access(keystone)
    ctxt = context.RequestContext(
        user_id=access.user_id, project_id=access.project_id, is_admin=True,
        auth_token=access.auth_token, roles=list(access.role_names), service_catalog=catalog_of(access))
    cell = next(c for c in objects.CellMappingList.get_all(ctxt) if not c.is_cell0())
    with context.target_cell(ctxt, cell) as cctxt:
        instance = objects.Instance.get_by_uuid(
            cctxt, server, expected_attrs=["flavor", "metadata", "system_metadata", "info_cache"])
        image = utils.create_image(cctxt, instance, "cast", "snapshot", glance.API())
        instance.task_state = task_states.IMAGE_SNAPSHOT_PENDING
        instance.save(expected_task_state=[None])
        objects.InstanceAction.action_start(cctxt, server, "createImage", want_result=False)
        before = instance.host
        instance.host = host
        instance.save()
        try:
            rpcapi.ComputeAPI().snapshot_instance(cctxt, instance, image["id"])
            end = time.monotonic() + 120
            while instance.task_state is not None and time.monotonic() < end:
                time.sleep(0.5)
                instance.refresh()
        finally:
            instance.host = before
            instance.save()
    print(image["id"])


main()
