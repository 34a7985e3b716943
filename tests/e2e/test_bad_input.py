# SPDX-License-Identifier: Apache-2.0
"""Bad input and bad days of applications: each is told in a sentence, and what ran goes on."""

import functools
import hashlib
import http.server
import os
import signal
import socket
import subprocess
import threading
import unittest
import zipfile

from test_bad_days import processes
from test_life import SCORE
from towpath import PATIENCE, TOW, Platform, PlatformCase, wait_until

PYTHON = "FROM towpath/python:12\nCMD [\"python3\", \"-c\", \"%s\"]\n"
SERVES = "FROM towpath/python:12\nCMD [\"python3\", \"-m\", \"http.server\", \"%d\"]\n"
# Seconds that no other process of this machine sleeps.
LONG = 100_000 + os.getpid()
WORKER = """apiVersion: score.dev/v1b1
metadata: {name: %s}
containers:
  main:
    image: .
%s"""


class BadInput(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        cls.index = Index(os.path.join(p.home, "index"))
        cls.addClassCleanup(cls.index.stop)
        trust = ", trustHostCertificates: true" if os.environ.get("NODE_EXTRA_CA_CERTS") else ""
        p.tow("apply", "-f", "-", text_in="apiVersion: towpath.dev/v1\nkind: Platform\nmetadata: {name: platform}\n"
              f"spec: {{pushLimit: 1Mi, pythonIndex: \"{cls.index.url}\"{trust}}}\n")
        cls.platform.tow("project", "create", "rough")
        cls.folder = cls.platform.repository("rough", files={"index.html": "good\n", "score.yaml": SCORE % "site"})
        cls.platform.push(cls.folder, "Good")

    def project(self, name, files):
        """A project of its own with these files committed; its repository."""
        p = self.platform
        p.tow("project", "create", name)
        folder = p.repository(name, files=files)
        p.git(folder, "add", "-A")
        p.git(folder, "commit", "-qm", "First")
        return folder

    def background(self, folder):
        return subprocess.Popen(["git", "push", "tow", "main"], cwd=folder, env=self.platform.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def said_while_it_starts(self, project, component, words):
        """Waits until the state of a deployment says it; what it said last otherwise."""
        p = self.platform
        seen = [""]

        def told():
            seen[0] = p.tow("status", component, "-p", project, check=False).stdout
            return words in seen[0]
        try:
            wait_until(words, told, 40)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen[0]}\n{p.log()}") from None

    def still_good(self):
        self.assertEqual(self.platform.get("site--development--rough.localhost"), (200, "good\n"))

    def test_a_push_over_the_limit(self):
        p = self.platform
        folder = self.project("large", {"index.html": "x\n", "score.yaml": SCORE % "site"})
        with open(os.path.join(folder, "blob"), "wb") as file:
            file.write(os.urandom(3 << 20))
        p.git(folder, "add", "-A")
        p.git(folder, "commit", "-qm", "Large")
        refused = p.git(folder, "push", "tow", "main", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("1", refused.stderr)
        self.assertRegex(refused.stderr, "(?i)limit|larger|exceeds")
        self.assertEqual(p.entities("large", "pipelineruns"), [], "nothing of it was taken")
        p.git(folder, "reset", "-q", "--hard", "HEAD~1")
        self.assertIn("live as revision 1", p.git(folder, "push", "tow", "main").stderr)
        self.still_good()

    def test_what_leaves_the_repository(self):
        p = self.platform
        folder = self.project("leaves", {"score.yaml": SCORE % "site", "index.html": "x\n"})
        with self.subTest("a symbolic link as Score document"):
            os.remove(os.path.join(folder, "score.yaml"))
            os.symlink("/etc/passwd", os.path.join(folder, "score.yaml"))
            seen = p.push(folder, "A link")
            self.assertIn("score.yaml -> /etc/passwd", seen)
            self.assertNotIn("live as", seen)
            self.assertNotIn("root:", seen)
        with self.subTest("a component's folder"):
            os.remove(os.path.join(folder, "score.yaml"))
            os.symlink("/etc", os.path.join(folder, "out"))
            p.write(folder, {"towpath.yaml": "apiVersion: towpath.dev/v1\ncomponents:\n  a: {path: out}\n  b: {path: ../../b}\n"})
            seen = p.push(folder, "Two ways out")
            self.assertIn("../../b", seen)
            self.assertIn("Nothing was built or deployed", seen)
        with self.subTest("a file that a build copies"):
            os.remove(os.path.join(folder, "towpath.yaml"))
            os.remove(os.path.join(folder, "out"))
            os.symlink("../../../../../../etc/shadow", os.path.join(folder, "shadow"))
            p.write(folder, {"score.yaml": SCORE % "site", "Containerfile":
                             "FROM towpath/base:12\nCOPY shadow /shadow\nRUN cat /shadow; false\n"})
            seen = p.push(folder, "A link in the context")
            self.assertNotIn("live as", seen)
            self.assertNotIn("root:", seen)

    def test_missing_configuration_is_all_named_before_the_build(self):
        p = self.platform
        score = (SCORE % "site").replace("    image: .", "    image: .\n    variables:\n" + "".join(
            f"      V{i}: \"${{resources.env.NAME_{i}}}\"\n" for i in range(6)).rstrip()) + "  env:\n    type: environment\n"
        folder = self.project("unset", {"score.yaml": score, "Containerfile": "FROM towpath/base:12\nRUN false\n"})
        p.tow("config", "set", "NAME_3=x", "-p", "unset")
        seen = p.git(folder, "push", "tow", "main").stderr
        for i in (0, 1, 2, 4, 5):
            self.assertIn(f"NAME_{i}", seen)
        self.assertNotIn("NAME_3", seen)
        self.assertNotIn("STEP", seen, "nothing was built")
        self.assertEqual(p.entities("unset", "builds"), [])

    def test_an_image_that_is_not_there(self):
        p = self.platform
        with self.subTest("of a build"):
            folder = self.project("noimage", {"score.yaml": SCORE % "site", "Containerfile": "FROM towpath/bsae:12\n"})
            seen = p.git(folder, "push", "tow", "main").stderr
            self.assertIn("towpath/bsae:12", seen)
            self.assertNotIn("live as", seen)
        with self.subTest("of a deployment"):
            done = p.tow("deploy", "other", "-p", "rough", "--image", "localhost:1/none/such:1", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("localhost:1/none/such:1", done.stdout + done.stderr)
            self.still_good()

    def test_programs_that_do_not_come_up(self):
        """Each in a project of its own, all at once: what is wrong is said while it is waited for."""
        memory = (SCORE % "site").replace("    image: .", "    image: .\n    resources: {limits: {memory: 48Mi}}")
        cases = {
            "never": (SCORE % "site", PYTHON % "import time; time.sleep(600)", "listens on no port; 8080 is declared"),
            "elsewhere": (SCORE % "site", SERVES % 3000, "listens on 3000, not on the declared 8080"),
            "greedy": (memory, PYTHON % "x = []\\nwhile True: x.append(bytearray(1 << 20))", "killed for memory: the limit is 48Mi"),
            "atonce": (SCORE % "site", PYTHON % "print('no luck'); raise SystemExit(7)", "exited with 7"),
        }
        pushes = {}
        for project, (score, containerfile, _) in cases.items():
            pushes[project] = self.background(self.project(project, {"score.yaml": score, "Containerfile": containerfile}))
        for project, (_, _, words) in cases.items():
            with self.subTest(project):
                self.said_while_it_starts(project, "site", words)
        with self.subTest("destroyed while it is waited for"):
            for project in cases:
                self.platform.tow("destroy", "project", project, "--yes", "--no-wait")
            for project, push in pushes.items():
                out, _ = push.communicate(timeout=90 * PATIENCE)
                self.assertEqual(push.returncode, 0, f"a push is done whatever the rollout does: {out}")
        self.still_good()

    def test_two_pushes_at_once_and_one_during_a_rollout(self):
        p = self.platform
        folder = self.project("twice", {"score.yaml": SCORE % "site", "index.html": "0\n"})
        p.git(folder, "push", "tow", "main")
        others = [os.path.join(p.home, f"twice-{i}") for i in (1, 2)]
        for i, other in enumerate(others, 1):
            p.git(p.home, "clone", "-q", folder, other)
            p.git(other, "remote", "add", "tow", f"{p.url}/git/twice/twice.git")
            p.write(other, {"index.html": f"{i}\n"})
            p.git(other, "commit", "-qam", f"Change {i}")
        done = [None, None]

        def push(i):
            done[i] = p.git(others[i], "push", "tow", "main", check=False)
        threads = [threading.Thread(target=push, args=(i,)) for i in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(each.returncode for each in done), [0, 1], [each.stderr for each in done])
        winner = [each.returncode for each in done].index(0)
        self.assertEqual(p.get("site--development--twice.localhost"), (200, f"{winner + 1}\n"))
        with self.subTest("a push during a rollout: the newest wins"):
            p.git(others[winner], "commit", "-q", "--allow-empty", "-m", "Between")
            p.write(others[winner], {"index.html": "slow\n"})
            p.git(others[winner], "commit", "-qam", "Slow")
            first = self.background(others[winner])
            wait_until("the first run is there", lambda: any(
                run.get("status", {}).get("phase") == "Running" for run in p.entities("twice", "pipelineruns")), 30)
            p.write(folder, {"index.html": "newest\n"})
            p.git(folder, "fetch", "-q", others[winner], "main")
            p.git(folder, "reset", "-q", "--hard", "FETCH_HEAD")
            p.write(folder, {"index.html": "newest\n"})
            p.git(folder, "commit", "-qam", "Newest")
            p.git(folder, "push", "tow", "main")
            first.communicate(timeout=60 * PATIENCE)
            wait_until("the newest is live", lambda: p.get("site--development--twice.localhost")[1] == "newest\n", 30)

    def test_destroyed_during_its_build(self):
        p = self.platform
        folder = self.project("halfway", {"score.yaml": SCORE % "site", "Containerfile": f"FROM towpath/base:12\nRUN sleep {LONG}\n"})
        push = self.background(folder)
        wait_until("it is being built", lambda: any(
            build.get("status", {}).get("phase") == "Running" for build in p.entities("halfway", "builds")), 40)
        p.tow("destroy", "project", "halfway", "--yes", timeout=60)
        out, _ = push.communicate(timeout=60 * PATIENCE)
        self.assertEqual(push.returncode, 0, out)
        self.assertEqual(p.tow("get", "projects", "halfway", check=False).returncode, 4)
        self.assertEqual(processes([f"sleep {LONG}"]), [], "its children ended with it")

    def test_a_volume_outlives_instances_revisions_and_the_server(self):
        p = self.platform
        score = WORKER % ("keeper", "    volumes:\n      /data: {source: \"${resources.data}\"}\n"
                          "resources:\n  data: {type: volume}\n")
        program = "FROM towpath/base:12\nCMD [\"sh\", \"-c\", \"echo %s >> /data/starts; exec sleep 1000\"]\n"
        folder = self.project("kept", {"score.yaml": score, "Containerfile": program % "one"})
        self.assertIn("live as revision 1", p.git(folder, "push", "tow", "main").stderr)
        p.write(folder, {"Containerfile": program % "two"})
        self.assertIn("live as revision 2", p.push(folder, "Two"))
        self.assertEqual(p.tow("exec", "keeper", "-p", "kept", "--", "cat", "/data/starts").stdout, "one\ntwo\n")
        def ready():
            return [(each["metadata"]["uid"], each["status"]["started"]) for each in p.entities("kept", "instances")
                    if each.get("status", {}).get("phase") == "Ready"]
        before = wait_until("the instance is seen as ready", ready, 20)
        p.kill()
        p.start()
        self.assertEqual(p.tow("exec", "keeper", "-p", "kept", "--", "cat", "/data/starts").stdout, "one\ntwo\n",
                         "a start of the server starts nothing again")
        self.assertEqual(wait_until("the instance is seen as ready", ready, 20), before)

    def test_python_dependencies_from_an_index_of_ones_own(self):
        p = self.platform
        p.kill(signal.SIGTERM)  # what builds reach is read at a start
        p.start()
        program = ("import greeting\nfrom http.server import *\nclass H(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
                   "        self.send_response(200)\n        self.end_headers()\n        self.wfile.write(greeting.WORDS.encode())\n"
                   "HTTPServer(('', 8080), H).serve_forever()\n")
        folder = self.project("indexed", {"score.yaml": SCORE % "site", "main.py": program,
                                          "requirements.txt": f"greeting==1.0\n# {os.path.basename(p.home)}\n"})
        self.assertIn("live as revision 1", p.git(folder, "push", "tow", "main").stderr)
        self.assertEqual(p.get("site--development--indexed.localhost"), (200, "from our own index"))


class Index:
    """A package index of one package (PEP 503), served from this machine."""

    def __init__(self, folder):
        self.folder = folder
        place = os.path.join(self.folder, "simple", "greeting")
        os.makedirs(place)
        name = "greeting-1.0-py3-none-any.whl"
        files = {"greeting.py": "WORDS = 'from our own index'\n",
                 "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
                 "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        files["greeting-1.0.dist-info/RECORD"] = "".join(f"{each},,\n" for each in [*files, "greeting-1.0.dist-info/RECORD"])
        with zipfile.ZipFile(os.path.join(place, name), "w") as wheel:
            for each, content in files.items():
                wheel.writestr(each, content)
        with open(os.path.join(place, name), "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        with open(os.path.join(place, "index.html"), "w") as file:
            file.write(f"<a href=\"{name}#sha256={digest}\">{name}</a>\n")

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=self.folder))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Ports(unittest.TestCase):
    """Ports that somebody has: a sentence that names the port and who has it, and nothing left behind."""

    def test_each_of_the_servers_ports(self):
        for index, option in ((0, "--listen"), (1, "--http"), (2, "--internal-port")):
            with self.subTest(option):
                platform = Platform()
                port = (platform.api_port, platform.http_port, platform.internal_port)[index]
                with socket.socket() as taken:
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    taken.bind(("0.0.0.0" if index == 2 else "127.0.0.1", port))
                    taken.listen()
                    ended = subprocess.run([TOW, "server", *platform.settings], capture_output=True, text=True, timeout=30,
                                           env={**os.environ, "HOME": platform.home})
                self.assertEqual(ended.returncode, 6, ended.stderr)
                self.assertIn(str(port), ended.stderr)
                self.assertIn(f"(pid {os.getpid()})", ended.stderr)
                self.assertEqual(platform.down(), [])


class FullDisk(unittest.TestCase):
    """The server's data on a small file system of its own."""

    def test_what_cannot_be_written_is_refused_and_nothing_is_lost(self):
        p = Platform()
        os.makedirs(p.data)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tow-e2e", p.data], check=True)
        try:
            p.start()
            p.sign_in()
            p.tow("project", "create", "full")
            folder = p.repository("full", files={"index.html": "good\n", "score.yaml": SCORE % "site"})
            self.assertIn("live as revision 1", p.push(folder, "Good"))
            ballast = os.path.join(p.data, "ballast")
            with open(ballast, "wb") as file:
                try:
                    while True:
                        file.write(b"\0" * 65536)
                        file.flush()
                except OSError:
                    pass
            refused = None
            for i in range(200):
                refused = p.tow("config", "set", f"NAME_{i}={'x' * 20000}", "-p", "full", check=False)
                if refused.returncode != 0:
                    break
            self.assertNotEqual(refused.returncode, 0)
            self.assertRegex(refused.stderr, "(?i)full|no space", "the reason in words")
            self.assertEqual(p.get("site--development--full.localhost"), (200, "good\n"), "what runs goes on")
            self.assertIn("site", p.tow("ls", "-p", "full").stdout, "what is known can be read")
            p.write(folder, {"index.html": "more\n"})
            p.git(folder, "commit", "-qam", "More")
            pushed = p.git(folder, "push", "tow", "main", check=False)
            self.assertRegex(pushed.stderr, "(?i)full|space|unpack|error|fatal")
            os.remove(ballast)
            self.assertEqual(p.tow("config", "set", "AFTER=1", "-p", "full", check=False).returncode, 0, p.log())
            p.git(folder, "commit", "-q", "--allow-empty", "-m", "Again")
            p.git(folder, "push", "tow", "main")
            wait_until("the change is live", lambda: p.get("site--development--full.localhost")[1] == "more\n", 40)
            values = p.tow("get", "configurations", "-p", "full", "-o", "json").stdout
            for done in range(i):
                self.assertIn(f"NAME_{done}", values, "what was acknowledged is there")
        finally:
            log = p.log()
            if p.server and p.server.poll() is None:
                p.kill(signal.SIGTERM)
            subprocess.run([TOW, "admin", "takedown", *p.settings], env=p.env, timeout=120, capture_output=True)
            subprocess.run(["umount", p.data], check=False)
            self.assertEqual(p.down(), [], log)


if __name__ == "__main__":
    unittest.main()
