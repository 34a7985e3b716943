# SPDX-License-Identifier: Apache-2.0
"""The ingress beside a HAProxy that was configured by hand for the same one site, before the same server; and routes at
different numbers. Each proxy has one thread. Processor time is what the kernel counted for the proxy's process."""

import contextlib
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

SERVER = """global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
frontend server
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "hello from the instance"
"""
BARE = """global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
frontend public
  bind 127.0.0.1:{port}
  option forwardfor
  use_backend %[req.hdr(host),map({map})]
backend b0
  http-reuse safe
  server one 127.0.0.1:{server}
"""


@contextlib.contextmanager
def haproxy(home, name, text):
    path = os.path.join(home, name + ".cfg")
    with open(path, "w") as file:
        file.write(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", path], stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def router(home, routes, changes, server):
    directory = os.path.join(home, f"r{routes}")
    program = os.path.join(os.path.dirname(__file__), "..", "build", "release", "bench", "route_bench")
    with open(directory + ".log", "w") as log:
        process = subprocess.Popen([program, directory, str(routes), str(changes), str(server)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=log, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            with open(directory + ".log") as log:
                raise AssertionError("route_bench ended: " + log.read()[-2000:])
        figures = json.loads(line)
        workers = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline") as file:
                    if directory + "/haproxy.cfg" in file.read() and os.getsid(int(pid)) != int(pid):
                        workers.append(int(pid))
        yield figures, max(workers)
    finally:
        process.stdin.close()
        process.wait(60)


def processor_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def load(port, pid, seconds):
    before = processor_seconds(pid)
    out = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-H", "Host: web.test", f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise AssertionError(out)
    requests = int(re.search(r"(\d+) requests in", out).group(1))

    def latency(part):
        value, unit = re.search(part + r"%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return {"rate": rate, "p50": latency("50"), "p99": latency("99"), "cpu": (processor_seconds(pid) - before) / requests * 1e6}


def measure(free_port, counts=((10, 200), (1_000, 500), (10_000, 1_000)), rounds=7, seconds=2):
    """For each number of routes: what a change costs; at 10 also (ours, bare) under load, medians of turns."""
    home = tempfile.mkdtemp(prefix="tow-bench-ingress-")
    os.chmod(home, 0o755)
    server, bare = free_port(), free_port()
    with open(home + "/host.map", "w") as file:
        file.write("web.test b0\n")
    changes, beside = {}, None
    with haproxy(home, "server", SERVER.format(port=server)), \
            haproxy(home, "bare", BARE.format(port=bare, server=server, map=home + "/host.map")) as bare_pid:
        time.sleep(0.5)
        for routes, many in counts:
            with router(home, routes, many, server) as (figures, worker):
                changes[routes] = figures
                turns = [(load(figures["port"], worker, seconds), load(bare, bare_pid, seconds)) for _ in range(rounds)]
                middle = [{key: statistics.median(turn[side][key] for turn in turns) for key in turns[0][side]} for side in (0, 1)]
                changes[routes]["load"] = middle
    subprocess.run(["rm", "-rf", home], check=True)
    return changes


def rows(row, free_port, **options):
    found = measure(free_port, **options)
    for routes, figures in found.items():
        ours, bare = figures["load"]
        ratio = ours["rate"] / bare["rate"]
        row(f"ingress, 64 connections, {routes:,} routes", f"{ours['rate']:.0f}/s, p50 {ours['p50']:.2f} ms, p99 {ours['p99']:.2f} ms, {ours['cpu']:.1f} µs of processor each",
            f"HAProxy by hand, one route {bare['rate']:.0f}/s, p50 {bare['p50']:.2f} ms, p99 {bare['p99']:.2f} ms, {bare['cpu']:.1f} µs",
            f"{ratio:.2f}x", "at least 0.95x", ratio >= 0.95)
        row(f"a change of one route among {routes:,}", f"p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.2f} ms, most {figures['most_ms']:.1f} ms", "-", "-",
            "p99 50 ms", figures["p99_ms"] <= 50)
