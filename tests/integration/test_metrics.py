#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator's Prometheus gets: a real one scrapes a real agent, beside a private RabbitMQ.

Needs no lab: the agent's snapshot ends early, for its conductor knows no instance.
"""

import glob
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import amqp
import tap
from alone import Images
from peers import REPO, Broker, Oslo, wait_for
from scraper import RULES, Prometheus, free_port, read

HOST = "metrics.example.org"
QUEUE = f"compute.{HOST}"
BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")
DASHBOARD = f"{REPO}/packaging/grafana/nova-snapshot-agent.json"
NAME = "nova_snapshot_agent_"


def setUpModule():
    global broker
    broker = Broker()


def tearDownModule():
    broker.close()


def publish(method, version):
    with open(f"{REPO}/tests/unit/agent/data/snapshot_instance.json", encoding="utf-8") as file:
        message = json.load(file)
    message.update(method=method, version=version, _unique_id=uuid.uuid4().hex)
    body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
    connection = amqp.Connection(f"127.0.0.1:{broker.port}", "guest", "guest")
    connection.connect()
    with connection:
        connection.channel().basic_publish(
            amqp.Message(body, content_type="application/json", content_encoding="utf-8"), "", QUEUE)


class RunningAgent:
    """An agent that is attached, with metrics on a port of its own."""

    def __init__(self, test):
        self.folder = tempfile.mkdtemp(prefix="metrics-test-")
        test.addCleanup(shutil.rmtree, self.folder)
        self.port = free_port()
        self.socket = f"{self.folder}/run/control"
        os.makedirs(f"{self.folder}/instances")
        glance = http.server.HTTPServer(("127.0.0.1", 0), Images)
        glance.deleted = []
        threading.Thread(target=glance.serve_forever, daemon=True).start()
        test.addCleanup(glance.server_close)
        test.addCleanup(glance.shutdown)
        with open(f"{self.folder}/nova.conf", "w", encoding="utf-8") as out:
            out.write(f"[DEFAULT]\nhost = {HOST}\nstate_path = {self.folder}\ndebug = true\n"
                      f"transport_url = {broker.url()}\n"
                      f"[glance]\nendpoint_override = http://127.0.0.1:{glance.server_port}\n"
                      "[libvirt]\nconnection_uri = test:///default\n"
                      "[snapshot_agent]\nattach_poll_interval = 1\n"
                      f"state_dir = {self.folder}/state\ncontrol_socket = {self.socket}\n"
                      f"metrics_address = {self.port}\n")
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen([BINARY, "--config-file", f"{self.folder}/nova.conf"],
                                            stderr=log)
        test.addCleanup(self.end)
        self.wait_log("nova-snapshot-agent .* serves host")
        wait_for("an answer on the port", self.answers)

    def answers(self):
        try:
            return self.text()
        except OSError:
            return None

    def text(self):
        return read(f"http://127.0.0.1:{self.port}/metrics")[1]

    def value(self, series):
        found = re.search(f"^{re.escape(NAME + series)} (.*)$", self.text(), re.MULTILINE)
        return float(found[1]) if found else None

    def wait_value(self, series, wanted):
        wait_for(f"{series} = {wanted}", lambda: self.value(series) == wanted)

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as lines:
            return lines.read()

    def wait_log(self, pattern):
        def found():
            if self.process.poll() is not None:
                raise AssertionError(f"the agent has ended:\n{self.log()}")
            return re.search(pattern, self.log())
        wait_for(f"'{pattern}' in the log", found)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def dashboard_queries():
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    return [target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            for panel in dashboard["panels"] for target in panel["targets"]]


def promtool(*argv, **kwargs):
    done = subprocess.run(["promtool", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **kwargs)
    return done.returncode, done.stdout


class MetricsTest(unittest.TestCase):
    def start(self):
        for topic, host in (("compute", HOST), ("conductor", "gone")):
            peer = Oslo(broker.url(), "server", topic, host)
            self.addCleanup(peer.kill)
        return RunningAgent(self)

    def test_rules(self):
        """metrics: each alert fires when it should, and not before"""
        for argv in (["check", "rules", *glob.glob(f"{REPO}/packaging/prometheus/*.rules.yml")],
                     ["test", "rules", f"{HERE}/prometheus/rules_test.yml"]):
            code, output = promtool(*argv)
            self.assertEqual(code, 0, output)

    def test_rules_test_all_alerts(self):
        """metrics: no alert without a test"""
        with open(RULES, encoding="utf-8") as file:
            alerts = re.findall(r"- alert: (\w+)", file.read())
        with open(f"{HERE}/prometheus/rules_test.yml", encoding="utf-8") as file:
            tested = file.read()
        self.assertEqual([a for a in alerts if f"alertname: {a}}}" not in tested], [])
        self.assertIn(f"value: {len(alerts)}", tested)

    def test_text(self):
        """metrics: promtool finds nothing, over TCP and over the socket"""
        agent = self.start()
        kind, text = read(f"http://127.0.0.1:{agent.port}/metrics")
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        over_socket = subprocess.run(
            ["curl", "-sf", "--unix-socket", agent.socket, "http://agent/metrics"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        for found in (text, over_socket):
            self.assertEqual(promtool("check", "metrics", input=found), (0, ""))
        names = [re.findall(r"^# TYPE (\S+)", found, re.MULTILINE) for found in (text, over_socket)]
        self.assertEqual(*names)

    def test_no_control(self):
        """metrics: over TCP nothing is changed, and from elsewhere nothing is read"""
        agent = self.start()
        for method, path in (("POST", "/v1/drain"), ("GET", "/v1/status"), ("GET", "/")):
            request = urllib.request.Request(f"http://127.0.0.1:{agent.port}{path}", method=method)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            self.assertEqual(refused.exception.code, 404)
        with socket.socket() as other:
            self.assertNotEqual(other.connect_ex(("127.0.0.2", agent.port)), 0)

    def test_what_happens_is_counted(self):
        """metrics: what is taken and what is put back moves them"""
        agent = self.start()
        agent.wait_value("attached", 1)
        self.assertEqual(agent.value('connections_total{service="libvirt"}'), 1)
        publish("reboot_instance", "6.0")
        agent.wait_value("put_backs_total", 1)
        agent.wait_value("put_back_seconds_count", 1)
        agent.wait_value("attached", 1)
        publish("snapshot_instance", "6.0")
        agent.wait_value('snapshots_total{method="none",outcome="unwanted"}', 1)
        agent.wait_value("journal_records", 0)
        agent.wait_value("requests", 0)

    def test_prometheus(self):
        """metrics: every query of the dashboard and of the rules returns data"""
        agent = self.start()
        agent.wait_value("attached", 1)
        publish("snapshot_instance", "6.0")
        prometheus = Prometheus(self, agent.port)
        wait_for("four scrapes", lambda: prometheus.query(
            'count_over_time(up{job="nova-snapshot-agent"}[1m]) >= 4'))
        queries = dashboard_queries()
        self.assertGreater(len(queries), 20)
        for query in queries:
            self.assertTrue(prometheus.query(query), query)
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 10)
        for rule in rules:
            self.assertEqual(rule["health"], "ok", rule)
            for selector in re.findall(r"(?:nova_snapshot_agent[:\w]+|up)(?:\{[^}]*\})?", rule["query"]):
                self.assertTrue(prometheus.query(selector), (rule["name"], selector))
        self.assertEqual([rule["name"] for rule in rules if rule.get("state") == "firing"], [])


if __name__ == "__main__":
    tap.main()
