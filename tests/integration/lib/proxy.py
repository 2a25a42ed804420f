# SPDX-License-Identifier: Apache-2.0
"""Proxies in front of a service: the one that can hold a transfer midway makes things happen during
an upload."""

import socket
import threading


class Proxy:
    """Takes connections on a port of its own: serve(client), each on its own thread."""

    def __init__(self, host, port):
        self.target = (host, int(port))
        self.released = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def release(self):
        """What is held passes."""
        self.released.set()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        raise NotImplementedError


class HoldingProxy(Proxy):
    """Lets `hold_after` bytes of one connection's request pass, then waits for release()."""

    def __init__(self, host, port, hold_after=None):
        self.hold_after = hold_after
        self.held = threading.Event()
        self.connections = []
        super().__init__(host, port)

    def drop(self):
        """Cuts what is open now; later connections pass freely."""
        self.hold_after = None
        for end in self.connections:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.release()

    def close(self):
        self.release()
        # close() alone would leave accept() waiting, on a descriptor the next proxy gets.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self, client):
        try:
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        self.connections += [client, server]
        back = threading.Thread(target=self.pump, args=(server, client, None), daemon=True)
        back.start()
        self.pump(client, server, self.hold_after)
        back.join()
        client.close()
        server.close()

    def pump(self, source, sink, hold_after):
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if hold_after is not None and passed > hold_after and not self.released.is_set():
                    self.held.set()
                    self.released.wait(120)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR if end is sink else socket.SHUT_RD)
            except OSError:
                pass
