# SPDX-License-Identifier: Apache-2.0
"""Slow and mutated clients: they find no fault in the API or the proxy, and everybody else is served meanwhile."""

import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

from test_life import SCORE
from towpath import PlatformCase

SITE = "site--development--held.localhost"
MUTATIONS = 150  # of each request, at each door
# What slowhttptest calls its attacks: headers, bodies and reading that take for ever, and overlapping ranges.
ATTACKS = {"headers": ["-H"], "bodies": ["-B"], "reading": ["-X", "-w", "1", "-y", "20", "-n", "1", "-z", "5"], "ranges": ["-R"]}


class HostileClients(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        p.tow("project", "create", "held")
        p.push(p.repository("held", files={"index.html": "good\n", "score.yaml": SCORE % "site"}), "First")
        cls.doors = [p.api_port, p.http_port]

    def memory(self):
        """Of the server, in MiB."""
        with open(f"/proc/{self.platform.server.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024

    def test_slow_ones_take_nobodys_place(self):
        p = self.platform
        before = self.memory()
        for attack, options in ATTACKS.items():
            with self.subTest(attack=attack), tempfile.TemporaryDirectory() as directory:
                slow = [subprocess.Popen(["slowhttptest", *options, "-c", "400", "-r", "400", "-i", "1", "-l", "3", "-p", "2",
                                          "-u", f"http://127.0.0.1:{port}/"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory)
                        for port in self.doors]
                served = 0
                while any(attacker.poll() is None for attacker in slow):
                    with urllib.request.urlopen(p.url + "/healthz", timeout=10) as answer:
                        self.assertEqual(answer.status, 200)
                    self.assertEqual(p.get(SITE, timeout=10), (200, "good\n"))
                    served += 1
                    time.sleep(0.05)
                self.assertGreater(served, 5)
        self.assertLess(self.memory() - before, 64, "what they are given is given back")

    def test_mutated_ones_are_refused_and_nothing_falls(self):
        p = self.platform
        body = b'{"metadata":{"name":"odd"},"spec":{"description":"odd"}}'
        known = b"Authorization: Bearer %s\r\n" % p.token().encode()
        requests = [
            b"GET /api/v1/projects?limit=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n" % known,
            b"PUT /api/v1/environmenttypes/odd HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (known, len(body), body),
            b"POST /api/v1/projects HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" % known,
            b"GET /git/held/held.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: a\r\n%sGit-Protocol: version=2\r\n\r\n" % known,
            b"GET / HTTP/1.1\r\nHost: %s\r\nRange: bytes=0-3,2-5\r\nConnection: keep-alive\r\n\r\n" % SITE.encode(),
        ]
        faults = []

        def attack(port, request):
            for seed in range(MUTATIONS):
                mutated = subprocess.run(["zzuf", "-s", str(seed), "-r", "0.002:0.05"], input=request, capture_output=True, check=True).stdout
                said = exchange(port, mutated)
                if said[9:10] == b"5" and said[9:12] not in (b"501", b"503", b"505"):
                    faults.append((mutated, said[:200]))

        threads = [threading.Thread(target=attack, args=(port, request)) for port in self.doors for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertIsNone(p.server.poll())
        self.assertEqual(p.get(SITE), (200, "good\n"))
        self.assertTrue(p.answers())


def exchange(port, request):
    """What is answered to these bytes, or nothing. Who sends them says that no more come."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                said += piece
        except ConnectionError:
            pass
    return said


if __name__ == "__main__":
    unittest.main()
