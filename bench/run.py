# SPDX-License-Identifier: Apache-2.0
"""Measures the platform beside its peers, in one run, and writes docs/benchmarks.md. Called by script/bench."""

import json
import os
import platform as machine
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import containers  # noqa: E402
import ingress  # noqa: E402
from towpath import CACHE, Platform, free_port, wait_until  # noqa: E402

SCORE = """apiVersion: score.dev/v1b1
metadata: {name: site}
service: {ports: {http: {port: 8080}}}
containers: {main: {image: .}}
resources: {route: {type: route, params: {port: 8080}}}
"""
BUILD = os.path.join(ROOT, "build", "release")
HOST = "site--development--bench.localhost"
rows = []


def row(what, ours, peer, ratio, budget, met):
    rows.append((what, ours, peer, ratio, budget, met))
    print(f"  {what}: {ours} | {peer} | {ratio} | {'met' if met else 'missed' if met is not None else '-'}", flush=True)


def milliseconds(values):
    return f"{statistics.median(values) * 1000:.0f} ms"


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def wrk(url, script, connections, seconds=5):
    """Requests per second and p99 in milliseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", file.name, url],
                             capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    if "Non-2xx" in out:
        raise AssertionError("requests failed: " + out)
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def etcd_puts(port, value, connections, seconds):
    """etcdserverpb.KV/Put over gRPC, each client one call at a time, its message written by hand: key 1, value 2."""
    message = b"\x0a\x01w\x12" + bytes([len(value) & 0x7F | 0x80, len(value) >> 7]) + value
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(message).to_bytes(4, "big") + message)
        body.flush()
        out = subprocess.run(["h2load", "-t1", f"-c{connections}", "-m1", "-D", str(seconds), "--warm-up-time=0", "-d", body.name,
                              "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://127.0.0.1:{port}/etcdserverpb.KV/Put"],
                             capture_output=True, text=True, check=True).stdout
    # gRPC says 200 to a call that failed, too: the key must have been written as often as was counted.
    done = int(re.search(r"status codes: (\d+) 2xx", out).group(1))
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/kv/range", b'{"key":"dw=="}')
    with urllib.request.urlopen(request) as answer:
        version = int(json.load(answer)["kvs"][0]["version"])
    if done == 0 or version < done:
        raise AssertionError(f"etcd wrote {version} times, answered {done} times: {out}")
    return done / seconds


def writes(p):
    value = "x" * 500
    ours = """counter = 0
request = function()
  counter = counter + 1
  local name = "w" .. (counter %% 200)
  local body = '{"metadata":{"name":"' .. name .. '"},"spec":{"description":"%s' .. counter .. '"}}'
  return wrk.format("PUT", "/api/v1/environmenttypes/" .. name, {["Authorization"]="Bearer %s", ["Content-Type"]="application/json"}, body)
