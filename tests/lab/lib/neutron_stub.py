# SPDX-License-Identifier: Apache-2.0
"""As much of Neutron as Nova asks for when servers have no network: every list is empty."""

import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0].rstrip("/")
        if "/quotas/" in path:
            answer = {"quota": {"network": -1, "port": -1, "security_group": -1}}
        else:
            answer = {path.rsplit("/", 1)[-1].replace("-", "_") or "versions": []}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
