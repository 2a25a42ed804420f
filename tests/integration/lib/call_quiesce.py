# SPDX-License-Identifier: Apache-2.0
"""Calls quiesce_instance or unquiesce_instance as nova-api does: call_quiesce.py HOST SERVER METHOD."""

import os
import sys

from nova import config, context, objects
from nova.compute import rpcapi


def main():
    host, server, method = sys.argv[1:]
    env = os.environ
    config.parse_args(["nova-api", "--config-file", env["LAB_NOVA_CONF"],
                       "--config-file", f"{env['LAB']}/etc/nova/nova-controller.conf"])
    objects.register_all()
    ctxt = context.get_admin_context()
    cell = next(c for c in objects.CellMappingList.get_all(ctxt) if not c.is_cell0())
    with context.target_cell(ctxt, cell) as cctxt:
        instance = objects.Instance.get_by_uuid(cctxt, server, expected_attrs=["system_metadata"])
        instance.host = host
        instance.obj_reset_changes(["host"])
        api = rpcapi.ComputeAPI()
        if method == "quiesce_instance":
            api.quiesce_instance(cctxt, instance)
        else:
            api.unquiesce_instance(cctxt, instance, None)


main()