end""" % (value, p.token())
    directory = tempfile.mkdtemp(prefix="tow-bench-etcd-")
    client, peer = free_port(), free_port()
    etcd = subprocess.Popen(["etcd", "--data-dir", directory, "--listen-client-urls", f"http://127.0.0.1:{client}",
                             "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def healthy():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{client}/health", timeout=1).status == 200
            except OSError:
                return False
        wait_until("etcd answers", healthy)
        for connections, least in ((1, 1.0), (64, 1.5)):
            a, b = [], []
            for _ in range(5):  # in turn, so that both see the same machine
                a.append(wrk(p.url, ours, connections, 3)[0])
                b.append(etcd_puts(client, (value + "0000000").encode(), connections, 3))
            ratio = statistics.median(a) / statistics.median(b)
            row(f"durable writes, {connections} client{'s' if connections > 1 else ''}", f"{statistics.median(a):.0f}/s",
                f"etcd over gRPC {statistics.median(b):.0f}/s", f"{ratio:.2f}x", f"at least {least}x", ratio >= least)
    finally:
        etcd.send_signal(signal.SIGTERM)
        etcd.wait()
        shutil.rmtree(directory, ignore_errors=True)


def at_rate(url, header, connections, wanted, seconds=5):
    """Requests per second that were answered, and p99 in milliseconds, when that many are sent."""
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        subprocess.run(["h2load", "--h1", "-t1", f"-c{connections}", "-m1", "-D", str(seconds), "--warm-up-time=0", f"--rps={wanted / connections}",
                        "-H", header, "--log-file", log, url], capture_output=True, check=True)
        with open(log) as file:
            answers = [line.split() for line in file]
    took = [int(microseconds) / 1000 for _, status, microseconds in answers if status == "200"]
    if len(took) != len(answers):
        raise AssertionError(f"{len(answers) - len(took)} of {len(answers)} requests were not answered well")
    return len(took) / seconds, percentile(took, 0.99)


def reads(p):
    path = "/api/v1/environmenttypes/development"
    rate, p99 = at_rate(p.url + path, f"authorization: Bearer {p.token()}", 16, 5000)
    row("reads of one entity, 5,000 a second", f"{rate:.0f}/s, p99 {p99:.1f} ms", "-", "-", "p99 5 ms at 5,000/s", rate >= 4900 and p99 <= 5)
    script = 'request = function() return wrk.format("GET", "%s", {["Authorization"]="Bearer %s"}) end' % (path, p.token())
    rate, p99 = wrk(p.url, script, 16)
    row("reads of one entity, 16 connections as fast as they go", f"{rate:.0f}/s, p99 {p99:.1f} ms", "-", "-", "-", None)


def live(p):
    try:
        return p.get(HOST, timeout=5)
    except OSError:
        return 0, ""


def push_to_live(p, folder):
    ours, by_hand = [], []
    bare = os.path.join(p.home, "bare.git")
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    p.git(folder, "remote", "add", "bare", bare)
    storage = ["--root", os.path.join(CACHE, "images", "storage"), "--runroot", os.path.join(p.home, "runroot"), "--storage-driver", "overlay"]
    containerfile = os.path.join(p.home, "Containerfile")
    with open(containerfile, "w") as file:
        file.write("FROM localhost/towpath/static:12\nCOPY ./ /srv/\n")
    for turn in range(7):
        text = f"turn {turn}\n"
        p.write(folder, {"index.html": text})
        p.git(folder, "commit", "-qam", text)
        start = time.monotonic()
        push = subprocess.Popen(["git", "push", "-q", "tow", "main"], cwd=folder, env=p.env, stderr=subprocess.DEVNULL)
        wait_until("the change is live", lambda: live(p) == (200, text))
        ours.append(time.monotonic() - start)
        push.wait()
        start = time.monotonic()
        p.git(folder, "push", "-q", "bare", "main")
        subprocess.run(["buildah", *storage, "bud", "--layers", "-q", "--isolation", "chroot", "-t", "bench-by-hand", "-f", containerfile, folder],
                       check=True, capture_output=True)
        by_hand.append(time.monotonic() - start)
    a, b = statistics.median(ours[1:]), statistics.median(by_hand[1:])
    row("push of a one-file change to live", milliseconds(ours[1:]), f"git push + buildah build by hand {milliseconds(by_hand[1:])}, without a start",
        f"{(a - b) * 1000:+.0f} ms", "at most +300 ms and the start", None if a - b > 0.3 else True)


def deploy_to_live(p):
    """A restart makes a new revision of an image that is present: until that revision answers."""
    times = []
    headers = {"Authorization": "Bearer " + p.token(), "Content-Type": "application/json"}
    for _ in range(12):
        before = p.deployment("bench", "site.development")["status"]["serving"]
        start = time.monotonic()
        request = urllib.request.Request(f"{p.url}/api/v1/projects/bench/deployments/site.development:restart", b"{}", headers, method="POST")
        urllib.request.urlopen(request).read()
        url = f"{p.url}/api/v1/projects/bench/deployments/site.development"
        while True:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                if json.load(answer)["status"]["serving"] > before:
                    break
        if live(p)[0] != 200:
            raise AssertionError("it does not answer")
        times.append(time.monotonic() - start)
    row("deploy of a present image, from the API call to a 200 of the new revision", f"p50 {milliseconds(times)}, max {max(times) * 1000:.0f} ms",
        "-", "-", "p50 150 ms + the application's start, p99 1 s", max(times) < 1)


def container_start(p):
    storage = os.path.join(CACHE, "images", "storage")
    with open(os.path.join(storage, "overlay-images", "images.json")) as file:
        image = next(i["id"] for i in json.load(file) if any("towpath/base" in n for n in i.get("names") or []))
    home = tempfile.mkdtemp(prefix="tow-bench-containers-")
    os.chmod(home, 0o755)  # a container's root is a user of its own, who must come by
    try:
        ours, by_hand, podman, refused = containers.measure(os.path.join(BUILD, "bench", "engine_bench"), home, storage, image)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    row("start of a container, from the engine's call to its program running", f"{ours:.0f} ms",
        f"runc by hand, same image, namespaces, limits, network {by_hand:.0f} ms", f"{ours / by_hand:.2f}x", "at most 1.5x", ours <= 1.5 * by_hand)
    if podman is None:
        row("the same beside podman", "-", "podman refused here: " + refused, "-", "at most 1/3 of it", None)
    else:
        row("the same beside podman", f"{ours:.0f} ms", f"podman run -d, without a network {podman:.0f} ms", f"{ours / podman:.2f}x",
            "at most 1/3 of it", ours <= podman / 3)


def memory_of(words):
    total = 0
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
            if all(word in command for word in words):
                with open(f"/proc/{process}/smaps_rollup") as file:
                    total += int(re.search(r"Pss:\s+(\d+)", file.read()).group(1))
        except (OSError, AttributeError):
            continue
    return total / 1024


def idle(p):
    p.tow("scale", "site", "10", "-p", "bench")
    time.sleep(5)
    with open(f"/proc/{p.server.pid}/stat") as file:
        before = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    time.sleep(20)
    with open(f"/proc/{p.server.pid}/stat") as file:
        after = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    cpu = (after - before) / os.sysconf("SC_CLK_TCK") / 20 * 100
    server = memory_of(["tow", "server", p.runtime])
    row("idle, 10 instances: the control plane", f"{server:.0f} MiB PSS, {cpu:.2f}% of a core",
        f"conmon {memory_of(['conmon', p.home]) or memory_of(['conmon', p.runtime]):.0f} MiB, HAProxy {memory_of(['haproxy', p.runtime]):.0f} MiB", "-",
        "64 MiB, 0.5%", server <= 64 and cpu <= 0.5)
    p.tow("scale", "site", "1", "-p", "bench")


def start_with(p, count):
    script = """counter = 0
