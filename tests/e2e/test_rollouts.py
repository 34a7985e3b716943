# SPDX-License-Identifier: Apache-2.0
"""Rollouts in steps, with real containers and HAProxy: shares of the traffic, previews, commands before a revision."""

import json
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
