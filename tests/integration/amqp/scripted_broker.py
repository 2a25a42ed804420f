# SPDX-License-Identifier: Apache-2.0
"""A broker of AMQP 0-9-1 that does what a script says, over loopback.

It knows one queue that matters, compute.<host>, beside whose consumer stands a nova-compute that
takes at once whatever the bus under test does not have. All else is confirmed: declarations,
published messages, and calls to the conductor, which are answered with their own arguments.

A mode is a function `mode(connection, point)` that is asked before each method of the peer is
dealt with (its name: "basic.ack"), and at "accept", "deliver" and "attached". It may answer for
itself and return True; or raise Cut (the connection is closed), Reset (with a RST) or Mute (the
connection is read and nothing is answered any more).
"""

import json
import socket
import struct
import threading
import time
import uuid

METHODS = {
    (10, 11): "connection.start-ok", (10, 31): "connection.tune-ok", (10, 40): "connection.open",
    (10, 50): "connection.close", (10, 51): "connection.close-ok", (20, 10): "channel.open",
    (20, 40): "channel.close", (20, 41): "channel.close-ok", (40, 10): "exchange.declare",
    (50, 10): "queue.declare", (50, 20): "queue.bind", (50, 40): "queue.delete",
    (60, 10): "basic.qos", (60, 20): "basic.consume", (60, 30): "basic.cancel",
    (60, 40): "basic.publish", (60, 80): "basic.ack", (60, 90): "basic.reject",
    (60, 120): "basic.nack", (85, 10): "confirm.select",
}
FRAME_MAX = 131072
SERVER_CHANNEL = 1  # of the consuming connection


class Cut(Exception):
    pass


class Reset(Exception):
    pass


class Mute(Exception):
    pass


def shortstr(text):
    data = text.encode()
    return bytes([len(data)]) + data


def longstr(data):
    return struct.pack(">I", len(data)) + data


def frame(kind, channel, payload, length=None, end=0xCE):
    length = len(payload) if length is None else length
    return struct.pack(">BHI", kind, channel, length) + payload + bytes([end])


def method(channel, class_id, method_id, arguments=b"", **odd):
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments, **odd)


def nested_tables(depth):
    """A table in a table in a table, of nameless keys; six bytes each."""
    table = b""
    for _ in range(depth):
        table = b"\0F" + longstr(table)
    return table


def envelope(message):
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


def request(name, number, **keys):
    return {"method": name, "args": {"number": number, "keep": True}, "version": "6.0",
            "_unique_id": uuid.uuid4().hex, "_context_request_id": f"req-{number}", **keys}


