# SPDX-License-Identifier: Apache-2.0
"""Nova's tables and its one cell, as nova-manage makes them, in a single process: its start alone
takes seconds. nova_tables.py CONFIG_FILE..."""

import sys

from oslo_log import log

from nova.cmd import manage
from nova import config
from nova import objects


def main():
    config.parse_args(["nova-manage"] + ["--config-file=" + name for name in sys.argv[1:]])
    log.setup(manage.CONF, "nova")
    objects.register_all()
    cells = manage.CellV2Commands()
    for what, result in (
            ("api_db sync", manage.ApiDbCommands().sync()),
            ("cell_v2 map_cell0", cells.map_cell0()),
            ("db sync", manage.DbCommands().sync()),
            ("cell_v2 create_cell", cells.create_cell(name="cell1"))):
        if result:
            sys.exit("nova-manage %s failed: %s" % (what, result))


main()
