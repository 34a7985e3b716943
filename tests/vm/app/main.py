# SPDX-License-Identifier: Apache-2.0
"""Says which start of it answers; eats memory when it is told to."""

import http.server
import os
import uuid

START = uuid.uuid4().hex
EATEN = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        while self.path == "/eat":
            EATEN.append(b"x" * (1 << 20))
        body = START.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
