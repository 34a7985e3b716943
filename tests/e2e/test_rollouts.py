# SPDX-License-Identifier: Apache-2.0
"""Rollouts in steps, with real containers and HAProxy: shares of the traffic, previews, commands before a revision."""

import json
import subprocess
import unittest

from towpath import PlatformCase, Load, wait_until
from test_life import SCORE

MANIFEST = """apiVersion: towpath.dev/v1
environments:
  development:
    branch: main
    components:
      site: { %s }
"""


# Answers everything with this status, and with a text as the site does.
SERVER = """import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = open("index.html", "rb").read()
        self.send_response(%d)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *unused): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
CONTAINERFILE = 'FROM towpath/python:12\nCOPY . .\nCMD ["python3", "server.py"]\n'


class Rollouts(PlatformCase):
    def site(self, project, settings):
        """A site that serves "first", and its folder."""
        p = self.platform
        p.tow("project", "create", project)
        folder = p.repository(project, files={"index.html": "first\n", "score.yaml": SCORE % "site",
                                              "towpath.yaml": MANIFEST % settings})
        self.assertIn("live as revision 1", p.push(folder, "First"))
        self.host = f"site--development--{project}.localhost"
        self.assertEqual(p.get(self.host), (200, "first\n"))
        return folder

    def push(self, folder, text, settings=None):
        p = self.platform
        p.write(folder, {"index.html": text + "\n"})
        if settings:
            p.write(folder, {"towpath.yaml": MANIFEST % settings})
        return p.push(folder, text)

    def share(self, text, of=300):
        """The part of some requests that is answered so; each of them is answered."""
        answers = [self.platform.get(self.host) for _ in range(of)]
        self.assertEqual([status for status, _ in answers if status != 200], [])
        return sum(body == text + "\n" for _, body in answers) / of

    def rollout(self, project):
        return json.loads(self.platform.tow("rollout", "status", "site", "-p", project, "-o", "json").stdout)

    def test_a_canary_gets_its_shares_and_loses_no_request(self):
        p = self.platform
        folder = self.site("canary", "strategy: {type: canary, steps: [{setWeight: 20}, {pause: {}}, "
                                     "{setWeight: 60, pause: {duration: 3s}}]}")
        with Load(p, self.host, clients=2) as load:
            self.assertIn("tow rollout continue site.development", self.push(folder, "second"))
            self.assertEqual(self.rollout("canary")["weight"], 20)
            self.assertAlmostEqual(self.share("second"), 0.2, delta=0.1)
            self.assertIn("20% of the traffic", p.tow("rollout", "status", "site", "-p", "canary").stdout)
            wait_until("its answers are counted", lambda: self.rollout("canary").get("answers", 0) > 20)
            p.tow("rollout", "continue", "site", "-p", "canary")
            self.assertEqual(self.share("second", 50), 1)
        self.assertEqual(load.failed, [])
        self.assertEqual(self.rollout("canary"), {})

        with self.subTest("aborted, the old one has everything again"):
            with Load(p, self.host, clients=2) as load:
                self.push(folder, "third")
                self.assertGreater(self.share("third", 100), 0)
                p.tow("rollout", "abort", "site", "-p", "canary")
                wait_until("it is taken back", lambda: self.rollout("canary") == {})
                self.assertEqual(self.share("second", 50), 1)
            self.assertEqual(load.failed, [])
            self.assertIn("aborted by", p.tow("history", "site", "-p", "canary").stdout)

    def test_a_canary_that_answers_with_errors_is_taken_back(self):
        p = self.platform
        p.tow("project", "create", "errors")
        folder = p.repository("errors", files={
            "index.html": "first\n", "server.py": SERVER % 200, "Containerfile": CONTAINERFILE, "score.yaml": SCORE % "site",
            "towpath.yaml": MANIFEST % "strategy: {type: canary, steps: [{setWeight: 30, pause: {duration: 10m}}]}"})
        self.assertIn("live as revision 1", p.push(folder, "First"))
        self.host = "site--development--errors.localhost"
        p.write(folder, {"index.html": "second\n", "server.py": SERVER % 500})
        with Load(p, self.host, clients=2) as load:
            seen = p.push(folder, "Second")
        self.assertIn("errors", seen)
        self.assertNotIn("live as revision 2", seen)
        self.assertGreater(len(load.failed), 5, "some were answered by the canary")
        self.assertEqual(set(load.failed), {500})
        self.assertEqual(self.share("first", 50), 1)
        self.assertIn("errors", p.tow("history", "site", "-p", "errors").stdout)

    def test_batches_keep_to_their_bounds_and_lose_no_request(self):
        p = self.platform
        folder = self.site("batches", "scale: 3, strategy: {type: rolling, maxSurge: 1, maxUnavailable: 0}")
        self.assertEqual(p.deployment("batches", "site.development")["status"]["ready"], 3)
        p.write(folder, {"index.html": "second\n"})
        p.git(folder, "commit", "-qam", "Second")
        seen, most, least = set(), 0, 3
        with Load(p, self.host, clients=2) as load:
            push = subprocess.Popen(["git", "push", "tow", "main"], cwd=folder, env=p.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            while push.poll() is None:
                instances = [each["status"] for each in p.entities("batches", "instances")]
                most = max(most, sum(each["phase"] not in ("Stopping", "Ended") for each in instances))
                least = min(least, sum(each["phase"] == "Ready" for each in instances))
                seen.add(p.get(self.host)[1])
            self.assertIn(b"live as revision 2", push.communicate()[0])
        self.assertEqual(load.failed, [])
        self.assertEqual(seen, {"first\n", "second\n"})
        self.assertEqual((most, least), (4, 3))
        self.assertEqual(self.share("second", 20), 1)

    def test_a_server_that_is_killed_goes_on_in_the_middle_of_a_step(self):
        p = self.platform
        folder = self.site("killed", "strategy: {type: canary, steps: [{setWeight: 30, pause: {}}]}")
        self.push(folder, "second")
        before = self.rollout("killed")
        p.kill()
        self.assertAlmostEqual(self.share("second", 100), 0.3, delta=0.15)
        p.start()
        self.assertEqual({**before, "answers": 0, "servingAnswers": 0}, {**self.rollout("killed"), "answers": 0, "servingAnswers": 0})
        self.assertAlmostEqual(self.share("second", 100), 0.3, delta=0.15)
        p.tow("rollout", "continue", "site", "-p", "killed")
        self.assertEqual(self.share("second", 20), 1)

    def test_blue_green_can_be_looked_at_before_the_switch(self):
        p = self.platform
        folder = self.site("sides", "strategy: {type: blue-green, autoPromotionEnabled: false}")
        with Load(p, self.host, clients=2) as load:
            self.push(folder, "second")
            preview = "preview--" + self.host
            self.assertEqual(p.get(preview), (200, "second\n"))
            self.assertIn(preview, p.tow("rollout", "status", "site", "-p", "sides").stdout)
            self.assertEqual(self.share("first", 50), 1)
            p.tow("rollout", "continue", "site", "-p", "sides")
            self.assertEqual(self.share("second", 50), 1)
        self.assertEqual(load.failed, [])
        wait_until("the preview is gone", lambda: p.get(preview)[0] == 404)

    def test_a_command_before_a_revision_stops_it_or_lets_it_come(self):
        p = self.platform
        folder = self.site("hooks", "scale: 1")
        seen = self.push(folder, "second", 'hooks: {before: [[sh, -c, "echo no such table; exit 3"]]}')
        self.assertIn("no such table", seen)
        self.assertIn("exited with 3", seen)
        self.assertEqual(p.get(self.host), (200, "first\n"))
        seen = self.push(folder, "third", 'hooks: {before: [[grep, third, /srv/index.html]]}')
        self.assertIn("live as revision 3", seen)
        self.assertEqual(p.get(self.host), (200, "third\n"))

    def test_while_it_is_locked_a_push_is_told_why_it_is_not_deployed(self):
        p = self.platform
        folder = self.site("locked", "scale: 1")
        p.tow("lock", "site", "--why", "the audit", "-p", "locked")
        self.assertIn("the audit", self.push(folder, "second"))
        self.assertEqual(p.get(self.host), (200, "first\n"))
        p.tow("unlock", "site", "-p", "locked")
        self.assertIn("live as revision 2", self.push(folder, "third"))


if __name__ == "__main__":
    unittest.main()
