# SPDX-License-Identifier: Apache-2.0
"""What a hostile, broken or overloaded broker does, one mode each. See scripted_broker.py.

MODES: name -> Mode. `says`: what the log must tell an operator, a regular expression; None where
the bus has nothing to complain about and simply works. `attached` modes get at requests that wait
for the bus; in the others it never comes so far.
"""

import os
import struct
from collections import namedtuple

from scripted_broker import (FRAME_MAX, SERVER_CHANNEL, Cut, Mute, Reset, frame, longstr, method,
                             nested_tables, pause, shortstr)

Mode = namedtuple("Mode", "run says options")
MODES = {}
CLOSE_CODES = (311, 313, 320, 402, 403, 404, 405, 406, 501, 502, 503, 504, 505, 506, 530, 540, 541)


def mode(name, says, **options):
    def add(run):
        assert name not in MODES
        MODES[name] = Mode(run, says, options)
        return run
    return add


def at(name, point, act, says, **options):
    """A mode that does one thing at one point; `act` gets the connection."""
    def run(connection, now):
        if now != point:
            return False
        act(connection)
        return True
    mode(name, says, **options)(run)


def fail(error):
    def act(_connection):
        raise error
    return act


def say(data):
    return lambda connection: connection.send(data)


def stay(act):
    """Does it and hears no more."""
    def both(connection):
        act(connection)
        raise Mute
    return both


LOST = "unreachable: .*(closed|reset|broken pipe|lost)"

