# SPDX-License-Identifier: Apache-2.0
"""The server over real sockets, with what it answers under the test's control."""

import http.client
import json
import socket
import threading
import unittest

from shop_api.catalogue import Catalogue, Product
from shop_api.routes import Answer, Routes
from shop_api.server import LARGEST_BODY, Server

SHELF = Catalogue([Product("rye", "Rye bread", 420)], "EUR")


class Running:
    """A server in a thread; `with` ends it."""

    def __init__(self, routes):
        self.server = Server(("127.0.0.1", 0), routes)
        self.thread = threading.Thread(target=self.server.serve_until_stopped)
        self.drained = False

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        if not self.drained:
            self.drain()

    def drain(self, deadline=5):
        self.drained = True
        self.server.stop()
        self.thread.join()
        return self.server.drain(deadline)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=60)


def ask(connection, method, path, body=None, headers={}):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response, response.read()


class Api(unittest.TestCase):
    def test_answers(self):
        cases = [
            ("GET", "/healthz", None, 200, {"status": "ok", "version": "1", "instance": "here"}),
            ("GET", "/products/rye", None, 200, {"id": "rye", "name": "Rye bread", "cents": 420, "currency": "EUR"}),
            ("GET", "/products/r%79e?x=1", None, 200, {"id": "rye", "name": "Rye bread", "cents": 420, "currency": "EUR"}),
            ("GET", "/products/hat", None, 404, {"error": "there is no product hat"}),
            ("GET", "/hats", None, 404, {"error": "there is nothing at /hats"}),
            ("DELETE", "/products", None, 405, {"error": "/products takes GET only"}),
            ("POST", "/baskets/price", "{", 400, None),
            ("POST", "/baskets/price", "{}", 422, {"faults": ["items: must be a list with at least one item"]}),
        ]
        with Running(Routes(SHELF, "1", "here")) as running:
            connection = running.connect()
            connection.connect()
            first = connection.sock
            for method, path, body, status, value in cases:
                with self.subTest(f"{method} {path}"):
                    response, payload = ask(connection, method, path, body)
                    self.assertEqual(response.status, status)
                    if value is not None:
                        self.assertEqual(json.loads(payload), value)
            self.assertIs(connection.sock, first, "all of that goes over one connection")
            connection.close()

    def test_head_has_no_body(self):
        with Running(Routes(SHELF, "1", "here")) as running:
            connection = running.connect()
            response, payload = ask(connection, "HEAD", "/products")
            self.assertEqual((response.status, payload), (200, b""))
            self.assertGreater(int(response.getheader("Content-Length")), 50)
            self.assertEqual(ask(connection, "GET", "/healthz")[0].status, 200)
            connection.close()

    def test_refuses_bodies_it_cannot_bound(self):
        cases = [
            ("too long", {"Content-Length": str(LARGEST_BODY + 1)}, 413),
            ("no number", {"Content-Length": "-1"}, 400),
            ("of no known length", {"Transfer-Encoding": "chunked"}, 411),
        ]
        with Running(Routes(SHELF, "1", "here")) as running:
            for reason, headers, status in cases:
                with self.subTest(reason):
                    connection = running.connect()
                    response, _ = ask(connection, "POST", "/baskets/price", headers=headers)
                    self.assertEqual(response.status, status)
                    self.assertEqual(response.getheader("Connection"), "close")
                    connection.close()


class Drain(unittest.TestCase):
    def test_answers_what_was_asked_and_closes_what_is_idle(self):
        asked, release = threading.Event(), threading.Event()

        def routes(_method, path, _body):
            if path == "/slow":
                asked.set()
                release.wait(10)
            return Answer(200, {"path": path})

        with Running(routes) as running:
            idle, slow = running.connect(), running.connect()
            self.assertEqual(ask(idle, "GET", "/")[0].status, 200)
            answer = []
            client = threading.Thread(target=lambda: answer.extend(ask(slow, "GET", "/slow")))
            client.start()
            self.assertTrue(asked.wait(10))

            left = []
            drain = threading.Thread(target=lambda: left.append(running.drain()))
            drain.start()
            self.assertEqual(idle.sock.recv(1), b"", "an idle connection is closed at once")
            with self.assertRaises(ConnectionRefusedError):
                running.connect().connect()
            release.set()
            client.join()
            drain.join()
            self.assertEqual(left, [0])
            self.assertEqual(answer[0].status, 200)
            self.assertEqual(answer[0].getheader("Connection"), "close")
            self.assertEqual(json.loads(answer[1]), {"path": "/slow"})
            idle.close()

    def test_says_how_many_it_had_to_cut(self):
        asked, release = threading.Event(), threading.Event()

        def routes(*_):
            asked.set()
            release.wait(10)
            return Answer(200, {})

        with Running(routes) as running:
            with socket.create_connection(("127.0.0.1", running.server.server_port)) as stuck:
                stuck.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(asked.wait(10))
                self.assertEqual(running.drain(deadline=0.05), 1)
                release.set()
