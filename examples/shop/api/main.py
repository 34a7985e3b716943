# SPDX-License-Identifier: Apache-2.0
"""The shop's API as a process: settings from the environment, then serving until SIGTERM."""

import os
import signal
import socket
import sys
import threading

from shop_api.catalogue import Catalogue, currency_of
from shop_api.routes import Routes
from shop_api.server import Server

VERSION = "1.0.0"
PRODUCTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "products.json")


def main():
    try:
        port = int(os.environ.get("PORT", "8081"))
        currency = currency_of(os.environ.get("CURRENCY", "EUR"))
        catalogue = Catalogue.load(PRODUCTS, currency)
    except ValueError as fault:
        print(f"api: {fault}", file=sys.stderr)
        return 2

    server = Server(("", port), Routes(catalogue, VERSION, socket.gethostname()))

    def stop(number, _frame):
        print(f"api: {signal.Signals(number).name}; finishing the requests in flight", flush=True)
        # stop() waits for the loop below, which this handler interrupts: hence a thread.
        threading.Thread(target=server.stop).start()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)

    print(f"api: listening on port {server.server_port}, prices in {currency}", flush=True)
    server.serve_until_stopped()
    left = server.drain(deadline=10)
    print(f"api: done, {left} connections cut" if left else "api: done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