class Connection(threading.Thread):
    def __init__(self, broker, sock):
        super().__init__(daemon=True)
        self.broker, self.sock = broker, sock
        self.lock = threading.Lock()  # of what is sent
        self.consumers = {}  # tag -> (channel, queue)
        self.unacked = {}  # delivery tag -> message
        self.n_delivered = 0
        self.n_published = 0
        self.is_mute = False
        self.publishing = None

    def send(self, data):
        try:
            with self.lock:
                self.sock.sendall(data)
        except OSError:
            pass

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise Cut
            data += part
        return data

    def asks(self, point):
        return self.broker.mode is not None and self.broker.mode(self, point)

    def run(self):
        try:
            self.talk()
        except (Cut, OSError):
            pass
        except Reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.broker.forget(self)
        self.sock.close()

    def talk(self):
        try:
            if not self.asks("accept"):
                self.read(8)
                self.send_start()
            while True:
                self.take_frame()
        except Mute:
            self.is_mute = True
            while self.sock.recv(65536):
                pass

    def send_start(self, properties=b"", mechanisms=b"PLAIN AMQPLAIN", **odd):
        self.send(method(0, 10, 10, b"\0\x09" + longstr(properties) + longstr(mechanisms) +
                         longstr(b"en_US"), **odd))

    def take_frame(self):
        kind, channel, length = struct.unpack(">BHI", self.read(7))
        payload = self.read(length)
        self.read(1)
        if kind == 1:
            self.take_method(channel, payload)
        elif kind == 2 and self.publishing is not None:
            self.publishing["size"] = struct.unpack(">Q", payload[4:12])[0]
        elif kind == 3 and self.publishing is not None:
            self.publishing["body"] += payload
        if self.publishing and len(self.publishing["body"]) == self.publishing.get("size"):
            done, self.publishing = self.publishing, None
            self.published(done)

    def take_method(self, channel, payload):
        self.channel = channel
        name = METHODS.get(struct.unpack(">HH", payload[:4]), "?")
        self.arguments = payload[4:]
        if not self.asks(name):
            handler = getattr(self, name.replace(".", "_").replace("-", "_"), None)
            if handler:
                handler(channel, self.arguments)

    @staticmethod
    def name_at(data, offset):
        return data[offset + 1:offset + 1 + data[offset]].decode(), offset + 1 + data[offset]

    def connection_start_ok(self, _channel, _data):
        self.send_tune()

    def send_tune(self, channel_max=2047, frame_max=FRAME_MAX, heartbeat=60):
        self.send(method(0, 10, 30, struct.pack(">HIH", channel_max, frame_max, heartbeat)))

    def connection_open(self, _channel, _data):
        self.send(method(0, 10, 41, b"\0"))

    def connection_close(self, _channel, _data):
        self.send(method(0, 10, 51))
        raise Cut

    def close(self, code, text="scripted"):
        self.send(method(0, 10, 50, struct.pack(">H", code) + shortstr(text) + b"\0\0\0\0"))

    def close_channel(self, code, text="scripted", channel=None):
        channel = self.channel if channel is None else channel
        self.send(method(channel, 20, 40, struct.pack(">H", code) + shortstr(text) + b"\0\0\0\0"))
        self.broker.forget(self, channel)

    def channel_open(self, channel, _data):
        self.send(method(channel, 20, 11, b"\0\0\0\0"))

    def channel_close(self, channel, _data):
        self.send(method(channel, 20, 41))

    def exchange_declare(self, channel, _data):
        self.send(method(channel, 40, 11))

    def queue_declare(self, channel, data):
        name, _ = self.name_at(data, 2)
        counts = (0, self.broker.n_consumers()) if name == self.broker.queue else (0, 0)
        self.send(method(channel, 50, 11, shortstr(name) + struct.pack(">II", *counts)))

    def queue_bind(self, channel, _data):
        self.send(method(channel, 50, 21))

    def queue_delete(self, channel, _data):
        self.send(method(channel, 50, 41, b"\0\0\0\0"))

    def basic_qos(self, channel, _data):
        self.send(method(channel, 60, 11))

    def confirm_select(self, channel, _data):
        self.send(method(channel, 85, 11))

    def basic_consume(self, channel, data):
        queue, offset = self.name_at(data, 2)
        tag, offset = self.name_at(data, offset)
        if not data[offset] & 8:
            self.send(method(channel, 60, 21, shortstr(tag)))
        self.consumers[tag] = (channel, queue)
        if queue == self.broker.queue:
            self.broker.attached(self)

    def basic_cancel(self, channel, data):
        tag, offset = self.name_at(data, 0)
        self.broker.cancel(self, tag)
        if not data[offset] & 1:
            self.send(method(channel, 60, 31, shortstr(tag)))

    def basic_publish(self, channel, data):
        exchange, offset = self.name_at(data, 2)
        key, _ = self.name_at(data, offset)
        self.publishing = {"channel": channel, "exchange": exchange, "key": key, "body": b""}

    def published(self, message):
        self.n_published += 1
        self.last = message
        if not self.asks("published"):
            self.send(method(message["channel"], 60, 80, struct.pack(">QB", self.n_published, 0)))
            self.broker.answer(message)

    def basic_ack(self, channel, data):
        if channel == SERVER_CHANNEL:
            self.broker.settle(self, struct.unpack(">Q", data[:8])[0], True)

    def basic_nack(self, channel, data):
        if channel == SERVER_CHANNEL:
            self.broker.settle(self, struct.unpack(">Q", data[:8])[0], False)

    def own_consumer(self):
        """(channel, tag) of the consumer of compute.<host>, or None."""
        for tag, (channel, queue) in list(self.consumers.items()):
            if queue == self.broker.queue:
                return channel, tag
        return None

    def deliver(self, body, tag=None, consumer=None, properties=None, size=None, parts=None,
                channel=None):
        own = self.own_consumer() or (SERVER_CHANNEL, "1")
        channel = own[0] if channel is None else channel
        if tag is None:
            self.n_delivered += 1
            tag = self.n_delivered
        if properties is None:
            properties = struct.pack(">H", 0x8000) + shortstr("application/json")
        head = method(channel, 60, 60, shortstr(own[1] if consumer is None else consumer) +
                      struct.pack(">QB", tag, 0) + shortstr("nova") + shortstr(self.broker.queue))
        head += frame(2, channel, struct.pack(">HHQ", 60, 0, len(body) if size is None else size) +
                      properties)
        if parts is None:
            step = FRAME_MAX - 8
            parts = [body[i:i + step] for i in range(0, len(body), step)]
        self.send(head + b"".join(frame(3, channel, part) for part in parts))
        return tag


