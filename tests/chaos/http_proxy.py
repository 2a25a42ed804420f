# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy in front of a service that answers, stalls, drops or cuts what a rule names."""

import re
import socket
import threading

from lab import Proxy

HEAD_MAX = 65536


class Rule:
    """For requests of a method whose path matches, `times` of them: action(proxy, exchange)."""

    def __init__(self, method, path, action, times=1):
        self.method, self.path, self.action, self.left = method, re.compile(path), action, times
        self.hits = 0
        self.hit = threading.Event()

    def matches(self, method, path):
        return self.left > 0 and method == self.method and self.path.search(path)


class Exchange:
    """One request and its answer on one connection each."""

    def __init__(self, client, head, rest, target):
        self.client, self.head, self.rest, self.target = client, head, rest, target
        self.server = None

    def connect(self):
        self.server = socket.create_connection(self.target)
        self.server.sendall(self.head + self.rest)

    def forward(self, request_limit=None, answer_limit=None, at_limit=lambda: False):
        """Passes both ways; at the limit at_limit() says whether the rest passes too."""
        self.connect()
        back = threading.Thread(target=pump, args=(self.server, self.client, answer_limit, at_limit),
                                daemon=True)
        back.start()
        threading.Thread(target=pump, args=(self.client, self.server, request_limit, at_limit),
                         daemon=True).start()
        back.join()

    def answer(self, code, reason="Injected"):
        """Without reading the body first, as a front end that refuses does; then drained."""
        self.client.sendall((f"HTTP/1.1 {code} {reason}\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n").encode())
        self.client.shutdown(socket.SHUT_WR)
        self.client.settimeout(2)
        try:
            while self.client.recv(65536):
                pass
        except OSError:
            pass


def pump(source, sink, limit, at_limit):
    """Ends both directions when the server is through; a client may stay quiet."""
    passed = 0
    try:
        while data := source.recv(65536):
            passed += len(data)
            if limit is not None and passed > limit:
                if not at_limit():
                    break
                limit = None
            sink.sendall(data)
    except OSError:
        pass
    else:
        if limit is None:
            shut(sink, socket.SHUT_WR)
            return
    shut(source, socket.SHUT_RDWR)
    shut(sink, socket.SHUT_RDWR)


def shut(end, how):
    try:
        end.shutdown(how)
    except OSError:
        pass


class HttpProxy(Proxy):
    def __init__(self, host, port):
        self.rules = []
        self.lock = threading.Lock()
        super().__init__(host, port)

    # --- rules
    def on(self, method, path, action, times=1):
        rule = Rule(method, path, action, times)
        self.released.clear()
        with self.lock:
            self.rules.append(rule)
        return rule

    def release(self):
        """What is held passes, what comes passes too."""
        with self.lock:
            self.rules = []
        super().release()

    # --- serving
    def serve(self, client):
        exchange = None
        try:
            head, rest = read_head(client)
            if head:
                method, path = head.split(b" ", 2)[:2]
                exchange = Exchange(client, one_request(head), rest, self.target)
                self.act(exchange, method.decode(), path.decode())
        except OSError:
            pass
        finally:
            client.close()
            if exchange and exchange.server:
                exchange.server.close()

    def act(self, exchange, method, path):
        with self.lock:
            rule = next((r for r in self.rules if r.matches(method, path)), None)
            if rule:
                rule.left -= 1
                rule.hits += 1
        if rule:
            rule.hit.set()
            rule.action(self, exchange)
        else:
            exchange.forward()


def read_head(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more or len(data) > HEAD_MAX:
            return b"", b""
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", rest


def one_request(head):
    """Each connection carries one request, so that each is seen."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    lines.insert(1, b"Connection: close")
    return b"\r\n".join(lines)


# --- actions
def answer(code):
    return lambda proxy, exchange: exchange.answer(code)


def stall(proxy, exchange):
    """Nothing comes back until release()."""
    proxy.released.wait(120)
    exchange.forward()


def stall_after(count):
    """The request stops midway until release()."""
    def act(proxy, exchange):
        exchange.forward(request_limit=count,
                         at_limit=lambda: proxy.released.wait(120) or True)
    return act


def drop_after(count):
    """The connection breaks after so much of the request."""
    return lambda proxy, exchange: exchange.forward(request_limit=count)


def truncate_answer(count):
    """The connection breaks after so much of the answer."""
    return lambda proxy, exchange: exchange.forward(answer_limit=count)


def refuse(proxy, exchange):
    """The connection breaks before anything was said."""
    shut(exchange.client, socket.SHUT_RDWR)


def first(call):
    """call() happens just before the request passes."""
    def act(proxy, exchange):
        call()
        exchange.forward()
    return act
