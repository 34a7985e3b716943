# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that can stop without failing a request: Python's own, and a way to drain it."""

import json
import selectors
import socket
import socketserver
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler

from shop_api.routes import Answer

LARGEST_BODY = 64 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "shop-api"
    sys_version = ""
    # Longer than a proxy in front keeps an idle connection.
    timeout = 75
    # One packet for headers and body, sent at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
        finally:
            if self.server.now_idle(self.connection):
                self.close_connection = True

    def parse_request(self):
        # The request line has arrived: from here to the answer this connection is busy.
        self.server.now_busy(self.connection)
        return super().parse_request()

    def _answer(self):
        body, answer = self._read_body()
        if answer is None:
            try:
                answer = self.server.routes(self.command, self.path, body)
            except Exception:
                traceback.print_exc()
                answer = Answer(500, {"error": "something went wrong on our side"})
        payload = json.dumps(answer.value, ensure_ascii=False).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.server.draining or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _read_body(self):
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return b"", Answer(411, {"error": "send a Content-Length"})
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit():
            self.close_connection = True
            return b"", Answer(400, {"error": f"Content-Length is {length!r}, not a number"})
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            return b"", Answer(413, {"error": f"a body may have {LARGEST_BODY} bytes"})
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return b"", Answer(400, {"error": "the body ended early"})
        return body, None

    def log_message(self, format, *args):
        """Requests are counted by the platform; this log is for what goes wrong."""


class Server(socketserver.ThreadingTCPServer):
    # (http.server's own class asks the DNS for this machine's name before it listens.)
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, routes):
        self.routes = routes
        self.draining = False
        self._changed = threading.Condition()
        self._busy = {}  # connection -> whether a request of it is being answered
        # stop() writes a byte, so that the loop below sleeps until there is something to do.
        self._wake, self._waker = socket.socketpair()
        super().__init__(address, Handler)
        self.socket.setblocking(False)

    @property
    def server_port(self):
        return self.server_address[1]

    def serve_until_stopped(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self.draining:
                selector.select()
                self._accept_waiting()

    def stop(self):
        """Makes serve_until_stopped() return. May be called from any thread, and twice."""
        self.draining = True
        self._waker.send(b"x")

    def drain(self, deadline):
        """Answers what has been asked, closes the rest, and returns how many connections were cut.

        Called after serve_until_stopped() has returned; `deadline` is in seconds.
        """
        self.draining = True
        self._accept_waiting()  # What connected before the port closes would see an error else.
        self.server_close()
        until = time.monotonic() + deadline
        with self._changed:
            # A connection that is idle is woken with an end of input. A request that is on its way
            # at this moment was received by the kernel and is still read and answered.
            for connection, busy in self._busy.items():
                if not busy:
                    self._end_input(connection)
            while self._busy and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return len(self._busy)

    def _accept_waiting(self):
        while True:
            try:
                connection, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as fault:  # Too many open files, say: some will be closed soon.
                print(f"api: cannot accept a connection: {fault}", file=sys.stderr)
                time.sleep(0.1)
                return
            self.process_request(connection, address)

    @staticmethod
    def _end_input(connection):
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # The other side was quicker.

    def now_busy(self, connection):
        with self._changed:
            self._busy[connection] = True

    def now_idle(self, connection):
        """Returns whether the connection must be closed now."""
        with self._changed:
            self._busy[connection] = False
            return self.draining

    def process_request(self, request, client_address):
        with self._changed:
            self._busy[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self._changed:
            self._busy.pop(request, None)
            self._changed.notify_all()

    def server_close(self):
        super().server_close()
        self._wake.close()
        self._waker.close()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # A peer that goes away is no news.
            super().handle_error(request, client_address)
