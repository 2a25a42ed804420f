# SPDX-License-Identifier: Apache-2.0
"""A Prometheus that scrapes an agent."""

import json
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from peers import REPO

RULES = f"{REPO}/packaging/prometheus/nova-snapshot-agent.rules.yml"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


class Prometheus:
    """One that scrapes the agent each second, with the shipped rules."""

    def __init__(self, test, agent_port):
        self.folder = tempfile.mkdtemp(prefix="nsa-prometheus-")
        test.addCleanup(shutil.rmtree, self.folder)
        self.port = free_port()
        config = f"{self.folder}/prometheus.yml"
        with open(config, "w", encoding="utf-8") as out:
            out.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
                      f"rule_files: ['{RULES}']\n"
                      "scrape_configs:\n  - job_name: nova-snapshot-agent\n"
                      f"    static_configs: [{{targets: ['127.0.0.1:{agent_port}']}}]\n")
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        test.addCleanup(self.end)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            return json.loads(read(url)[1])["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it starts
                return None
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        except OSError:
            return None

    def query(self, expression):
        answer = self.ask("query", query=expression)
        return answer["result"] if answer else []

    def end(self):
        self.process.kill()
        self.process.wait()
