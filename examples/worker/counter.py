# SPDX-License-Identifier: Apache-2.0
"""A counter on disk. What add() has returned from survives anything but the loss of the disk.

A directory holds a journal with one line of JSON for every count, and a checkpoint that stands for
the journal before it: `counter.json` is replaced as a whole, `journal.jsonl` is only appended to. A
line that a crash cut in the middle is recognised and dropped: nobody had been told of it.
"""

import fcntl
import json
import os
import time

JOURNAL_LIMIT = 1000  # lines, until they are folded into the checkpoint


class Busy(Exception):
    """Another process counts in the same directory."""


class Counter:
    def __init__(self, directory, now=time.time):
        self._now = now
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._lock = open(self._path("lock"), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Busy(f"{directory} is in use by another worker") from None
        try:
            self._recover()
        except BaseException:
            self._lock.close()
            raise

    def _path(self, name):
        return os.path.join(self._directory, name)

    def _recover(self):
        saved = self._read_checkpoint()
        self.count, self.run = saved["count"], saved["run"] + 1
        lines, torn = self._read_journal()
        for line in lines:
            # A crash between writing the checkpoint and emptying the journal leaves lines that the
            # checkpoint has counted already.
            self.count = max(self.count, line["count"])
            self.run = max(self.run, line["run"] + 1)
        self.recovery = f"{len(lines)} lines read back" + (", one torn line dropped" if torn else "")
        self._checkpoint()

    def _read_checkpoint(self):
        try:
            with open(self._path("counter.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {"count": 0, "run": 0}
        except ValueError as fault:
            raise ValueError(f"{self._path('counter.json')} is damaged ({fault}); restore it from a backup") from None

    def _read_journal(self):
        try:
            with open(self._path("journal.jsonl"), "rb") as file:
                *whole, rest = file.read().split(b"\n")
        except FileNotFoundError:
            return [], False
        lines = []
        for number, line in enumerate(whole, 1):
            try:
                lines.append(json.loads(line))
            except ValueError as fault:
                path = self._path("journal.jsonl")
                raise ValueError(f"{path}, line {number}, is damaged ({fault}); restore it from a backup") from None
        return lines, bool(rest)

    def _checkpoint(self):
        """Writes the checkpoint, then begins an empty journal."""
        temporary = self._path("counter.json.new")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"count": self.count, "run": self.run}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path("counter.json"))
        self._journal = open(self._path("journal.jsonl"), "wb")
        self._lines = 0
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def add(self):
        """Counts one more; returns when that is on disk."""
        line = {"count": self.count + 1, "run": self.run, "time": round(self._now(), 3)}
        self._journal.write(json.dumps(line).encode() + b"\n")
        self._journal.flush()
        os.fdatasync(self._journal.fileno())
        self.count += 1
        self._lines += 1
        if self._lines >= JOURNAL_LIMIT:
            self._journal.close()
            self._checkpoint()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._journal.close()
        self._lock.close()
