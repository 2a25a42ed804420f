#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent reads what nova-compute reads, and gets the same values out of it as Python does.

Each folder of conf/ is one cloud's /etc/nova in the style of a deployment tool, with the arguments
of its nova-compute (command) and its environment (environment). Both run in a mount namespace in
which it is /etc/nova.
"""

import json
import os
import pwd
import shlex
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

import tap
from agent import BINARY
from cloud import LAB, REPO
from oslo_config import cfg
from oslo_messaging import transport

CLOUDS = os.path.join(HERE, "conf")
SECRETS = ("Ap4ss", "Bp4ss", "Cp4ss", "Dp4ss", "Ep4ss", "Fp4ss", "Gp4ss", "Hp4ss", "Ip4ss", "Jp4ss",
           "p%40ss", "p@ss", "pa ss", "guest:guest")
HOST_NOT_READY = 3  # a good configuration whose folders are not on this host
NOT_NOVAS = {"snapshot_agent"}
NEWER = {"include_share_mapping", "images_cpu_time_limit", "images_address_space_limit",
         "rabbit_transient_quorum_queue", "rabbit_stream_fanout"}


def in_cloud(folder, argv, environment=None, home=""):
    """Runs argv with the folder as /etc/nova; ~ is that of nova-compute's user, perhaps another one."""
    novas_home = pwd.getpwnam("nova").pw_dir
    env = {"PATH": os.environ["PATH"], "HOME": novas_home, **(environment or {})}
    script = ('mount --bind "$1" /etc/nova && { [ -z "$2" ] || mount --bind "$2" "$3"; } && '
              'shift 3 && exec "$@"')
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                           folder, home, novas_home, *argv],
                          capture_output=True, text=True, timeout=300, check=False, env=env)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def hosts(text):
    """A transport URL as the agent shows it, its password already hidden."""
    if not text:
        return None
    conf = cfg.ConfigOpts()
    url = transport.TransportURL.parse(conf, text)
    return [[host.hostname or "localhost", host.port or 5672, host.username or "",
             host.password or ""] for host in url.hosts], url.virtual_host or ""


def parse(text):
    """{group: {name: value}}, {(group, name): where it is from}"""
    values, origins, group = {}, {}, None
    for line in text.splitlines():
        if line.startswith("["):
            group = line.replace("[", "").replace("]", "")
            values[group] = {}
        elif line and not line.startswith("#"):
            value, origin = line.rsplit("  # ", 1)
            name, value = value.split(" = ", 1)
            values[group][name] = value
            origins[group, name] = origin
    return values, origins