class ScriptedBroker:
    def __init__(self, host, mode=None):
        self.queue = f"compute.{host}"
        self.mode = mode
        self.lock = threading.RLock()
        self.connections = []
        self.waiting = []  # until the bus under test consumes for the first time
        self.compute = []  # the numbers of what nova-compute has got
        self.acked = []  # the numbers of what the bus has acked
        self.state = {}  # of the mode
        self.port = 0
        self.listen()

    def listen(self):
        """Again on the same port, when close() was called before."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock)
            with self.lock:
                self.connections.append(connection)
            connection.start()

    def once(self, what):
        with self.lock:
            is_first = what not in self.state
            self.state[what] = True
            return is_first

    def consuming(self):
        for connection in self.connections:
            if connection.own_consumer():
                return connection
        return None

    def n_consumers(self):
        return 1 + (self.consuming() is not None)

    def attached(self, connection):
        if connection.asks("attached"):
            return
        with self.lock:
            waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.route(message)

    def route(self, message):
        """To the bus, which has the priority, else to nova-compute, which is always there."""
        with self.lock:
            connection = self.consuming()
            if connection is None:
                self.compute.append(message["args"]["number"])
                return
            connection.unacked[connection.n_delivered + 1] = message
            if not connection.asks("deliver"):
                connection.deliver(message.get("body") or envelope(message))

    def settle(self, connection, tag, is_ack):
        with self.lock:
            message = connection.unacked.pop(tag, None)
            if message is None:
                connection.close_channel(406, "PRECONDITION_FAILED - unknown delivery tag")
            elif is_ack:
                self.acked.append(message["args"]["number"])
            else:
                self.route(message)

    def cancel(self, connection, tag):
        with self.lock:
            connection.consumers.pop(tag, None)

    def forget(self, connection, channel=None):
        """What a connection or channel that is gone had not acked goes to somebody else."""
        with self.lock:
            if channel is None and connection in self.connections:
                self.connections.remove(connection)
            for tag, (of_channel, _) in list(connection.consumers.items()):
                if channel in (None, of_channel):
                    del connection.consumers[tag]
            if channel in (None, SERVER_CHANNEL):
                left, connection.unacked = connection.unacked, {}
                for message in left.values():
                    self.route(message)

    def answer(self, message):
        """A conductor that answers with the arguments of the call."""
        if message["key"] != "conductor":
            return
        call = json.loads(json.loads(message["body"])["oslo.message"])
        reply = {"result": call["args"], "failure": None, "ending": True,
                 "_msg_id": call["_msg_id"], "_unique_id": uuid.uuid4().hex}
        for connection in list(self.connections):
            for tag, (channel, queue) in list(connection.consumers.items()):
                if queue == call["_reply_q"]:
                    connection.deliver(envelope(reply), consumer=tag, channel=channel)

    def hold(self, name, number, **keys):
        self.waiting.append(request(name, number, **keys))

    def offer(self, name, number, **keys):
        self.route(request(name, number, **keys))

    def offer_body(self, connection, body):
        """A message that is no request: nova-compute gets it as number 80."""
        with self.lock:
            connection.unacked[connection.n_delivered + 1] = {"args": {"number": 80}, "body": body}
            connection.deliver(body)

    @staticmethod
    def later(seconds, connection, data):
        threading.Timer(seconds, connection.send, [data]).start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # frees who waits in accept()
        except OSError:
            pass
        self.listener.close()
        for connection in list(self.connections):
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def pause(seconds):
    time.sleep(seconds)
