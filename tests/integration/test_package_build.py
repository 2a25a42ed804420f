#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How packages are made: Debian's the same each time, the RPM of the same files, the container with the
same libraries. Not a part of make check: make package-check.
"""

import filecmp
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from command import output
from package_root import PACKAGE, build
from peers import REPO

# Of all that is there anyway, in each image of Debian.
EVERYWHERE = {"libc6"}
# Debian's own.
DEBIANS = re.compile(r"/usr/share/(doc|lintian)/|/etc/apparmor\.d/|\.service\.d/")


def setUpModule():
    global folder, packages
    folder = tempfile.mkdtemp(prefix="nsa-package-", dir="/var/tmp")
    unittest.addModuleCleanup(subprocess.run, ["rm", "-rf", folder], check=True)
    packages = build(folder)


def build_again(where):
    """Of the source package beside them."""
    source = os.path.dirname(packages[0])
    description = next(name for name in os.listdir(source) if name.endswith(".dsc"))
    os.makedirs(where)
    output("dpkg-source", "-x", f"{source}/{description}", f"{where}/tree")
    output("dpkg-buildpackage", "-us", "-uc", "-b", f"-j{os.cpu_count()}", cwd=f"{where}/tree")


def build_rpm():
    """Of what is committed; RPM knows nothing of what Debian has installed."""
    top = f"{folder}/rpm"
    output("make", "-s", "-C", REPO, "dist", f"BUILD={top}/SOURCES")
    output("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {top}",
           f"{REPO}/packaging/rpm/{PACKAGE}.spec")
    made = [f"{at}/{name}" for at, _, names in os.walk(f"{top}/RPMS") for name in names]
    return next(path for path in made if "debug" not in os.path.basename(path))


def files_of_packages():
    lines = [line for package in packages for line in output("dpkg-deb", "-c", package).splitlines()]
    paths = {line.split(None, 5)[5].lstrip(".") for line in lines if not line.startswith("d")}
    return {re.sub(r"\.gz$|^(?=/lib/)", lambda m: "" if m[0] else "/usr", path)
            for path in paths if not DEBIANS.search(path)}


def control_field(name):
    """The packages that a field of debian/control or of the package names."""
    with open(f"{REPO}/packaging/debian/control", encoding="utf-8") as file:
        text = re.search(rf"^{name}:(.*?)(?=^\S|\Z)", file.read(), re.MULTILINE | re.DOTALL)[1]
    return set(re.findall(r"^ ([a-z0-9][a-z0-9.+-]+)", text, re.MULTILINE))


def container_packages():
    """Of its two stages: what it is built with, what it runs with."""
    with open(f"{REPO}/packaging/container/Dockerfile", encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    return [set(words.split()) for words in
            re.findall(r"install -y --no-install-recommends ([^&\n]+)", text)]


def container_image(release):
    """Made of what is committed and nothing but Debian's release: what runs a command in it."""
    buildah = ["buildah", "--storage-driver", "vfs", "--root", f"{folder}/{release}/images",
               "--runroot", f"{folder}/{release}/run"]
    source = f"{folder}/{release}/source"
    output(f"{REPO}/tests/git", "clone", "-q", REPO, source)
    root = output(f"{REPO}/tests/lab/root", release, "ca-certificates",
                  env={**os.environ, "ROOTS": f"{folder}/{release}"}).splitlines()[-1]
    base = output(*buildah, "from", "scratch").strip()
    output(*buildah, "copy", "--quiet", base, root, "/")
    output(*buildah, "run", "--isolation", "chroot", base, "--", "rm", "/usr/sbin/policy-rc.d")
    output(*buildah, "commit", "--quiet", base, "localhost/debian")
    output(*buildah, "bud", "--isolation", "chroot", "--network", "host", "--build-arg",
           "BASE=localhost/debian", "--tag", PACKAGE, "-f", "packaging/container/Dockerfile", ".",
           cwd=source)
    made = output(*buildah, "from", f"localhost/{PACKAGE}").strip()
    return lambda *argv: output(*buildah, "run", "--isolation", "chroot", made, "--", *argv)


def lab_packages(group):
    with open(f"{REPO}/tests/lab/packages", encoding="utf-8") as file:
        text = re.search(rf"^\[{group}\]\n(.*?)(?=^\[|\Z)", file.read(), re.MULTILINE | re.DOTALL)[1]
    return {line for line in text.split("\n") if line and not line.startswith("#")}


class PackageBuildTest(unittest.TestCase):
    def test_reproducible(self):
        """package build: made again, in another folder, it is the same to the byte"""
        where = f"{folder}/another/and/longer/path"
        build_again(where)
        for package in packages:
            again = f"{where}/{os.path.basename(package)}"
            self.assertTrue(filecmp.cmp(package, again, shallow=False), f"{package} {again}")

    def test_rpm(self):
        """package build: the RPM has the same files, and its configuration is root's and nova's"""
        rpm = build_rpm()
        shown = output("rpm", "-qp", "--qf",
                       "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME}\n]", rpm)
        rows = {row.split()[0]: row.split()[1:] for row in shown.splitlines()}
        found = {path for path, (mode, *_) in rows.items() if not mode.startswith("d")
                 and not re.match("/usr/share/(doc|licenses)/|/usr/lib/.build-id/", path)}
        self.assertEqual(found, files_of_packages())
        self.assertEqual(rows[f"/etc/nova/{PACKAGE}.conf"], ["-rw-r-----", "root", "nova"])

    def test_container(self):
        """package build: container, package and lab are made with the same libraries"""
        built_with, runs_with = container_packages()
        libraries = {name for name in control_field("Build-Depends") if name.endswith("-dev")}
        self.assertEqual({name for name in built_with if name.endswith("-dev")} - {"libc6-dev"}, libraries)
        self.assertLessEqual(libraries, lab_packages("build"))
        needed = set(re.findall(r"lib[a-z0-9.+-]+", "".join(
            output("dpkg-deb", "-f", package, "Depends") for package in packages)))
        self.assertLessEqual(needed - EVERYWHERE - control_field("Depends"), runs_with)

    def test_container_image(self):
        """package build: the container is built on Debian 12 and 13, and all it runs is in it"""
        for release in ("bookworm", "trixie"):
            with self.subTest(release):
                run = container_image(release)
                self.assertIn(PACKAGE, run("nova-snapshot-agent", "--version"))
                self.assertIn("domain image", run("nova-snapshot", "--help"))
                run("qemu-img", "--version")
                self.assertEqual(run("stat", "-c", "%a", f"/var/lib/{PACKAGE}").strip(), "700")
                run("sh", "-c", "test -x /usr/lib/nova-snapshot-agent/entrypoint")
                run("sh", "-c", "ls /usr/lib/*/sasl2/libscram.so /usr/lib/*/qemu/block-rbd.so")


if __name__ == "__main__":
    tap.main()
