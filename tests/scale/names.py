# SPDX-License-Identifier: Apache-2.0
"""Hosts, and servers whose UUID says on which of them they are; a server has one image of that id."""

import uuid


def host_name(number):
    return f"scale-{number:04d}.example.org"


def new_server(number):
    return f"{str(uuid.uuid4())[:24]}{number:012d}"


def host_of(server):
    return host_name(int(server[24:]))
