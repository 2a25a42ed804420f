#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is around the agents, made of the real oslo.messaging: JSON lines on stdin and stdout.

oslo_hosts.py URL computes HOST...   a nova-compute for each, as the broker sees them
oslo_hosts.py URL conductor          knows no instance; tells what is begun
oslo_hosts.py URL caster             casts snapshots, as nova-api
"""

import json
import os
import sys
import threading

import oslo_messaging
from nova import exception
from oslo_config import cfg

HERE = os.path.dirname(os.path.abspath(__file__))
CAPTURED = f"{HERE}/../unit/agent/data/snapshot_instance.json"
lock = threading.Lock()


def emit(**event):
    with lock:
        print(json.dumps(event), flush=True)


def new_transport(url):
    """One of its own, as each process of nova has: no connection is shared."""
    return oslo_messaging.get_rpc_transport(cfg.CONF, url=url,
                                            allowed_remote_exmods=["nova.exception"])


def new_client(transport, **target):
    return oslo_messaging.RPCClient(transport, oslo_messaging.Target(exchange="nova", **target),
                                    timeout=60)


def new_server(transport, topic, host, endpoint):
    return oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(exchange="nova", topic=topic, server=host), [endpoint],
        executor="threading", access_policy=oslo_messaging.DefaultRPCAccessPolicy)


class Compute:
    target = oslo_messaging.Target(version="6.1")

    def __init__(self, host):
        self.host = host

    def snapshot_instance(self, ctxt, image_id, instance):
        emit(event="served", by=self.host, image=image_id)


class Conductor:
    target = oslo_messaging.Target(version="3.0")

    def report_state(self, ctxt):
        return True

    def object_action(self, ctxt, objinst, objmethod, args, kwargs):
        raise exception.InstanceNotFound(instance_id="u")

    def object_class_action_versions(self, ctxt, objname, objmethod, object_versions, args, kwargs):
        if objmethod == "event_start":
            emit(event="begun", image=ctxt["request_id"].removeprefix("req-"))
        raise exception.InstanceNotFound(instance_id="u")


def run_computes(url, hosts):
    """Each calls once: a nova-compute does so all the time, and has the connections for it."""
    servers = []
    for host in hosts:
        transport = new_transport(url)
        servers.append(new_server(transport, "compute", host, Compute(host)))
        servers[-1].start()
        new_client(transport, topic="conductor", version="3.0").call({}, "report_state")
    emit(event="started")
    sys.stdin.read()


def run_conductor(url):
    server = new_server(new_transport(url), "conductor", "conductor", Conductor())
    server.start()
    emit(event="started")
    sys.stdin.read()


def cast_all(client, message, casts):
    """Those that oslo has not sent are its caller's: as nova-api, we would tell the user."""
    context = {key.removeprefix("_context_"): value for key, value in message.items()
               if key.startswith("_context_")}
    instance = message["args"]["instance"]
    unsent = []
    for number, (host, image) in enumerate(casts):
        context["request_id"] = f"req-{image}"
        instance["nova_object.data"].update(uuid=image, host=host)
        try:
            client.prepare(server=host, version="6.0").cast(
                context, "snapshot_instance", image_id=image, instance=instance)
        except oslo_messaging.MessagingException as error:
            unsent.append((image, str(error)))
        if number == len(casts) // 2:
            emit(event="half")
    return unsent


def run_caster(url):
    with open(CAPTURED, encoding="utf-8") as file:
        message = json.load(file)
    client = new_client(new_transport(url), topic="compute")
    emit(event="started")
    for line in sys.stdin:
        command = json.loads(line)
        emit(event="result", id=command["id"], unsent=cast_all(client, message, command["casts"]))


def main():
    url, role, *hosts = sys.argv[1:]
    cfg.CONF([], project="scale", default_config_files=[])
    oslo_messaging.set_transport_defaults("nova")
    if role == "computes":
        run_computes(url, hosts)
    elif role == "conductor":
        run_conductor(url)
    else:
        run_caster(url)


main()
