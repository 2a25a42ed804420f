# SPDX-License-Identifier: Apache-2.0
"""A RabbitMQ as from 4.3 on: it denies queues that are neither durable nor exclusive.

For brokers that cannot, and peers that know no other queues: those go past it.
"""

import socket
import struct
import threading

PASSIVE, DURABLE, EXCLUSIVE = 1, 2, 4
QUEUE_DECLARE = (50, 10)
CONNECTION_CLOSE = (10, 50)
DENIAL = (b"INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\n"
          b"By default, this feature is not permitted anymore.")


class DenyingProxy:
    """In front of the broker on `port`. `denials`: how many declarations it has refused."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.denials = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self.upward, args=(client, server), daemon=True).start()
            threading.Thread(target=copy, args=(server, client), daemon=True).start()

    def upward(self, client, server):
        """Frame by frame, behind the protocol's header."""
        try:
            source = client.makefile("rb")
            server.sendall(source.read(8))
            while head := source.read(7):
                kind, _, size = struct.unpack(">BHI", head)
                payload = source.read(size + 1)
                if kind == 1 and self.is_denied(payload):
                    self.denials += 1
                    client.sendall(closing())
                    source.read(1)  # until it goes
                    break
                server.sendall(head + payload)
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def is_denied(payload):
        if struct.unpack(">HH", payload[:4]) != QUEUE_DECLARE:
            return False
        bits = payload[7 + payload[6]]
        return not bits & (PASSIVE | DURABLE | EXCLUSIVE)

    def close(self):
        self.listener.close()


def closing():
    method = (struct.pack(">HHH", *CONNECTION_CLOSE, 541) + bytes([len(DENIAL)]) + DENIAL +
              struct.pack(">HH", *QUEUE_DECLARE))
    return struct.pack(">BHI", 1, 0, len(method)) + method + b"\xce"


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
