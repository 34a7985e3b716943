# SPDX-License-Identifier: Apache-2.0
"""The whole program, as the platform runs it: environment, log, SIGTERM, SIGKILL."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Process(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.data = directory.name

    def start(self, **environment):
        process = subprocess.Popen(
            [sys.executable, "main.py"],
            cwd=ROOT,
            env={**os.environ, "DATA": self.data, "INTERVAL": "0.01", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_ends_on_sigterm(self):
        process = self.start()
        self.assertEqual(process.stdout.readline(), "worker: run 1 begins after 0 counts; 0 lines read back\n")
        self.assertEqual(process.stdout.readline(), "worker: counted 1, run 1\n")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertRegex(output.splitlines()[-1], r"^worker: stopping at \d+$")

    def test_loses_nothing_when_it_is_killed(self):
        said = 0
        for run in range(1, 4):
            process = self.start()
            first = process.stdout.readline()
            self.assertRegex(first, rf"^worker: run {run} begins after \d+ counts")
            self.assertGreaterEqual(int(first.split()[5]), said, "what it had said is still known")
            for _ in range(5):
                said = int(process.stdout.readline().split()[2].rstrip(","))
            process.kill()
            process.communicate()

    def test_refuses_with_a_sentence(self):
        cases = [
            ({"INTERVAL": "often"}, 2, 'worker: INTERVAL is "often"; it must be a number of seconds\n'),
            ({"INTERVAL": "0"}, 2, 'worker: INTERVAL is "0"; it must be a number of seconds\n'),
            ({"INTERVAL": "nan"}, 2, 'worker: INTERVAL is "nan"; it must be a number of seconds\n'),
            ({"DATA": "/proc/nowhere"}, 1, None),
        ]
        for environment, code, message in cases:
            with self.subTest(environment):
                process = self.start(**environment)
                _, errors = process.communicate(timeout=60)
                self.assertEqual(process.returncode, code)
                self.assertRegex(errors, "^worker: [^\n]+\n$")
                if message:
                    self.assertEqual(errors, message)
