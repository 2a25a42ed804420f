# SPDX-License-Identifier: Apache-2.0
"""Where the lab is: tests/lab/folder decides."""

import os
import subprocess

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LAB = subprocess.run([f"{REPO}/tests/lab/folder"], stdout=subprocess.PIPE, text=True,
                     check=True).stdout.rstrip("\n")