class SameAsNova(unittest.TestCase):
    maxDiff = None

    def ours(self, folder, arguments=(), environment=None, home=""):
        done = in_cloud(folder, [BINARY, *arguments, "--check-config"], environment, home)
        self.assertIn(done.returncode, (0, HOST_NOT_READY), done.stderr)
        for secret in SECRETS:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return *parse(done.stdout), done

    def theirs(self, folder, arguments=(), environment=None, home=""):
        done = in_cloud(folder, ["/usr/bin/python3", f"{HERE}/lib/nova_reads.py", *arguments],
                        environment, home)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def one(self, group, name, ours, theirs):
        if name == "transport_url":
            ours, theirs = hosts(ours), theirs and (theirs[0], theirs[1])
            theirs = None if theirs is None else ([list(host) for host in theirs[0]], theirs[1])
        if ours == "****":
            self.assertTrue(theirs, (group, name))
        elif theirs == "" and ours == "0":
            pass  # a number that is not set
        else:
            self.assertEqual(ours, theirs, f"[{group}]{name}")

    def compare(self, *place):
        """place: folder, arguments, environment, home"""
        ours, origins, done = self.ours(*place)
        theirs = self.theirs(*place)
        compared = 0
        for group, values in ours.items():
            if group in NOT_NOVAS:
                continue
            self.assertIn(group, theirs)
            for name, value in values.items():
                # Of a newer release, or of a plugin that is not the usual one.
                if name not in theirs[group]:
                    self.assertTrue(name in NEWER or name.startswith("application_"), (group, name))
                    continue
                self.one(group, name, value, theirs[group][name])
                compared += 1
        self.assertEqual("oslo_messaging_rabbit of notifications" in ours,
                         "oslo_messaging_rabbit of notifications" in theirs)
        self.assertGreater(compared, 95)
        return ours, origins, done

    def cloud(self, name):
        folder = f"{CLOUDS}/{name}"
        arguments, environment = [], {}
        if os.path.exists(f"{folder}/command"):
            with open(f"{folder}/command", encoding="utf-8") as text:
                arguments = shlex.split(text.read())
        if os.path.exists(f"{folder}/environment"):
            with open(f"{folder}/environment", encoding="utf-8") as text:
                environment = dict(line.rstrip("\n").split("=", 1) for line in text)
        return folder, arguments, environment

    def test_the_labs_files(self):
        """the lab's own nova.conf and nova-compute.conf"""
        self.compare(f"{LAB}/etc/nova", ["--config-file", f"{LAB}/etc/nova/nova.conf",
                                         "--config-file", f"{LAB}/etc/nova/nova-compute.conf"])

    def test_openstack_ansibles_query(self):
        """the query of the RPC URL is not applied to the notifications'"""
        ours, origins, _done = self.ours(f"{CLOUDS}/openstack-ansible")
        rpc, notifications = ours["oslo_messaging_rabbit"], ours["oslo_messaging_rabbit of notifications"]
        self.assertEqual((rpc["ssl"], notifications["ssl"]), ("true", "false"))
        self.assertEqual((rpc["rabbit_interval_max"], notifications["rabbit_interval_max"]),
                         ("30", "5"))
        self.assertEqual(origins["oslo_messaging_rabbit", "ssl"], "query of [DEFAULT]transport_url")
        self.assertEqual(ours["DEFAULT"]["transport_url"].split("?")[1],
                         "ssl=1&ssl_version=TLSv1_2&ssl_ca_file=/etc/ssl/certs/ca-certificates.crt")

    def test_where_values_are_from(self):
        """file and line, the environment, the deprecated name that was used, the default"""
        _ours, origins, _done = self.ours(f"{CLOUDS}/names-in-several-files", (),
                                          {"OS_LIBVIRT__RBD_USER": "e"})
        self.assertEqual(origins["DEFAULT", "state_path"], "/etc/nova/nova.conf:2")
        self.assertEqual(origins["service_user", "username"],
                         "/etc/nova/nova.conf:13, [service_user]user_name")
        self.assertEqual(origins["libvirt", "rbd_user"], "environment: OS_LIBVIRT__RBD_USER")
        self.assertEqual(origins["libvirt", "virt_type"], "default")

    def test_the_own_file_comes_last(self):
        """bare, the agent's own file is read after nova's; with --config-file it has to be named"""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in [("nova.conf", "[DEFAULT]\nhost = novas\n"),
                               ("nova-snapshot-agent.conf", "[DEFAULT]\nhost = own\n")]:
                write(f"{folder}/{name}", text)
            ours, _origins, done = self.ours(folder)
            self.assertEqual(ours["DEFAULT"]["host"], "own")
            read = [line for line in done.stdout.splitlines() if line.startswith("# read: ")]
            self.assertEqual(read, ["# read: /etc/nova/nova.conf",
                                    "# read: /etc/nova/nova-snapshot-agent.conf"])
            ours, _origins, _done = self.ours(folder, ["--config-file", "/etc/nova/nova.conf"])
            self.assertEqual(ours["DEFAULT"]["host"], "novas")

    def test_the_unit_reads_the_same(self):
        """the unit starts the agent as a bare command does"""
        with open(f"{REPO}/packaging/nova-snapshot-agent.service.in", encoding="utf-8") as unit:
            start = next(line for line in unit if line.startswith("ExecStart="))
        self.assertEqual(start, "ExecStart=@SBINDIR@/nova-snapshot-agent\n")

    def test_the_home_of_novas_user(self):
        """files in it come before those of /etc; what is another user's is not obeyed"""
        with tempfile.TemporaryDirectory() as etc, tempfile.TemporaryDirectory() as home, \
                tempfile.TemporaryDirectory() as snap:
            os.chmod(home, 0o755)
            write(f"{home}/.nova/nova.conf", "[DEFAULT]\nhost = of-the-home\nstate_path = /h\n")
            write(f"{home}/nova-compute.conf.d/1.conf", "[DEFAULT]\nstate_path = /folder\n")
            write(f"{etc}/nova.conf", "[DEFAULT]\nhost = of-etc\nrpc_response_timeout = 7\n")
            write(f"{snap}/etc/nova/nova-compute.conf", "[DEFAULT]\nmax_concurrent_snapshots = 9\n")
            place = (etc, [], {"SNAP_COMMON": snap}, home)
            ours, _origins, _done = self.compare(*place)
            self.assertEqual(ours["DEFAULT"]["host"], "of-the-home")
            self.assertEqual(ours["DEFAULT"]["state_path"], "/folder")
            self.assertEqual(ours["DEFAULT"]["max_concurrent_snapshots"], "9")
            os.chown(f"{home}/.nova/nova.conf", pwd.getpwnam("nobody").pw_uid, -1)
            done = in_cloud(etc, [BINARY, "--check-config"], place[2], home)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"reads {pwd.getpwnam('nova').pw_dir}/.nova/nova.conf, which belongs to",
                          done.stderr)

    def test_what_is_wrong_with_this_host(self):
        """missing folders are told, and the exit status says that the configuration is good"""
        with tempfile.TemporaryDirectory() as folder:
            write(f"{folder}/nova.conf",
                  "[DEFAULT]\ninstances_path = /nonexistent/instances\n"
                  "[libvirt]\nconnection_uri = qemu:///system?socket=/nonexistent/s\n")
            _ours, _origins, done = self.ours(folder)
            self.assertEqual(done.returncode, HOST_NOT_READY)
            self.assertIn("# FAILED: [DEFAULT]instances_path: /nonexistent/instances", done.stdout)
            self.assertIn("# FAILED: libvirt's socket: /nonexistent/s", done.stdout)
            self.assertIn("# good: qemu-img", done.stdout)

    def test_what_nova_only_warns_of(self):
        """what stops nova-compute neither does not stop the agent; it says what it does without"""
        service_user = ("[service_user]\nsend_service_user_token = true\nauth_type = {}\n"
                        "auth_url = http://k\nusername = n\npassword = p\nproject_name = s\n"
                        "user_domain_id = default\nproject_domain_id = default\n")
        for text, warning in [
                (service_user.format("v3oidcpassword"), "auth_type v3oidcpassword is not supported"),
                (service_user.format(""), "auth_type is not set"),
                (service_user.format("password"), ""),
                ("[service_user]\ntimeout = never\n", "'never' is no whole number"),
                ("[oslo_messaging_notifications]\ndriver =\ntopics = a,,b\n",
                 "driver: '' is not supported"),
                ("[oslo_messaging_notifications]\ntransport_url = kafka://k:9092/\n",
                 "no notifications are sent"),
                ("[DEFAULT]\ntransport_url = rabbit://u:p@h/?of_a_newer_oslo=1\n",
                 "'of_a_newer_oslo' in its query is unknown"),
                ("[DEFAULT]\nconfig_source = remote\n", "the options that nova gets from 'remote'"),
                ("[oslo_messaging_rabbit]\nkombu_compression = gzip\n", "kombu_compression is 'gzip'"),
                ("[DEFAULT]\ntransport_url = rabbit://u:p@h/?kombu_compression=bz2\n",
                 "kombu_compression is 'bz2'"),
                ("[oslo_messaging_rabbit]\nheartbeat_timeout_threshold = 100000\n",
                 "heartbeat_timeout_threshold is out of range: 65535 is used")]:
            with tempfile.TemporaryDirectory() as folder:
                write(f"{folder}/nova.conf", text)
                _ours, _origins, done = self.ours(folder)
                self.assertIn(warning, done.stderr, text)
                self.assertEqual("WARNING" in done.stderr, bool(warning), (text, done.stderr))

    def test_what_stops_nova_stops_the_agent(self):
        """values nova refuses are refused with file and line"""
        for text in ["[libvirt]\nvirt_type = vmware\n", "[DEFAULT]\nmax_concurrent_snapshots = -1\n",
                     "[DEFAULT]\ntransport_url = rabbit://u:p@h/?ssl=maybe\n",
                     "[glance]\nnum_retries = many\n", "[libvirt]\nsnapshots_directory = $no_such\n"]:
            with tempfile.TemporaryDirectory() as folder:
                write(f"{folder}/nova.conf", text)
                done = in_cloud(folder, [BINARY, "--check-config"])
                self.assertEqual(done.returncode, 1, (text, done))
                self.assertRegex(done.stderr, r"/etc/nova/nova.conf:2|transport_url: ssl: ")


def add_cloud(name):
    def test(self):
        self.compare(*self.cloud(name))
    test.__doc__ = f"{name}: accepted, and every value is nova's"
    setattr(SameAsNova, f"test_cloud_{name.replace('-', '_')}", test)


for cloud_name in sorted(os.listdir(CLOUDS)):
    add_cloud(cloud_name)

if __name__ == "__main__":
    tap.main()
