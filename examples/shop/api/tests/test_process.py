# SPDX-License-Identifier: Apache-2.0
"""The whole program, as the platform runs it: environment, port, SIGTERM."""

import os
import re
import signal
import subprocess
import sys
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Process(unittest.TestCase):
    def start(self, **environment):
        process = subprocess.Popen(
            [sys.executable, "main.py"],
            cwd=ROOT,
            env={**os.environ, "PORT": "0", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_serves_and_ends_on_sigterm(self):
        process = self.start(CURRENCY="CHF")
        port = re.search(r"listening on port (\d+), prices in CHF", process.stdout.readline())[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/products", timeout=60) as response:
            self.assertIn(b'"rye-bread"', response.read())
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertIn("SIGTERM; finishing the requests in flight\napi: done", output)

    def test_refuses_a_bad_setting_with_a_sentence(self):
        process = self.start(CURRENCY="euro")
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2)
        self.assertEqual(errors, 'api: CURRENCY is "euro"; it must be three capital letters, such as EUR\n')