# The handshake, cut or spoiled at each step.
at("is not there", "never", None, "unreachable: .*: Connection refused", is_down=True)
at("accepts and closes", "accept", fail(Cut), LOST)
at("accepts and resets", "accept", fail(Reset), LOST)
at("accepts and is silent", "accept", fail(Mute), "unreachable: .*time")
at("speaks another version", "accept", stay(say(b"AMQP\0\0\x08\0")), "unreachable: \\S+")
at("speaks HTTP", "accept", stay(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "unreachable: \\S+")
at("wants TLS", "accept", stay(say(b"\x15\x03\x01\x00\x02\x02\x0a" * 3)), "unreachable: \\S+")
at("speaks garbage", "accept", stay(say(os.urandom(4096))), "unreachable: \\S+")
at("start: wrong end", "accept", stay(lambda c: c.send_start(end=0)), "unreachable: \\S+")
at("start: 2 GiB", "accept", stay(lambda c: c.send_start(length=0x7fffffff)), "unreachable: \\S+")
at("start: 4 GiB", "accept", stay(lambda c: c.send_start(length=0xffffffff)), "unreachable: \\S+")
at("start: nested tables", "accept",
   stay(lambda c: c.send_start(properties=nested_tables(10000))), "unreachable: \\S+")
at("start: table longer than its frame", "accept",
   stay(say(method(0, 10, 10, b"\0\x09" + struct.pack(">I", 1 << 30)))), "unreachable: \\S+")
at("start: no PLAIN", "accept", stay(lambda c: c.send_start(mechanisms=b"GSSAPI")),
   "unreachable: .*(SASL|mechanism)")
at("start: half of it", "accept", stay(say(method(0, 10, 10, b"\0\x09")[:9])),
   "unreachable: .*time")
at("start-ok: cut", "connection.start-ok", fail(Cut), LOST)
at("start-ok: silent", "connection.start-ok", fail(Mute), "unreachable: .*time")
at("start-ok: access refused", "connection.start-ok",
   lambda c: c.close(403, "ACCESS_REFUSED - Login was refused"), "403 ACCESS_REFUSED - Login")
at("tune: tiny frames", "connection.start-ok", lambda c: c.send_tune(frame_max=1), "\\S+")
at("tune-ok: cut", "connection.tune-ok", fail(Cut), LOST)
at("open: silent", "connection.open", fail(Mute), "unreachable: .*time")
at("open: no such vhost", "connection.open",
   lambda c: c.close(530, "NOT_ALLOWED - vhost / not found"), "530 NOT_ALLOWED - vhost")
at("open: another answer", "connection.open", stay(say(method(0, 50, 11, b"\0" * 9))),
   "unreachable: \\S+")
at("open: unknown method", "connection.open", stay(say(method(0, 99, 99))), "unreachable: \\S+")
at("open: cut", "connection.open", fail(Cut), LOST)

# Between the handshake and the first consumer.
at("channel.open: refused", "channel.open", lambda c: c.close_channel(504, "CHANNEL_ERROR"),
   "channel.open: .*504 CHANNEL_ERROR")
at("channel.open: silent", "channel.open", fail(Mute), "channel.open: .*time|lost: .*time")
at("channel.open: cut", "channel.open", fail(Cut), "connection: .*(closed|reset)")
at("qos: refused", "basic.qos", lambda c: c.close_channel(540, "NOT_IMPLEMENTED"),
   "basic.qos: 540 NOT_IMPLEMENTED")
at("reply queue: refused", "queue.declare",
   lambda c: c.close_channel(403, "ACCESS_REFUSED - no queue for you"),
   "queue.declare 'reply_.*403 ACCESS_REFUSED")
at("reply queue: other arguments", "queue.declare",
   lambda c: c.close_channel(406, "PRECONDITION_FAILED"), "queue.declare 'reply_.*406")
at("reply queue: internal error", "queue.declare", lambda c: c.close(541, "INTERNAL_ERROR"),
   "541 INTERNAL_ERROR")
at("consume: refused", "basic.consume", lambda c: c.close_channel(403, "ACCESS_REFUSED"),
   "403 ACCESS_REFUSED")
at("confirms: refused", "confirm.select", lambda c: c.close_channel(540, "NOT_IMPLEMENTED"),
   "publishing connection: confirm.select: 540 NOT_IMPLEMENTED")


@mode("closes with each code", "closed the connection: 541 scripted", retry_interval=0)
def _each_connection_code(connection, point):
    """One code for each time the bus has attached."""
    if point != "attached":
        return False
    codes = connection.broker.state.setdefault("codes", list(CLOSE_CODES))
    if not codes:
        return False
    connection.close(codes.pop(0))
    return True


@mode("closes the channel with each code", "closed the channel: 541 scripted", retry_interval=0)
def _each_channel_code(connection, point):
    if point != "attached":
        return False
    codes = connection.broker.state.setdefault("codes", list(CLOSE_CODES))
    if not codes:
        return False
    connection.close_channel(codes.pop(0), channel=SERVER_CHANNEL)
    return True


# While it is attached.
at("no heartbeats", "attached", fail(Mute), "lost: .*heartbeat")
at("cut while attached", "attached", fail(Cut), "lost: .*(closed|reset)")
at("reset while attached", "attached", fail(Reset), "lost: .*(closed|reset)")
at("garbage while attached", "attached", stay(say(b"\xff" * 64)), "lost: \\S+")
at("a frame's wrong end", "attached", stay(say(method(1, 60, 11, end=1))), "lost: \\S+")
at("a frame larger than agreed", "attached", stay(say(frame(3, 1, b"", length=FRAME_MAX + 1))),
   "lost: \\S+")
at("a method nobody knows", "attached", stay(say(method(1, 60, 199))), "lost: \\S+")
at("a method cut short", "attached", stay(say(method(1, 60, 60, b"\x20abc"))), "lost: \\S+")
at("a body without a message", "attached", stay(say(frame(3, 1, b"abc"))),
   "lost: a content frame came out of order")
at("a header without a message", "attached",
   stay(say(frame(2, 1, struct.pack(">HHQH", 60, 0, 3, 0)))),
   "lost: a content frame came out of order")
at("a body longer than announced", "attached",
   stay(lambda c: c.deliver(b"{}", size=2, parts=[b"{}xx"])), "lost: .*out of order")
at("a header twice", "attached",
   stay(lambda c: c.deliver(b"", size=9, parts=[]) and
        c.send(frame(2, 1, struct.pack(">HHQH", 60, 0, 9, 0)))), "lost: .*out of order")
at("a body of 2^63 bytes", "attached",
   stay(lambda c: c.deliver(b"", size=1 << 63, parts=[b"x" * 1000] * 5)), "lost: .*heartbeat")
at("nested header tables", "attached",
   stay(lambda c: c.deliver(b"{}", properties=struct.pack(">H", 0x2000) +
                            longstr(nested_tables(21000)))), "left to nova-compute|lost: \\S+")


def _goes_on(name, act, says=None, **options):
    """Once, and then as if nothing had happened: with no connection lost that a busy machine keeps waiting."""
    def run(connection, point):
        if point == "attached" and connection.broker.once("done"):
            act(connection)
        return False
    mode(name, says, heartbeat=60, **options)(run)


def _returned(connection):
    connection.send(method(SERVER_CHANNEL, 60, 50, struct.pack(">H", 312) + shortstr("NO_ROUTE") +
                           shortstr("nova") + shortstr("x")) +
                    frame(2, SERVER_CHANNEL, struct.pack(">HHQH", 60, 0, 2, 0)) +
                    frame(3, SERVER_CHANNEL, b"{}"))


def _cancelled(queue):
    def act(connection):
        for tag, (channel, name) in list(connection.consumers.items()):
            if name.startswith(queue):
                connection.broker.cancel(connection, tag)
                connection.send(method(channel, 60, 30, shortstr(tag) + b"\1"))
    return act


_goes_on("returns what was never sent", _returned, "returns a message that was never sent")
_goes_on("cancels the consumer", _cancelled("compute"), "cancelled the consumer")
_goes_on("cancels the consumer of replies", _cancelled("reply"),
         "cancelled the consumer of reply_")
_goes_on("delivers on a channel nobody opened",
         lambda c: c.deliver(b"{}", tag=1, channel=7) and c.deliver(b"{}", tag=1, channel=700))
_goes_on("delivers to a consumer nobody knows",
         lambda c: c.send(method(3, 60, 60, shortstr("nobody") + struct.pack(">QB", 1, 0) +
                                 shortstr("") + shortstr("x")) +
                          frame(2, 3, struct.pack(">HHQH", 60, 0, 2, 0)) + frame(3, 3, b"{}")),
         "cannot be read")
_goes_on("answers what was not asked", lambda c: c.send(method(1, 60, 11) * 20))
_goes_on("confirms what was not published",
         lambda c: c.send(method(1, 60, 80, struct.pack(">QB", 999, 1)) * 20))
_goes_on("sends heartbeats in a flood", lambda c: c.send(frame(8, 0, b"") * 20000))
_goes_on("a body that is no JSON", lambda c: c.broker.offer_body(c, b"\xff\xfe" * 100),
         "left to nova-compute: .*no JSON")
_goes_on("a body of millions of values",
         lambda c: c.broker.offer_body(c, b"[" + b"{}," * 5590000 + b"{}]"),
         "left to nova-compute: .*more than [0-9]+ values", max_rss_mib=200, alone=True)
_goes_on("blocks publishing for a while",
         lambda c: [p.send(method(0, 10, 60, shortstr("low on memory"))) or
                    p.broker.later(2, p, method(0, 10, 61))
                    for p in c.broker.connections if p is not c],
         "the broker blocks publishing")


# The moment of the ack.
@mode("an ack that never arrives", "before the broker had|doubted|lost: .*(closed|reset)",
      doubts=True)
def _ack_is_lost(connection, point):
    if point == "basic.ack" and connection.own_consumer() and connection.broker.once("done"):
        raise Cut
    return False


@mode("an ack that arrives, its answer does not", "lost: .*(closed|reset)", doubts=True)
def _answer_is_lost(connection, point):
    if point == "basic.qos" and connection.own_consumer() and connection.broker.once("done"):
        raise Cut
    return False


@mode("an ack that is never answered", "does not answer what was asked after an ack", doubts=True)
def _never_answered(connection, point):
    return point == "basic.qos" and connection.own_consumer() is not None


@mode("an ack that is answered late", None)
def _answered_late(connection, point):
    if point == "basic.qos" and connection.own_consumer() and connection.broker.once("done"):
        pause(2)
    return False


@mode("an ack of a delivery it does not know", "406 PRECONDITION_FAILED - unknown delivery",
      doubts=True)
def _unknown_delivery(connection, point):
    if point == "basic.ack" and connection.own_consumer() and connection.broker.once("done"):
        connection.close_channel(406, "PRECONDITION_FAILED - unknown delivery tag 1")
        return True
    return False


@mode("closes the connection behind an ack", "closed the connection: 320 CONNECTION_FORCED",
      doubts=True)
def _closed_behind_ack(connection, point):
    if point == "basic.ack" and connection.own_consumer() and connection.broker.once("done"):
        connection.close(320, "CONNECTION_FORCED")
        return True
    return False


@mode("an ack swallowed by a broker that goes silent", "lost: .*heartbeat|does not answer",
      doubts=True)
def _silent_at_ack(connection, point):
    if point == "basic.ack" and connection.own_consumer() and connection.broker.once("done"):
        raise Mute
    return False


@mode("gives a request again that was acked", "ignoring duplicate message")
def _given_again(connection, point):
    if point == "basic.ack" and connection.own_consumer() and connection.broker.once("done"):
        tag = struct.unpack(">Q", connection.arguments[:8])[0]
        message = connection.unacked.get(tag)
        connection.broker.settle(connection, tag, True)
        connection.broker.route({**message, "args": {**message["args"], "number": 90}})
        return True
    return False


# The way back: publishing.
@mode("never confirms", None, calls_fail="did not confirm")
def _never_confirms(connection, point):
    return point == "published"


@mode("takes nothing", None, calls_fail="could not be sent")
def _takes_nothing(connection, point):
    if point != "published":
        return False
    connection.send(method(1, 60, 120, struct.pack(">QB", connection.n_published, 0)))
    return True


@mode("has no queue for it", None, calls_fail="nobody serves its topic")
def _has_no_queue(connection, point):
    if point != "published":
        return False
    sent = connection.last
    connection.send(method(1, 60, 50, struct.pack(">H", 312) + shortstr("NO_ROUTE") +
                           shortstr(sent["exchange"]) + shortstr(sent["key"])) +
                    frame(2, 1, struct.pack(">HHQH", 60, 0, len(sent["body"]), 0)) +
                    frame(3, 1, sent["body"]) +
                    method(1, 60, 80, struct.pack(">QB", connection.n_published, 0)))
    return True


@mode("cuts when it is published to", "publishing connection: lost: .*(closed|reset)",
      calls_fail="could not be sent|Timed out")
def _cut_at_publish(connection, point):
    if point == "basic.publish":
        raise Cut
    return False


# Slow, but right.
@mode("answers each method late", None)
def _slow(connection, point):
    if point not in ("accept", "deliver", "attached", "published"):
        pause(0.2)
    return False


@mode("sends a byte at a time", None)
def _drips(connection, point):
    if point == "accept":
        whole = connection.send
        connection.send = lambda data: [whole(data[i:i + 1]) for i in range(len(data))]
    return False
