#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A peer made of the real oslo.messaging: JSON lines on stdin and stdout, as bus_peer.c.

oslo_peer.py URL server TOPIC HOST      serves RPC, as nova-compute or nova-conductor would;
                                        HOST "gone": a nova-conductor that knows no instance
oslo_peer.py URL client                 calls and casts
oslo_peer.py URL listener TOPIC...      receives notifications
Options of [oslo_messaging_rabbit] may be given in the URL's query.
"""

import json
import os
import sys
import threading
import time

import oslo_messaging
from nova import exception
from oslo_config import cfg

lock = threading.Lock()


def emit(**event):
    with lock:
        print(json.dumps(event), flush=True)


def wait_for_file(path):
    for _ in range(600):
        if os.path.exists(path):
            return
        time.sleep(0.1)


class Manager:
    """What both nova-compute and nova-conductor stand for here."""

    target = oslo_messaging.Target(version="6.1")

    def __init__(self, name):
        self.name = name

    def note(self, method, args):
        emit(event="served", by=self.name, method=method, args=args)

    def snapshot_instance(self, ctxt, **args):
        self.note("snapshot_instance", args)

    def reboot_instance(self, ctxt, **args):
        self.note("reboot_instance", args)

    def get_console_output(self, ctxt, **args):
        self.note("get_console_output", args)
        return {"output": args.get("number")}

    def object_action(self, ctxt, **args):
        self.note("object_action", args)
        if args.get("seconds"):
            time.sleep(args["seconds"])
        if args.get("until"):
            wait_for_file(args["until"])
        if args.get("conflict"):
            raise exception.UnexpectedDeletingTaskStateError(
                instance_uuid="u", expected={"task_state": ["image_snapshot", None]},
                actual={"task_state": "deleting"})
        return [args, None]


class Conductor(Manager):
    target = oslo_messaging.Target(version="3.0")


class Gone(Manager):
    """A conductor whose instances are gone, as it says after a while."""

    target = oslo_messaging.Target(version="3.0")

    def answer(self, method, args):
        self.note(method, args)
        time.sleep(2)
        raise exception.InstanceNotFound(instance_id="u")

    def object_action(self, ctxt, **args):
        self.answer("object_action", args)

    def object_class_action_versions(self, ctxt, **args):
        self.answer("object_class_action_versions", args)


class Notifications:
    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        emit(event="notification", priority="info", context=ctxt, publisher_id=publisher_id,
             event_type=event_type, payload=payload, metadata=metadata)

    def error(self, ctxt, publisher_id, event_type, payload, metadata):
        emit(event="notification", priority="error", context=ctxt, publisher_id=publisher_id,
             event_type=event_type, payload=payload, metadata=metadata)


def run_client(transport):
    for line in sys.stdin:
        command = json.loads(line)
        target = oslo_messaging.Target(exchange="nova", topic=command.get("topic", "compute"),
                                       server=command.get("server"),
                                       namespace=command.get("namespace"),
                                       fanout=command.get("fanout"))
        client = oslo_messaging.RPCClient(
            transport, target, timeout=command.get("timeout", 10),
            call_monitor_timeout=command.get("call_monitor_timeout"))
        context = client.prepare(version=command.get("version", "6.0"))
        ctxt = {"request_id": "req-client", "is_admin": True}
        start = time.monotonic()
        event = {"id": command["id"]}
        try:
            do = context.call if command["do"] == "call" else context.cast
            event["result"] = do(ctxt, command["method"], **command.get("args", {}))
            event["event"] = "result"
        except Exception as error:
            event.update(event="error", exc=type(error).__name__, message=str(error),
                         remote=getattr(error, "exc_type", None),
                         code=getattr(error, "kwargs", {}).get("code"))
        emit(ms=(time.monotonic() - start) * 1000, **event)


def main():
    url, role, *rest = sys.argv[1:]
    conf = cfg.CONF
    conf([], project="peer", default_config_files=[])
    oslo_messaging.set_transport_defaults("nova")
    if role == "listener":
        transport = oslo_messaging.get_notification_transport(conf, url=url)
        targets = [oslo_messaging.Target(exchange="nova", topic=topic) for topic in rest]
        server = oslo_messaging.get_notification_listener(transport, targets, [Notifications()],
                                                          executor="threading")
    else:
        transport = oslo_messaging.get_rpc_transport(conf, url=url,
                                                     allowed_remote_exmods=["nova.exception"])
        if role == "client":
            emit(event="started")
            run_client(transport)
            return
        topic, host = rest
        kind = Gone if host == "gone" else Conductor if topic == "conductor" else Manager
        endpoint = kind(host)
        server = oslo_messaging.get_rpc_server(
            transport, oslo_messaging.Target(exchange="nova", topic=topic, server=host),
            [endpoint], executor="threading", access_policy=oslo_messaging.DefaultRPCAccessPolicy)
    server.start()
    emit(event="started")
    sys.stdin.read()
    server.stop()
    server.wait()
    transport.cleanup()


main()
