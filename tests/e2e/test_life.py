# SPDX-License-Identifier: Apache-2.0
"""The life of an application: pushed, changed under load, configured, looked into, rolled back, destroyed."""

import json
import unittest

from towpath import PlatformCase, Load, wait_until


SITE = "site--development--blog.localhost"


class Life(PlatformCase):
    def test_a_site_from_push_to_destruction(self):
        p = self.platform
        p.tow("project", "create", "blog")
        folder = p.repository("blog", files={"index.html": "<h1>first</h1>\n", "score.yaml": SCORE % "site"})
        seen = p.push(folder, "First words")
        self.assertIn("live as revision 1", seen)
        self.assertEqual(p.get(SITE), (200, "<h1>first</h1>\n"))

        with self.subTest("a change under load loses no request"):
            p.write(folder, {"index.html": "<h1>second</h1>\n"})
            with Load(p, SITE) as load:
                self.assertIn("live as revision 2", p.push(folder, "Second words"))
            self.assertEqual(load.failed, [])
            self.assertGreater(load.asked, 20)
            self.assertEqual(p.get(SITE)[1], "<h1>second</h1>\n")

        with self.subTest("a rollback under load loses none either, and history tells of it"):
            with Load(p, SITE) as load:
                p.tow("rollback", "site", "-p", "blog")
            self.assertEqual(load.failed, [])
            self.assertEqual(p.get(SITE)[1], "<h1>first</h1>\n")
            history = json.loads(p.tow("history", "site", "-p", "blog", "-o", "json").stdout)["revisions"]
            self.assertEqual([entry["revision"] for entry in history], [3, 2, 1])
            self.assertEqual(history[0]["restores"], 1)

        with self.subTest("scaled to two, a command runs in one of them, and all wrote logs"):
            p.tow("scale", "site", "2", "-p", "blog")
            self.assertEqual(p.deployment("blog", "site.development")["status"]["ready"], 2)
            # What was seen of each instance is written a moment later than what was decided.
            wait_until("both are seen", lambda: 2 == len([i for i in p.entities("blog", "instances")
                                                          if i["status"]["phase"].lower() == "ready"]), 10)
            self.assertIn("first", p.tow("exec", "site", "-p", "blog", "--", "cat", "/srv/index.html").stdout)
            self.assertIn("PHASE", p.tow("status", "site", "-p", "blog").stdout)
            p.tow("logs", "site", "-p", "blog")

        with self.subTest("a one-off job gives its exit code"):
            done = p.tow("run", "site", "-p", "blog", "--", "sh", "-c", "echo from the job; exit 3", check=False)
            self.assertIn("from the job", done.stdout)
            self.assertEqual(done.returncode, 3)

        with self.subTest("builds are listed, read by their names and repeated"):
            builds = [build["metadata"]["name"] for build in
                      json.loads(p.tow("build", "ls", "site", "-p", "blog", "-o", "json").stdout)]
            self.assertEqual(len(builds), 2)
            self.assertIn("STEP", p.tow("logs", "--build", builds[1], "-p", "blog").stdout)
            self.assertNotEqual(p.tow("build", "repeat", builds[1], "-p", "blog", check=False).returncode, 0,
                                "an older commit is not deployed over a newer one")
            self.assertIn("live as revision", p.tow("build", "repeat", builds[0], "-p", "blog").stderr)
            self.assertEqual(p.get(SITE)[1], "<h1>second</h1>\n")

        with self.subTest("the clean-up would take nothing that is young"):
            # Only asked: these tests share one image store with whoever else runs them.
            self.assertIn("0 runs, 0 builds, 0 releases", p.tow("admin", "gc", "--dry-run").stderr)

        with self.subTest("destroyed, it is gone from the proxy, too"):
            p.tow("destroy", "project", "blog", "--yes")
            self.assertEqual(p.get(SITE)[0], 404)
            self.assertEqual(p.tow("get", "projects", "blog", check=False).returncode, 4)

    def test_a_push_that_lacks_configuration_goes_on_when_it_is_set(self):
        p = self.platform
        p.tow("project", "create", "late")
        score = (SCORE % "site").replace("    image: .", "    image: .\n    variables: {A: \"${resources.env.ALPHA}\"}") + "  env:\n    type: environment\n"
        folder = p.repository("late", files={"index.html": "late\n", "score.yaml": score})
        self.assertIn("tow config set ALPHA=", p.push(folder, "First"))
        p.tow("config", "set", "ALPHA=1", "-p", "late", "-e", "development")
        # On a machine that never built a site, the base image is made first.
        wait_until("it is live", lambda: p.get("site--development--late.localhost") == (200, "late\n"), 600)
        p.tow("destroy", "project", "late", "--yes")

    def test_what_is_wrong_is_said_to_the_pusher_and_changes_nothing(self):
        p = self.platform
        p.tow("project", "create", "wrong")
        host = "site--development--wrong.localhost"
        folder = p.repository("wrong", files={"index.html": "good\n", "score.yaml": SCORE % "site"})
        p.push(folder, "Good")
        cases = [
            ("malformed YAML", "apiVersion: [score.dev/v1b1\nmetadata: {}\n", ["score.yaml:3:1"]),
            ("a misspelt key", (SCORE % "site").replace("containers:", "contianers:"), ["contianers", "did you mean \"containers\"?"]),
            ("what is not supported yet", (SCORE % "site").replace("type: route", "type: postgres"), ["postgres"]),
            ("configuration that nobody set", (SCORE % "site").replace("    image: .", "    image: .\n    variables: {A: \"${resources.env.ALPHA} ${resources.env.BETA}\"}")
             + "  env:\n    type: environment\n", ["ALPHA", "BETA"]),
        ]
        for reason, score, words in cases:
            with self.subTest(reason):
                p.write(folder, {"score.yaml": score})
                seen = p.push(folder, reason)
                for word in words:
                    self.assertIn(word, seen)
                self.assertIn("Nothing was built or deployed", seen)
                self.assertEqual(p.get(host), (200, "good\n"))
        with self.subTest("a build that fails shows its step"):
            p.write(folder, {"score.yaml": SCORE % "site", "Containerfile": "FROM towpath/base:12\nRUN echo working; false\n"})
            seen = p.push(folder, "Broken build")
            self.assertIn("the build failed", seen)
            self.assertEqual(p.get(host), (200, "good\n"))
        with self.subTest("a program that ends at once leaves the old revision serving, with the reason"):
            p.write(folder, {"Containerfile": "FROM towpath/base:12\nCMD [\"sh\", \"-c\", \"echo no luck; exit 7\"]\n"})
            seen = p.push(folder, "Ends at once")
            self.assertIn("exited with 7", seen)
            self.assertEqual(p.get(host), (200, "good\n"))

    def test_without_a_token_nothing_is_told(self):
        p = self.platform
        for path in ("/api/v1/projects", "/metrics", "/git/blog/blog.git/info/refs?service=git-upload-pack"):
            with self.subTest(path):
                import urllib.error
                import urllib.request
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(p.url + path, timeout=5)
                self.assertEqual(refused.exception.code, 401)
                refused.exception.close()

    def test_an_invitation_is_good_once(self):
        p = self.platform
        invitation = p.tow("admin", "invite").stdout.strip()
        self.assertEqual(p.tow("login", p.url, "--invitation", invitation).returncode, 0)
        self.assertEqual(p.tow("login", p.url, "--invitation", invitation, check=False).returncode, 5)


SCORE = """apiVersion: score.dev/v1b1
metadata:
  name: %s
service:
  ports:
    http: {port: 8080}
containers:
  main:
    image: .
resources:
  route:
    type: route
    params: {port: 8080}
"""

if __name__ == "__main__":
    unittest.main()