request = function()
  counter = counter + 1
  return wrk.format("PUT", "/api/v1/environmenttypes/s" .. counter, {["Authorization"]="Bearer %s", ["Content-Type"]="application/json"}, '{"spec":{"description":"%s"}}')
end""" % (p.token(), "y" * 500)
    while len(json.loads(p.tow("get", "environmenttypes", "-o", "json").stdout)) < count:
        wrk(p.url, script.replace('"/api/v1/environmenttypes/s"', f'"/api/v1/environmenttypes/s{time.monotonic_ns() % 10**9}x"'), 64, 2)
    times = []
    for _ in range(3):
        p.kill(signal.SIGTERM)
        start = time.monotonic()
        p.start()
        times.append(time.monotonic() - start)
    row(f"start of the server, over {count:,} entities, one deployment running", milliseconds(times), "-", "-", "300 ms", statistics.median(times) <= 0.3)


def watchers(p):
    request = urllib.request.Request(f"{p.url}/api/v1/environmenttypes/watched", b'{"metadata":{"name":"watched"},"spec":{}}',
                                     {"Authorization": "Bearer " + p.token(), "Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request).read()
    seen, due, middle, late = map(float, subprocess.run(
        [os.path.join(BUILD, "bench", "watch_bench"), str(p.api_port), p.token(), "1000", "100", "5"],
        check=True, capture_output=True, text=True).stdout.split())
    if seen != due:
        raise AssertionError(f"of {due:.0f} changes {seen:.0f} were seen")
    row("1,000 watchers, 100 changes a second, from the call that writes to the watcher", f"p50 {middle:.0f} ms, p99 {late:.0f} ms", "-", "-",
        "p99 50 ms", late <= 50)


def reconcile():
    healthy, seconds, mib = map(float, subprocess.run([os.path.join(BUILD, "bench", "deploy_bench"), "12000"],
                                                      check=True, capture_output=True, text=True).stdout.split())
    if healthy != 12_000:
        raise AssertionError(f"{healthy:.0f} of 12,000 deployments are healthy")
    row("12,000 deployments: a full pass after a restart, with the fake engine and proxy", f"{seconds:.1f} s of CPU; {mib:.0f} MiB, fakes included",
        "-", "-", "5 s, 256 MiB", seconds <= 5 and mib <= 256)


def density(p, count=500):
    """Instances of one static site, a hundred in a project."""
    def processes():
        conmon = memory_of(["conmon", p.home]) or memory_of(["conmon", p.runtime])
        return conmon + memory_of(["tow", "server", p.runtime]) + memory_of(["haproxy", p.runtime])

    def ready():
        return sum(p.deployment(name, "site.development")["status"].get("ready", 0) for name in names)

    p.tow("scale", "site", "0", "-p", "bench")
    wait_until("the others are gone", lambda: not p.entities("bench", "instances"))
    names = [f"dense{i}" for i in range(count // 100)]
    for name in names:
        p.tow("project", "create", name)
        p.push(p.repository(name, files={"index.html": name, "score.yaml": SCORE}), "Start")
    before, start = processes(), time.monotonic()
    for name in names:
        p.tow("scale", "site", "100", "-p", name, "--no-wait")
    wait_until(f"{count} instances are ready", lambda: ready() == count, 300)
    took = time.monotonic() - start
    of_each = (processes() - before) / (count - len(names))
    row(f"{count} instances of a static site", f"{count / took:.0f} a second until all are ready; {of_each:.1f} MiB each beside the application",
        "-", "-", "-", None)
    for name in names:
        p.tow("destroy", "project", name, "--yes", timeout=300)


def write_page():
    with open("/proc/cpuinfo") as file:
        processor = re.search(r"model name\s*: (.*)", file.read()).group(1)
    with open(os.path.join(ROOT, "docs", "benchmarks.md"), "w") as page:
        page.write("# Benchmarks\n\nWritten by `script/bench`; every figure was measured in one run, ours and the peer's in turn. Ratios hold across\n"
                   "machines, absolute times do not. Medians unless said otherwise.\n\n")
        page.write(f"Machine: {processor}, {os.cpu_count()} processors, Linux {machine.release()}.\n\n")
        page.write("| what | Towpath | peer | ratio | budget | met |\n|---|---|---|---|---|---|\n")
        for what, ours, peer, ratio, budget, met in rows:
            page.write(f"| {what} | {ours} | {peer} | {ratio} | {budget} | {'yes' if met else 'no' if met is not None else '-'} |\n")
        with open(os.path.join(ROOT, "bench", "notes.md")) as notes:
            page.write("\n" + notes.read())


def main():
    p = Platform()
    try:
        p.start()
        p.sign_in()
        p.tow("project", "create", "bench")
        folder = p.repository("bench", files={"index.html": "start\n", "score.yaml": SCORE})
        p.push(folder, "Start")
        push_to_live(p, folder)
        deploy_to_live(p)
        container_start(p)
        ingress.rows(row, free_port)
        reads(p)
        writes(p)
        idle(p)
        density(p)
        watchers(p)
        start_with(p, 10_000)
        reconcile()
        write_page()
    finally:
        left = p.down()
        if left:
            print("left behind:", left, file=sys.stderr)


main()
