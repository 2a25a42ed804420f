#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is around the agents, made of the real oslo.messaging: JSON lines on stdin and stdout.

oslo_hosts.py URL computes HOST...   a nova-compute for each, as the broker sees them
oslo_hosts.py URL conductor          has the task states of all servers, tells who takes a request
oslo_hosts.py URL caster             casts snapshots, as nova-api
"""

import json
import os
import sys
import threading

import oslo_messaging
from nova import exception
from oslo_config import cfg
from oslo_messaging._drivers import amqpdriver

from names import host_of

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
                                    timeout=20)


def new_server(transport, topic, host, endpoint):
    return oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(exchange="nova", topic=topic, server=host), [endpoint],
        executor="threading", access_policy=oslo_messaging.DefaultRPCAccessPolicy)


class Told(amqpdriver.AMQPIncomingMessage):
    """Tells its endpoint which message it is: a broker gives one out again whose ack it has not
    seen, and of those oslo.messaging knows the last 16 again."""

    def __init__(self, listener, ctxt, message, unique_id, *rest):
        super().__init__(listener, {**ctxt, "unique_id": unique_id}, message, unique_id, *rest)


class Compute:
    target = oslo_messaging.Target(version="6.1")

    def __init__(self, client):
        self.client = client

    def snapshot_instance(self, ctxt, image_id, instance):
        """Asked again when the broker has lost the answer."""
        for again in (False, True):
            try:
                self.client.call({}, "begin", server=image_id, again=again)
                return
            except oslo_messaging.MessagingTimeout:
                continue


def list_of(name, *objects):
    return {"nova_object.name": name, "nova_object.namespace": "nova", "nova_object.version": "1.1",
            "nova_object.data": {"objects": [{"nova_object.data": data} for data in objects]}}


class Conductor:
    """Keeps task states as nova-api has left them; whoever moves one on has taken the request."""

    target = oslo_messaging.Target(version="3.0")

    def __init__(self):
        self.lock = threading.Lock()
        self.states = {}
        self.takers = {}
        self.starts = {}  # how often each request was begun
        self.moves = set()

    def report_state(self, ctxt):
        return True

    def state(self, server):
        return self.states.get(server, "image_snapshot_pending")

    def start(self, server):
        with self.lock:
            self.starts[server] = self.starts.get(server, 0) + 1

    def move(self, message, server, state, expected, taker):
        """As Instance.save() does; a nova-compute that is refused here deletes the image. Nothing
        is taken by what comes again, by the broker or from the only one who has begun the request,
        nor by what would leave the state as it is."""
        with self.lock:
            found = self.state(server)
            is_again = message in self.moves or (found == state and self.starts.get(server) == 1)
            self.moves.add(message)
            if expected and found not in expected:
                if is_again:
                    emit(event="repeated", by=taker, server=server)
                elif state not in expected:
                    emit(event="refused", by=taker, server=server, state=found)
                raise exception.UnexpectedTaskStateError(
                    instance_uuid=server, expected={"task_state": expected},
                    actual={"task_state": found})
            self.states[server] = state
            if state is None:
                emit(event="ended", by=taker, server=server)
            if found == "image_snapshot_pending" and state != found:
                self.takers[server] = taker
                emit(event="taken", by=taker, server=server)

    def begin(self, ctxt, server, again):
        self.start(server)
        if not again or self.takers.get(server) != "nova-compute":
            self.move(ctxt["unique_id"], server, "image_snapshot", ["image_snapshot_pending"],
                      "nova-compute")

    def object_action(self, ctxt, objinst, objmethod, args, kwargs):
        data = objinst["nova_object.data"]
        if objinst["nova_object.name"] == "Instance" and "task_state" in data:
            self.move(ctxt["unique_id"], data["uuid"], data["task_state"],
                      kwargs.get("expected_task_state"), "agent")
        return [{}, None]

    def object_class_action_versions(self, ctxt, objname, objmethod, object_versions, args, kwargs):
        if objmethod == "event_start":
            self.start(args[0])
        if objname == "InstanceActionList":
            return list_of(objname, {"id": args[0], "action": "createImage",
                                     "request_id": f"req-{args[0]}"})
        if objname == "InstanceActionEventList":
            return list_of(objname, *[{"event": "compute_snapshot_instance"}]
                           * self.starts.get(args[0], 0))
        if objname != "Instance":
            return None
        return {"nova_object.name": "Instance", "nova_object.namespace": "nova",
                "nova_object.version": object_versions["Instance"], "nova_object.changes": [],
                "nova_object.data": {"uuid": args[0], "host": host_of(args[0]),
                                     "vm_state": "active", "task_state": self.state(args[0])}}


def run_computes(url, hosts):
    """Each calls once: a nova-compute does so all the time, and has the connections for it."""
    servers = []
    for host in hosts:
        transport = new_transport(url)
        conductor = new_client(transport, topic="conductor", version="3.0")
        servers.append(new_server(transport, "compute", host, Compute(conductor)))
        servers[-1].start()
        conductor.call({}, "report_state")
    emit(event="started")
    sys.stdin.read()


def run_conductor(url):
    amqpdriver.RpcAMQPListener.message_cls = Told
    server = new_server(new_transport(url), "conductor", "conductor", Conductor())
    server.start()
    emit(event="started")
    sys.stdin.read()


def cast_all(client, message, servers):
    """Those that oslo has not sent are its caller's: as nova-api, we would tell the user."""
    context = {key.removeprefix("_context_"): value for key, value in message.items()
               if key.startswith("_context_")}
    instance = message["args"]["instance"]
    unsent = []
    for number, server in enumerate(servers):
        context["request_id"] = f"req-{server}"
        instance["nova_object.data"].update(uuid=server, host=host_of(server))
        try:
            client.prepare(server=host_of(server), version="6.0").cast(
                context, "snapshot_instance", image_id=server, instance=instance)
        except oslo_messaging.MessagingException as error:
            unsent.append((server, str(error)))
        if number == len(servers) // 2:
            emit(event="half")
    return unsent


def run_caster(url):
    with open(CAPTURED, encoding="utf-8") as file:
        message = json.load(file)
    client = new_client(new_transport(url), topic="compute")
    emit(event="started")
    for line in sys.stdin:
        command = json.loads(line)
        emit(event="result", id=command["id"], unsent=cast_all(client, message, command["servers"]))


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
    os._exit(0)  # oslo's threads go on


main()
