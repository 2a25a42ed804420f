# SPDX-License-Identifier: Apache-2.0
"""What nova-compute gets from its configuration: nova_reads.py ARGUMENT..., as JSON.

Nova's own options, and those oslo.messaging and keystoneauth register when they are used. The
options of RabbitMQ are as oslo.messaging's driver sees them: with the query of a transport URL.
"""

import json
import logging
import sys

import nova.conf
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log
from oslo_messaging import transport
from oslo_messaging._drivers import amqp, base, common, impl_rabbit
from oslo_messaging.notify import notifier
from oslo_messaging.rpc import client
from oslo_service import _options

CONF = nova.conf.CONF
GROUPS = ["libvirt", "workarounds", "ephemeral_storage_encryption", "compute", "glance", "cinder",
          "oslo_messaging_notifications", "notifications"]
TYPOS = {"rabbit_quroum_max_memory_length": "rabbit_quorum_max_memory_length",
         "rabbit_quroum_max_memory_bytes": "rabbit_quorum_max_memory_bytes"}


def shown(value):
    """As the agent writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


def hosts(url):
    return [[host.hostname or "localhost", host.port or 5672, host.username or "",
             "****" if host.password else ""] for host in url.hosts], url.virtual_host or ""


def values_of(holder):
    found = {}
    for name in holder:
        try:
            value = holder[name]
        except (KeyError, AttributeError, NotImplementedError, cfg.Error):
            continue
        if not isinstance(value, CONF.GroupAttr):
            found[TYPOS.get(name, name)] = shown(value)
    return found


def rabbit(url):
    return values_of(common.ConfigOptsProxy(CONF, url, "oslo_messaging_rabbit")["oslo_messaging_rabbit"])


def main():
    logging.disable(logging.CRITICAL)
    log.register_options(CONF)
    # Those of the pool are among the first since 2025.1.
    CONF.register_opts(impl_rabbit.rabbit_opts + amqp.amqp_opts + getattr(base, "base_opts", []),
                       "oslo_messaging_rabbit")
    CONF.register_opts(notifier._notifier_opts, "oslo_messaging_notifications")
    CONF.register_opts(transport._transport_opts)
    CONF.register_opts(client._client_opts)
    CONF.register_opts(_options.service_opts)
    transport.set_transport_defaults(control_exchange="nova")
    CONF(sys.argv[1:], project="nova", prog="nova-compute")
    section = CONF.service_user.auth_section or "service_user"
    plugin = [loading.conf._AUTH_TYPE_OPT._to_oslo_opt()]
    plugin += loading.get_auth_plugin_conf_options("password")
    CONF.register_opts(plugin, section)
    url = transport.TransportURL.parse(CONF)
    own = CONF.oslo_messaging_notifications.transport_url
    user = values_of(CONF.service_user)
    user.update({opt.dest: shown(CONF[section][opt.dest]) for opt in plugin})
    result = {"DEFAULT": values_of(CONF), "service_user": user, "oslo_messaging_rabbit": rabbit(url)}
    result.update({group: values_of(CONF[group]) for group in GROUPS})
    if own:
        result["oslo_messaging_rabbit of notifications"] = rabbit(transport.TransportURL.parse(CONF, own))
    result["DEFAULT"]["transport_url"] = hosts(url)
    result["oslo_messaging_notifications"]["transport_url"] = own and hosts(
        transport.TransportURL.parse(CONF, own))
    json.dump(result, sys.stdout)


main()
