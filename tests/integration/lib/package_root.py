# SPDX-License-Identifier: Apache-2.0
"""A systemd of our own in which Debian's package is installed, and what that changes of the machine."""

import hashlib
import json
import os
import re
import stat
import subprocess

from peers import REPO, wait_for
from systemd_root import UNIT, SystemdRoot

PACKAGE = "nova-snapshot-agent"
TOOL_PACKAGE = "nova-snapshot"
PACKAGES = TOOL_PACKAGE, PACKAGE  # in the order dpkg is given them
# dpkg's own memory of what it did.
NOT_LOOKED_AT = ("var/lib/dpkg", "var/log", "var/cache", "var/tmp")
LIBVIRT = "/run/libvirt/libvirt-sock"
UNIT_FOLDERS = "/etc/systemd/system", "/usr/lib/systemd/system"


def build(folder):
    """make deb in a folder of ours: the paths of the binary packages."""
    done = subprocess.run(["make", "-s", "-C", REPO, "deb", f"BUILD={folder}/build"], text=True,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    names = os.listdir(f"{folder}/build/deb")
    return [next(f"{folder}/build/deb/{name}" for name in names
                 if name.startswith(f"{package}_") and name.endswith(".deb")) for package in PACKAGES]


def newer(package, folder):
    """The same as a later version."""
    made = f"{folder}/newer-{os.path.basename(package)}"
    tree = made.removesuffix(".deb")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    with open(f"{tree}/DEBIAN/control", encoding="utf-8") as control:
        text = control.read()
    with open(f"{tree}/DEBIAN/control", "w", encoding="utf-8") as control:
        control.write(re.sub(r"(\nVersion: |\(= )", r"\g<1>9:", text))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made], check=True,
                   stdout=subprocess.DEVNULL)
    return made


def look(path):
    """What there is to compare of a file; None when it is not there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:  # overlayfs: it was removed
        return None
    content = ""
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    return oct(found.st_mode), found.st_uid, found.st_gid, content


class PackageRoot(SystemdRoot):
    """with PackageRoot(nova_conf) as root: root.dpkg("-i", package)"""

    layered = ["--layered"]
    # libvirt is open to its group, as by Debian's polkit rule where there is a system bus.
    install = ("rm -rf /usr/sbin/policy-rc.d /var/lib/nova-snapshot-agent /var/lib/nova-snapshot; "
               "cp -p {folder}/nova/nova.conf /etc/nova/nova.conf; "
               "mount --bind {folder}/libvirt-sock " + LIBVIRT)

    def __init__(self, nova_conf):
        super().__init__(nova_conf)
        os.chmod(f"{self.folder}/nova/nova.conf", 0o644)
        self.install = self.install.format(folder=self.folder)
        self.libvirt = f"{self.folder}/libvirt-sock"

    def __enter__(self):
        self.socat = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "socat",
             f"UNIX-LISTEN:{self.libvirt},mode=660,group=libvirt,fork", f"UNIX-CONNECT:{LIBVIRT}"])
        wait_for("a way to libvirt", lambda: os.path.exists(self.libvirt))
        return super().__enter__()

    def __exit__(self, *_):
        super().__exit__()
        self.socat.terminate()
        self.socat.wait(10)

    def dpkg(self, *argv):
        done = self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *argv)
        if done.returncode:
            raise AssertionError(f"dpkg {argv}: {done.stdout}\n{self.console()[-4000:]}")
        return done.stdout

    def tool(self, *words):
        """What `nova-snapshot` prints for root."""
        done = self.run("nova-snapshot", *words)
        if done.returncode:
            raise AssertionError(f"nova-snapshot {words}: {done.stdout}\n{self.console()[-4000:]}")
        return done.stdout

    def jobs(self):
        return json.loads(self.tool("jobs", "--json"))["jobs"]

    def changed(self):
        """{path: what it is now} of all that is not as on the machine."""
        inside = f"/proc/{self.pid}/root"
        layer = f"{inside}{self.folder}/layer"
        found = {}
        for place in ("etc", "usr", "var"):
            for folder, folders, names in os.walk(f"{layer}/{place}"):
                for name in folders + names:
                    path = os.path.relpath(f"{folder}/{name}", layer)
                    if path.startswith(NOT_LOOKED_AT):
                        continue
                    if look(f"{layer}/{path}") != look(f"/{path}"):
                        found[f"/{path}"] = look(f"{layer}/{path}")
        for place in UNIT_FOLDERS:
            for folder, folders, names in os.walk(f"{inside}{place}"):
                for name in folders + names:
                    found["/" + os.path.relpath(f"{folder}/{name}", inside)] = "a unit"
        return found

    def main_pid(self):
        return self.show("MainPID")

    def agent_user(self):
        return self.output("stat", "-c", "%U", f"/proc/{self.main_pid()}")


__all__ = ["PACKAGE", "PACKAGES", "TOOL_PACKAGE", "UNIT", "PackageRoot", "build", "newer"]
