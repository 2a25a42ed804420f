# SPDX-License-Identifier: Apache-2.0
"""What is published on the lab's broker."""

import contextlib
import json
import os
import tempfile

from cloud import REPO, run


@contextlib.contextmanager
def traced():
    """A list that holds at the end what was published meanwhile."""
    messages = []
    path = tempfile.mktemp(prefix="nova-snapshot-trace-")
    run(f"{REPO}/tests/lab/trace", "start", path)
    try:
        yield messages
    finally:
        run(f"{REPO}/tests/lab/trace", "stop")
        with open(path, encoding="utf-8") as lines:
            messages += [json.loads(line) for line in lines]
        os.unlink(path)
