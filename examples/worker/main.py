# SPDX-License-Identifier: Apache-2.0
"""A worker: counts on, every few seconds, through restarts, crashes and power cuts.

    DATA       the directory that outlives it       (default: data)
    INTERVAL   seconds from one count to the next   (default: 3)
"""

import os
import signal
import sys
import threading

from counter import Busy, Counter


def main():
    try:
        interval = float(os.environ.get("INTERVAL", "3"))
        if not 0 < interval < 86_400:
            raise ValueError
    except ValueError:
        print(f'worker: INTERVAL is "{os.environ["INTERVAL"]}"; it must be a number of seconds', file=sys.stderr)
        return 2

    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())

    try:
        counter = Counter(os.environ.get("DATA", "data"))
    except (Busy, OSError, ValueError) as fault:
        print(f"worker: {fault}", file=sys.stderr)
        return 1

    with counter:
        print(f"worker: run {counter.run} begins after {counter.count} counts; {counter.recovery}", flush=True)
        while not stopping.wait(interval):
            counter.add()
            print(f"worker: counted {counter.count}, run {counter.run}", flush=True)
        print(f"worker: stopping at {counter.count}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
