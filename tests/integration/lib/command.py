# SPDX-License-Identifier: Apache-2.0
"""Commands of the machine: what they print, or why they failed."""

import subprocess


def output(*argv, **kwargs):
    done = subprocess.run(argv, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **kwargs)
    if done.returncode:
        raise AssertionError(f"{argv}: {done.stdout[-4000:]}")
    return done.stdout
