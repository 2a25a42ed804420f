"""Exits 0 when the queue exists and has a consumer: consumer_count.py URL QUEUE."""

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
            queue = connection.channel().queue_declare(sys.argv[2], passive=True)
            return 0 if queue.consumer_count else 1
    except (amqp.exceptions.AMQPError, OSError):
        return 1


sys.exit(main())
