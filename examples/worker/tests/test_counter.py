# SPDX-License-Identifier: Apache-2.0
import json
import os
import tempfile
import unittest
from unittest import mock

import counter
from counter import Busy, Counter


class CounterTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def open(self):
        return Counter(self.directory, now=lambda: 1.5)

    def count(self, times):
        with self.open() as it:
            for _ in range(times):
                it.add()
            return it.count

    def test_goes_on_where_it_was(self):
        self.assertEqual(self.count(3), 3)
        self.assertEqual(self.count(2), 5)
        with self.open() as it:
            self.assertEqual((it.count, it.run), (5, 3))

    def test_a_run_without_a_count_is_a_run(self):
        self.count(0)
        with self.open() as it:
            self.assertEqual((it.count, it.run), (0, 2))

    def test_writes_one_line_for_each_count(self):
        with self.open() as it:
            it.add()
            with open(self.path("journal.jsonl"), encoding="utf-8") as journal:
                self.assertEqual(json.loads(journal.read()), {"count": 1, "run": 1, "time": 1.5})

    def test_drops_a_line_that_a_crash_cut(self):
        self.count(3)
        with open(self.path("journal.jsonl"), "ab") as journal:
            journal.write(b'{"count": 4, "ru')
        with self.open() as it:
            self.assertEqual(it.count, 3)
            self.assertEqual(it.recovery, "3 lines read back, one torn line dropped")
            it.add()
        self.assertEqual(self.count(0), 4, "the torn line is gone for good")

    def test_refuses_to_guess(self):
        cases = [
            ("journal.jsonl", b"nonsense\n", "line 1, is damaged"),
            ("counter.json", b"{", "counter.json is damaged"),
        ]
        for name, content, message in cases:
            with self.subTest(name):
                self.count(1)
                with open(self.path(name), "rb") as file:
                    good = file.read()
                with open(self.path(name), "wb") as file:
                    file.write(content)
                with self.assertRaisesRegex(ValueError, message):
                    self.open()
                with open(self.path(name), "wb") as file:
                    file.write(good)
                with self.open():
                    pass  # the refusal let go of the lock

    def test_folds_the_journal(self):
        with mock.patch.object(counter, "JOURNAL_LIMIT", 4):
            self.assertEqual(self.count(10), 10)
            with open(self.path("journal.jsonl"), "rb") as journal:
                self.assertEqual(len(journal.readlines()), 2)
            self.assertEqual(self.count(0), 10)

    def test_survives_a_crash_at_every_step_of_folding(self):
        # Each file operation of the checkpoint fails once, as if the power went at that moment.
        for step in ("os.fsync", "os.replace", "builtins.open"):
            with self.subTest(step):
                before = self.count(0)
                it = self.open()
                with mock.patch.object(counter, "JOURNAL_LIMIT", 1), mock.patch(
                    step, side_effect=OSError("power cut")
                ):
                    with self.assertRaisesRegex(OSError, "power cut"):
                        it.add()
                it.__exit__()
                self.assertEqual(self.count(0), before + 1, "the line was on disk before")

    def test_counts_nothing_twice_when_the_journal_outlives_its_checkpoint(self):
        self.count(2)
        with open(self.path("journal.jsonl"), "rb") as journal:
            lines = journal.read()
        self.count(0)  # folds those lines into the checkpoint
        with open(self.path("journal.jsonl"), "wb") as journal:
            journal.write(lines)  # ... and here they are again
        self.assertEqual(self.count(1), 3)

    def test_two_cannot_count_at_once(self):
        with self.open():
            with self.assertRaisesRegex(Busy, "in use by another worker"):
                self.open()
        self.assertEqual(self.count(1), 1, "the lock goes with its holder")
