# SPDX-License-Identifier: Apache-2.0
"""Exits 0 when the queues exist and have consumers: consumer_count.py URL QUEUE..."""

import sys
from urllib.parse import urlsplit

import amqp


def main():
    url = urlsplit(sys.argv[1])
    connection = amqp.Connection(
        host="%s:%d" % (url.hostname, url.port), userid=url.username, password=url.password,
        connect_timeout=5, read_timeout=5, write_timeout=5)
    try:
        with connection:
            channel = connection.channel()
            queues = [channel.queue_declare(name, passive=True) for name in sys.argv[2:]]
            return 0 if all(queue.consumer_count for queue in queues) else 1
    except (amqp.exceptions.AMQPError, OSError):
        return 1


sys.exit(main())
