# SPDX-License-Identifier: Apache-2.0
"""What no log may hold: every secret that the lab knows."""

import base64
import glob
import os
import re
import subprocess
import urllib.parse

from cloud import LAB

# [group]password = ..., secret = ..., as oslo.config and shells have them
OPTION = re.compile(r"^\s*(?:export\s+)?\w*(?:password|secret|secret_key)\s*=\s*(\S+)\s*$",
                    re.MULTILINE | re.IGNORECASE)
URL_PASSWORD = re.compile(r"\w+://[^\s/:@]*:([^\s/@]+)@")
CEPH_KEY = re.compile(r"^\s*key\s*=\s*(\S+)", re.MULTILINE)
SHORTEST = 8  # of what is looked for: less is found in any text

# Whose they are matters not: a token of this lab's Keystone (Fernet), a password in a definition.
SHAPES = {
    "a token": re.compile(r"gAAAAA[\w-]{20,}"),
    "a password in a URL": re.compile(r"\w+://[^\s/:@]*:(?!\*)[^\s/@]+@"),
    "a password of a domain's definition": re.compile(r"\bpasswd=['\"]"),
    "a header with a token": re.compile(r"X-(?:Auth|Service|Subject)-Token\s*:", re.IGNORECASE),
}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def of_files():
    """(what it is, value) of the lab's configurations and key rings."""
    for path in sorted(glob.glob(f"{LAB}/etc/**/*.conf", recursive=True)
                       + glob.glob(f"{LAB}/*.sh")):
        text = read(path)
        for value in OPTION.findall(text) + URL_PASSWORD.findall(text):
            yield f"a password of {path}", value.strip("'\"")
    for path in sorted(glob.glob(f"{LAB}/etc/ceph/*keyring*") + glob.glob(f"{LAB}/ceph/*/keyring")):
        for value in CEPH_KEY.findall(read(path)):
            yield f"a key of {path}", value
    if os.path.exists(f"{LAB}/etc/password"):
        yield "the lab's password", read(f"{LAB}/etc/password").strip()


def of_libvirt():
    """Passphrases of disks; a private one is not told to anybody."""
    def virsh(*argv):
        done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *argv],
                              capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""
    for line in virsh("secret-list").splitlines():
        if line.split():
            uuid = line.split()[0]
            value = virsh("secret-get-value", uuid).strip()
            yield f"libvirt's secret {uuid}", value
            try:
                yield f"libvirt's secret {uuid}", base64.b64decode(value).decode()
            except ValueError:
                pass


def found_in(text):
    """What is in there, in words that do not quote it again."""
    known = {(what, form) for what, value in [*of_files(), *of_libvirt()]
             for form in (value, urllib.parse.quote(value, safe="")) if len(value) >= SHORTEST}
    found = {what for what, form in known if form in text}
    return sorted(found | {what for what, shape in SHAPES.items() if shape.search(text)})
