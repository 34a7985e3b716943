# SPDX-License-Identifier: Apache-2.0
"""Several containers in one instance: an application, one beside it that it reaches on the loopback address, and one that
prepares a file on a volume before it starts."""

import json
import os
import signal
import subprocess
import unittest

from towpath import PlatformCase, wait_until

HOST = "pod--development--pods.localhost"
SCORE = """apiVersion: score.dev/v1b1
metadata: {name: pod}
service:
  ports:
    http: {port: 80, targetPort: 8080}
containers:
  main:
    image: .
    volumes:
      /data: {source: "${resources.data}"}
  side:
    image: .
    command: [python3, side.py]
    readinessProbe: {httpGet: {path: /, port: 9000}}
    before: {main: {ready: healthy}}
  prepare:
    image: .
    command: [python3, prepare.py]
    volumes:
      /data: {source: "${resources.data}"}
    before: {main: {ready: complete}, side: {ready: complete}}
resources:
  data: {type: volume}
  route: {type: route, params: {port: http}}
"""
SERVER = """import http.server, os, urllib.request
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = %s.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *what):
        pass
print("%s listens", flush=True)
http.server.ThreadingHTTPServer(("%s", %d), Answer).serve_forever()
"""
FILES = {
    "score.yaml": SCORE,
    "main.py": SERVER % ("(open('/data/prepared').read() + urllib.request.urlopen('http://127.0.0.1:9000/').read().decode())",
                         "main", "0.0.0.0", 8080),
    "side.py": SERVER % ("'side'", "side", "0.0.0.0", 9000),
    "prepare.py": "open('/data/prepared', 'a').write('prepared ')\nprint('preparing', flush=True)\n",
}


class Pods(PlatformCase):
    def status(self):
        [instance] = json.loads(self.platform.tow("status", "pod", "-p", "pods", "-o", "json").stdout)["instances"]
        return instance, {each["name"]: each for each in instance["containers"]}

    def process(self, container):
        instances = os.path.join(self.platform.runtime, "engine", "secret", "instances")
        [key] = [each for each in os.listdir(instances) if each.endswith("." + container)]
        with open(os.path.join(instances, key, "init.pid")) as file:
            return int(file.read())

    def end(self, container):
        """Kills the container's first process; a kill takes a moment."""
        pid = self.process(container)
        os.kill(pid, signal.SIGKILL)
        wait_until(f"{container} is dead", lambda: not os.path.exists(f"/proc/{pid}"))

    def served(self):
        wait_until("it serves", lambda: self.platform.get(HOST) == (200, "prepared side"))

    def test_an_instance_of_three_containers(self):
        p = self.platform
        p.tow("project", "create", "pods")
        folder = p.repository("pods", files=FILES)
        self.assertIn("live as revision 1", p.push(folder, "First"))
        self.assertEqual(p.get(HOST), (200, "prepared side"))
        instance, containers = self.status()
        self.assertEqual(list(containers), ["main", "prepare", "side"])
        self.assertEqual([each["phase"] for each in containers.values()], ["ready", "complete", "ready"])
        self.assertLess(containers["side"]["started"], containers["main"]["started"])

        with self.subTest("logs and commands are told apart by container"):
            wait_until("all have written", lambda: p.tow("logs", "pod", "-p", "pods").stdout.count("\n") == 3)
            lines = p.tow("logs", "pod", "-p", "pods", "-o", "json").stdout.splitlines()
            self.assertEqual({json.loads(line)["container"]: json.loads(line)["text"] for line in lines},
                             {"prepare": "preparing", "side": "side listens", "main": "main listens"})
            self.assertEqual(p.tow("logs", "pod", "-c", "side", "-p", "pods").stdout.count("\n"), 1)
            refused = p.tow("logs", "pod", "-c", "none", "-p", "pods", check=False)
            self.assertIn("there is no container none; there is main, prepare, side", refused.stderr)
            command = ["--", "cat", "/proc/1/cmdline"]
            self.assertIn("side.py", p.tow("exec", "pod", "-c", "side", "-p", "pods", *command).stdout)
            self.assertIn("main.py", p.tow("exec", "pod", "-p", "pods", *command).stdout)

        with self.subTest("one that ends is started again alone, and how it ended stays"):
            before = self.process("main")
            self.end("side")
            wait_until("it was started again", lambda: (lambda side: side["restarts"] == 1 and side["phase"] == "ready")
                       (self.status()[1]["side"]))
            self.served()
            self.assertEqual(self.process("main"), before)
            _, containers = self.status()
            self.assertEqual(containers["side"]["lastEnd"]["exitCode"], 137)
            self.assertIn("ended by signal 9 (SIGKILL)", p.tow("status", "pod", "-p", "pods").stdout)

        with self.subTest("all go on when the server is killed; one that ends meanwhile comes back"):
            p.kill()
            self.assertEqual(p.get(HOST), (200, "prepared side"))
            self.end("side")
            p.start()
            self.served()
            self.assertEqual(self.process("main"), before)
            self.assertEqual(p.get(HOST), (200, "prepared side"), "it was prepared once")

        with self.subTest("nothing is left of it"):
            p.tow("delete", "deployments", "pod.development", "-p", "pods")
            engine = os.path.join(p.runtime, "engine", "secret")
            wait_until("its containers and what they shared are gone",
                       lambda: os.listdir(os.path.join(engine, "instances")) == [] == os.listdir(os.path.join(engine, "sandboxes")))
            mounts = subprocess.run(["findmnt", "-rno", "TARGET"], capture_output=True, text=True).stdout
            self.assertNotIn("/sandboxes/", "".join(each for each in mounts.splitlines(True) if p.runtime in each))

    def test_containers_that_wait_for_each_other_are_refused(self):
        p = self.platform
        folder = p.repository("cycle", files={**FILES, "score.yaml": SCORE.replace(
            "command: [python3, prepare.py]", "command: [python3, prepare.py]\n    readinessProbe: {exec: {command: [true]}}").replace(
            "  main:\n    image: .\n", "  main:\n    image: .\n    before: {prepare: {ready: started}}\n")})
        checked = p.tow("check", cwd=folder, check=False)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("containers.main.before: a cycle: main → prepare → main", checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
