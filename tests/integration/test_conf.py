#!/usr/bin/python3
"""The agent reads a nova.conf as nova itself does: the same values for the same files."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import tap
from agent import BINARY
from cloud import LAB

DIFFICULT = """
[DEFAULT]
host: with-colon
state_path = "/quoted path"
my_own = /mine
instances_path = ${state_path}/$my_own$$x
transport_url = rabbit://u:p%40ss@h:5672/,
max_concurrent_snapshots = 7
debug = ON
rabbit_retry_backoff = 4
[libvirt]
snapshots_directory = $instances_path/a
# a comment

snapshot_image_format=raw
snapshot_compression : yes
snapshot_compression = no
[glance]
api_servers = http://a:1/ , http://b,
valid_interfaces = public
    ,admin
api_insecure = true
[service_user]
user-name = someone
auth_url = http://k
password = 'pa ss'
[oslo_messaging_notifications]
driver = one
driver = two
"""


def effective(*files):
    argv = [BINARY]
    for name in files:
        argv += ["--config-file", name]
    done = subprocess.run([*argv, "--check-config"], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0, done.stderr
    values, group = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("["):
            group = line[1:-1]
        elif line:
            name, value = line.split(" = ", 1) if " = " in line else (line.rstrip(" ="), "")
            values[group, name] = value
    return values


def novas(*files):
    """The same through nova.conf; oslo.messaging and keystoneauth register theirs on use."""
    code = """
import sys
import nova.conf
from oslo_messaging._drivers import amqp, impl_rabbit
from keystoneauth1 import loading
from oslo_messaging.notify import notifier
CONF = nova.conf.CONF
CONF.register_opts(impl_rabbit.rabbit_opts + amqp.amqp_opts, 'oslo_messaging_rabbit')
CONF.register_opts(notifier._notifier_opts, 'oslo_messaging_notifications')
CONF.register_opts(loading.get_auth_plugin_conf_options('password'), 'service_user')
files = sys.argv[1:]
CONF([a for f in files for a in ('--config-file', f)], project='nova', default_config_files=[])
def show(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ','.join(value)
    return '' if value is None else str(value)
for group in ('DEFAULT', 'libvirt', 'workarounds', 'ephemeral_storage_encryption', 'compute', 'glance',
              'service_user', 'oslo_messaging_rabbit', 'oslo_messaging_notifications', 'notifications'):
    holder = CONF if group == 'DEFAULT' else CONF[group]
    for name in holder:
        try:
            print(f'{group}\\t{name}\\t{show(holder[name])!r}')
        except (KeyError, AttributeError, NotImplementedError, nova.conf.cfg.Error):
            pass
"""
    done = subprocess.run(["/usr/bin/python3", "-c", code, *files], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {tuple(line.split("\t")[:2]): eval(line.split("\t")[2])
            for line in done.stdout.splitlines()}


class SameAsNova(unittest.TestCase):
    maxDiff = None

    def compare(self, *files):
        ours, theirs = effective(*files), novas(*files)
        common = {key for key in ours if key in theirs and ours[key] != "****"}
        # Debian's nova and ours default to the same; unset numbers show as 0 here.
        self.assertGreater(len(common), 50)
        self.assertEqual({key: ours[key] for key in common},
                         {key: theirs[key] or ("0" if ours[key] == "0" else "") for key in common})

    def test_the_labs_files(self):
        """the lab's own nova.conf and nova-compute.conf"""
        self.compare(f"{LAB}/etc/nova/nova.conf", f"{LAB}/etc/nova/nova-compute.conf")

    def test_difficult_file(self):
        """continuations, quotes, substitution, lists, deprecated names"""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as out:
            out.write(DIFFICULT)
            out.flush()
            self.compare(out.name)


if __name__ == "__main__":
    tap.main()
