# SPDX-License-Identifier: Apache-2.0
"""Writes every message published on the broker as a line of JSON: trace_recorder.py URL FILE.
Ends on SIGTERM, once what was published before is written."""

import json
import os
import signal
import socket
import sys
from urllib.parse import urlsplit

import amqp


def decode(body):
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except ValueError:
        return body


def entry(message):
    headers = message.headers
    line = {"exchange": headers["exchange_name"], "routing_keys": headers["routing_keys"],
            "properties": {name: value for name, value in headers["properties"].items()
                           if name != "headers" or value}}
    body = decode(message.body)
    if isinstance(body, dict) and "oslo.message" in body:
        line["oslo.version"] = body.get("oslo.version")
        line["message"] = decode(body["oslo.message"])
    else:
        line["message"] = body
    return line


class Recorder:
    def __init__(self, url, file):
        self.stopping = False
        self.file = file
        self.connection = amqp.Connection(
            host="%s:%d" % (url.hostname, url.port), userid=url.username, password=url.password)
        self.connection.connect()
        self.channel = self.connection.channel()
        queue = self.channel.queue_declare(exclusive=True).queue
        self.channel.queue_bind(queue, "amq.rabbitmq.trace", "publish.#")
        self.channel.basic_consume(queue, no_ack=True, callback=self.write)

    def write(self, message):
        json.dump(entry(message), self.file)
        self.file.write("\n")
        self.file.flush()

    def run(self):
        while True:
            try:
                self.connection.drain_events(timeout=0.5)
            except socket.timeout:
                if self.stopping:
                    return

    def stop(self, *_):
        self.stopping = True


def main():
    os.umask(0o077)  # the messages carry tokens
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        recorder = Recorder(urlsplit(sys.argv[1]), file)
        signal.signal(signal.SIGTERM, recorder.stop)
        print("recording", flush=True)
        recorder.run()


main()
