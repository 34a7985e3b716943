# SPDX-License-Identifier: Apache-2.0
"""Rollouts and rollbacks under every kind of traffic, counted from outside: none is lost, none is cut, no order arrives twice.

TOWPATH_ROLLOUTS and TOWPATH_RATE (requests a second) make it longer; script/test --long runs 100 at 1,000.
"""

import asyncio
import base64
import collections
import os
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from towpath import ROOT, PlatformCase, wait_until

HOST = "web--development--busy.localhost"
ROLLOUTS = int(os.environ.get("TOWPATH_ROLLOUTS", "12"))
RATE = int(os.environ.get("TOWPATH_RATE", "300"))

SCORE = """apiVersion: score.dev/v1b1
metadata:
  name: web
service:
  ports:
    http:
      port: 80
      targetPort: 8080
containers:
  main:
    image: .
    variables:
      VERSION: ${resources.env.VERSION}
    readinessProbe:
      httpGet:
        path: /
        port: 8080
resources:
  env:
    type: environment
  route:
    type: route
    params:
      port: 80
"""


class Clients:
    """Clients of their own thread; every answer is read to its end and looked at."""

    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.done, self.faults, self.orders = collections.Counter(), [], []
        self.stopping = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping = True
        self.thread.join()
        self.seconds = time.monotonic() - self.began

    async def run(self):
        # Short requests share the rate; the streams last two seconds each and are few.
        short = [self.kept, self.kept, self.fresh, self.post_kept, self.post_fresh] * 4
        pause = len(short) / self.rate
        await asyncio.gather(*(self.repeat(kind, pause) for kind in short),
                             *(self.repeat(kind, 0) for kind in (self.download, self.events, self.websocket) for _ in range(3)))

    async def repeat(self, kind, pause):
        held = {}  # a kept connection
        while not self.stopping:
            begin = time.monotonic()
            try:
                await asyncio.wait_for(kind(held), 20)
                self.done[kind.__name__] += 1
            except Exception as error:  # whatever it is, the client did not get its answer
                self.faults.append(f"{kind.__name__}: {type(error).__name__} {error}")
                self.drop(held)
            await asyncio.sleep(max(0, begin + pause - time.monotonic()))
        self.drop(held)

    @staticmethod
    def drop(held):
        if "writer" in held:
            held.pop("writer").close()
            held.pop("reader")

    async def ask(self, held, path, method="GET", headers="", keep=False):
        """Sends a request; status and headers of the answer. A kept connection that the proxy has closed is opened anew."""
        if "writer" not in held or held["reader"].at_eof():
            self.drop(held)
            held["reader"], held["writer"] = await asyncio.open_connection("127.0.0.1", self.port)
        connection = "" if keep else "Connection: close\r\n"
        held["writer"].write(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{connection}{headers}\r\n".encode())
        head = (await held["reader"].readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if ":" in line}
        return int(head[0].split()[1]), fields

    async def text(self, held, fields):
        if "content-length" in fields:
            return await held["reader"].readexactly(int(fields["content-length"]))
        body = b""
        while size := int(await held["reader"].readuntil(b"\r\n"), 16):
            body += (await held["reader"].readexactly(size + 2))[:-2]
        await held["reader"].readuntil(b"\r\n")
        return body

    async def short(self, held, keep, method="GET", path="/", headers="", wanted=b"version "):
        status, fields = await self.ask(held, path, method, headers, keep)
        body = await self.text(held, fields)
        if status != 200 or not body.startswith(wanted):
            raise ValueError(f"{status} {body[:80]}")
        if not keep or fields.get("connection") == "close":
            self.drop(held)

    async def kept(self, held):
        await self.short(held, True)

    async def fresh(self, held):
        await self.short(held, False)

    async def post(self, held, keep):
        order = base64.b32encode(os.urandom(10)).decode()
        self.orders.append(order)
        await self.short(held, keep, "POST", "/orders", f"X-Order: {order}\r\nContent-Length: 5\r\n\r\nhello"[:-2], b"taken")

    async def post_kept(self, held):
        await self.post(held, True)

    async def post_fresh(self, held):
        await self.post(held, False)

    async def download(self, held):
        status, fields = await self.ask(held, "/download")
        body = await self.text(held, fields)
        if status != 200 or len(body) != 20 * 52_429:
            raise ValueError(f"{status}, {len(body)} bytes")
        self.drop(held)

    async def events(self, held):
        status, fields = await self.ask(held, "/events")
        body = await self.text(held, fields)
        if status != 200 or not body.endswith(b"data: 19\n\ndata: end\n\n"):
            raise ValueError(f"{status}, ends with {body[-40:]}")
        self.drop(held)

    async def websocket(self, held):
        key = base64.b64encode(os.urandom(16)).decode()
        status, _ = await self.ask(held, "/socket", headers="Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                   f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n", keep=True)
        if status != 101:
            raise ValueError(f"status {status}")
        for number in range(20):
            _, size = await held["reader"].readexactly(2)
            text = await held["reader"].readexactly(size)
            if text != str(number).encode():
                raise ValueError(f"{text} in place of {number}")
        if await held["reader"].readexactly(2) != b"\x88\x00":
            raise ValueError("not closed as agreed")
        self.drop(held)


class Traffic(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        p.tow("project", "create", "busy")
        p.tow("config", "set", "VERSION=0", "-p", "busy", "-e", "development")
        with open(os.path.join(ROOT, "tests", "e2e", "traffic", "server.js")) as file:
            server = file.read()
        cls.folder = p.repository("busy", files={
            "score.yaml": SCORE, "server.js": server,
            "package.json": '{"name": "web", "private": true, "type": "module", "scripts": {"start": "node server.js"}}\n'})
        seen = p.push(cls.folder, "Busy")
        if "live as revision 1" not in seen:
            raise AssertionError(seen)
        p.tow("scale", "web", "2", "-p", "busy")

    def orders_that_arrived(self):
        lines = self.platform.tow("logs", "web", "-p", "busy", "--grep", "order ").stdout.splitlines()
        return collections.Counter(line.split("order ")[1].strip() for line in lines)

    async def until_told(self):
        """What an event stream that never ends by itself still says, and after how long it ends."""
        clients, held = Clients(self.platform.http_port, 1), {}
        begin = time.monotonic()
        await clients.ask(held, "/until-told")
        said = b""
        while part := await asyncio.wait_for(held["reader"].read(4096), 120):
            said += part
        clients.drop(held)
        return said, time.monotonic() - begin

    def test_rollouts_and_rollbacks_lose_nothing(self):
        p = self.platform
        listener = ThreadPoolExecutor(1).submit(lambda: asyncio.run(self.until_told()))
        with Clients(p.http_port, RATE) as clients:
            for number in range(ROLLOUTS):
                if number % 2 == 0:
                    p.tow("config", "set", f"VERSION={number + 1}", "-p", "busy", "-e", "development")
                    wait_until("it is taken up", lambda: p.get(HOST)[1] == f"version {number + 1}\n")
                else:
                    p.tow("rollback", "web", "-p", "busy")
        print(f"{ROLLOUTS} rollouts and rollbacks in {clients.seconds:.0f} s, {sum(clients.done.values())} answers: {dict(clients.done)}")
        self.assertEqual(clients.faults, [])
        # Streams last two seconds each, however quickly the rollouts go.
        for kind, least in {"kept": ROLLOUTS, "fresh": ROLLOUTS, "post_kept": ROLLOUTS, "post_fresh": ROLLOUTS,
                            "download": 3, "events": 3, "websocket": 3}.items():
            self.assertGreaterEqual(clients.done[kind], least, f"{kind}: the load was not there")
        arrived = self.orders_that_arrived()
        self.assertEqual([order for order in clients.orders if arrived[order] != 1], [], "lost, or taken twice")

        with self.subTest("what does not end by itself is told to, and what it then says is heard"):
            said, seconds = listener.result()
            self.assertIn(b"data: farewell", said)
            self.assertTrue(said.endswith(b"0\r\n\r\n"), "the answer has its end")
            self.assertGreater(seconds, 20, "it had its drain time")


if __name__ == "__main__":
    unittest.main()
