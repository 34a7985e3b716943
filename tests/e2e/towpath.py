# SPDX-License-Identifier: Apache-2.0
"""A platform of its own for each test class: the real server, containers, git and HAProxy, on free ports."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOW = os.path.abspath(os.path.join(ROOT, os.environ.get("TOW", "build/release/src/apps/tow")))
CACHE = os.environ.get("TOWPATH_TEST_CACHE", "/var/cache/towpath-test")
# How many times as long as usual everything may take: a program with a sanitizer is slow, not wrong.
PATIENCE = int(os.environ.get("TOWPATH_PATIENCE", "1"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, condition, seconds=60):
    """Polls a condition of the outside world; fails by name."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {seconds}s: {what}")


class Platform:
    number = 0

    def __init__(self):
        Platform.number += 1
        self.home = tempfile.mkdtemp(prefix="tow-e2e-")
        self.data = os.path.join(self.home, "data")
        self.runtime = f"/run/tow-e2e-{os.getpid()}-{Platform.number}"
        self.api_port, self.http_port, self.internal_port = free_port(), free_port(), free_port()
        self.links = "e%x" % (os.getpid() % 4096)
        self.name = f"towe2e{os.getpid()}"
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.settings = ["--data", self.data, "--runtime", self.runtime, "--listen", f"127.0.0.1:{self.api_port}",
                         "--http", f"127.0.0.1:{self.http_port}", "--name", self.name, "--links", self.links,
                         "--network", f"10.{100 + os.getpid() % 100}.0.0/16", "--internal-port", str(self.internal_port),
                         "--images", os.path.join(CACHE, "images")]
        self.server = None
        os.makedirs(CACHE, exist_ok=True)
        os.chmod(self.home, 0o755)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "TOWPATH_SOCKET": self.runtime + "/tow.sock",
                    "TOWPATH_URL": self.url, "LANG": "C.UTF-8", "GIT_AUTHOR_NAME": "Dev", "GIT_AUTHOR_EMAIL": "dev@example.org",
                    "GIT_COMMITTER_NAME": "Dev", "GIT_COMMITTER_EMAIL": "dev@example.org", "GIT_TERMINAL_PROMPT": "0",
                    **{name: os.environ[name] for name in ("ASAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ}}

    def start(self, fault=None):
        """Until it answers. With a fault point it may end before."""
        trust = ["--trust-host-certificates"] if os.environ.get("NODE_EXTRA_CA_CERTS") else []
        with open(os.path.join(self.home, "server.log"), "ab") as log:
            self.server = subprocess.Popen([TOW, "server", *self.settings, *trust], stdout=log, stderr=log,
                                           stdin=subprocess.DEVNULL, env={**os.environ, "HOME": self.home, "TOWPATH_FAULT": fault or ""})
        wait_until("the server answers\n" + self.log(), lambda: self.server.poll() is not None or self.answers())
        if not fault and self.server.poll() is not None:
            raise AssertionError("the server ended:\n" + self.log())

    def answers(self):
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def log(self):
        try:
            with open(os.path.join(self.home, "server.log"), errors="replace") as file:
                return file.read()[-4000:]
        except FileNotFoundError:
            return ""

    def kill(self, how=signal.SIGKILL):
        self.server.send_signal(how)
        self.server.wait(30 * PATIENCE)

    def tow(self, *arguments, cwd=None, check=True, text_in=None, timeout=120):
        done = subprocess.run([TOW, *arguments], cwd=cwd or self.home, env=self.env, input=text_in, text=True,
                              capture_output=True, timeout=timeout * PATIENCE)
        if check and done.returncode != 0:
            raise AssertionError(f"tow {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()}")
        return done

    def sign_in(self):
        invitation = self.tow("admin", "invite").stdout.strip()
        self.tow("login", self.url, "--invitation", invitation)
        return invitation

    def token(self):
        """What `tow` signs in with."""
        with open(os.path.join(self.home, ".config", "towpath", "credentials.json")) as file:
            return next(iter(json.load(file)["tokens"].values()))

    def git(self, folder, *arguments, check=True, timeout=600):
        done = subprocess.run(["git", *arguments], cwd=folder, env=self.env, text=True, capture_output=True,
                              timeout=timeout * PATIENCE)
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stdout}\n{done.stderr}\n{self.log()}")
        return done

    def repository(self, project, example=None, files=None):
        """A fresh repository with an example's files, and the remote of a project."""
        folder = os.path.join(self.home, project)
        if example:
            shutil.copytree(os.path.join(ROOT, "examples", example), folder)
        else:
            os.makedirs(folder)
        self.write(folder, files or {})
        self.git(folder, "init", "-q", "-b", "main")
        self.git(folder, "remote", "add", "tow", f"{self.url}/git/{project}/{project}.git")
        return folder

    @staticmethod
    def write(folder, files):
        for name, content in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(content)

    def push(self, folder, message, check=True):
        """Commits all and pushes; what the pusher saw. A push is done whatever the rollout does."""
        self.git(folder, "add", "-A")
        self.git(folder, "commit", "-q", "--allow-empty", "-m", message)
        return self.git(folder, "push", "tow", "main", check=check).stderr

    def get(self, host, path="/", timeout=10):
        """Status and text of a GET through the proxy."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=timeout * PATIENCE) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def entities(self, project, kind):
        return json.loads(self.tow("get", kind, "-p", project, "-o", "json").stdout)

    def deployment(self, project, name):
        return json.loads(self.tow("get", "deployments", name, "-p", project, "-o", "json").stdout)

    def traces(self):
        """What of this platform is on the machine: links, mounts, control groups, rules, processes."""
        found = []
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
        found += [line.split(":")[1].strip() for line in links.splitlines() if line.split(":")[1].strip().startswith(self.links)]
        with open("/proc/self/mounts") as mounts:
            found += [line.split()[1] for line in mounts if self.home in line or self.runtime in line]
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
        found += [line for line in tables.splitlines() if self.name in line]
        for process in os.listdir("/proc"):
            if process.isdigit():
                try:
                    with open(f"/proc/{process}/cmdline", "rb") as file:
                        command = file.read().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if self.home in command or self.runtime in command:
                    found.append(f"process {process} {command[:120]}")
        return found

    def down(self):
        if self.server and self.server.poll() is None:
            self.kill(signal.SIGTERM)
        subprocess.run([TOW, "admin", "takedown", *self.settings, "--data-too"], env=self.env, timeout=120, capture_output=True)
        left = self.traces()
        shutil.rmtree(self.home, ignore_errors=True)
        return left


class Load:
    """Clients that ask for one address until told to stop, each request counted from outside."""

    def __init__(self, platform, host, path="/", clients=4):
        self.asked, self.failed, self.bad = 0, [], threading.Event()
        self.platform, self.host, self.path = platform, host, path
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def run(self):
        while not self.bad.is_set():
            try:
                status, _ = self.platform.get(self.host, self.path)
                if status != 200:
                    self.failed.append(status)
            except OSError as error:
                self.failed.append(str(error))
            self.asked += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.bad.set()
        for thread in self.threads:
            thread.join()


class PlatformCase(unittest.TestCase):
    """One platform for all tests of a class; a class that leaves something behind fails."""

    @classmethod
    def setUpClass(cls):
        cls.platform = Platform()
        cls.addClassCleanup(cls.clean)
        cls.platform.start()
        cls.platform.sign_in()

    @classmethod
    def clean(cls):
        left = cls.platform.down()
        if left:
            raise AssertionError("left behind: " + "; ".join(left))
