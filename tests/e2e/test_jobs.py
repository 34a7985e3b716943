# SPDX-License-Identifier: Apache-2.0
"""Jobs on a schedule, with real containers: run by hand, their logs and their history, over a killed server. When they are due
is tested with a clock of its own (src/deploy/schedules_test.cpp)."""

import json
import unittest

from towpath import PlatformCase, wait_until
from test_life import SCORE

MANIFEST = """apiVersion: towpath.dev/v1
environments:
  development:
    branch: main
    components:
      site:
        jobs:
          report: { schedule: "@yearly", timeZone: Europe/Berlin, command: [sh, -c, "echo of the job; cat /srv/index.html"] }
          broken: { schedule: "%s", command: [sh, -c, "echo no such table >&2; exit 3"] }
          slow: { schedule: "@yearly", command: [sh, -c, "echo begun; sleep 4; echo done"] }
"""


class Jobs(PlatformCase):
    def job(self, *arguments, **options):
        return self.platform.tow("job", *arguments, "-p", "jobs", **options)

    def history(self, name):
        return json.loads(self.job("history", name, "-o", "json").stdout)

    def test_jobs_of_a_component(self):
        p = self.platform
        p.tow("project", "create", "jobs")
        folder = p.repository("jobs", files={"index.html": "first\n", "score.yaml": SCORE % "site",
                                             "towpath.yaml": MANIFEST % "0 3 * * mon"})
        p.push(folder, "First")
        names = ["site.development.broken", "site.development.report", "site.development.slow"]
        wait_until("the jobs are known", lambda: names == [e["metadata"]["name"] for e in p.entities("jobs", "scheduledjobs")])

        with self.subTest("each says when it is due"):
            wait_until("they know when", lambda: "-12-31T23:00:00Z" in self.job("ls").stdout)
            self.assertIn("Europe/Berlin", self.job("ls", "site").stdout)

        with self.subTest("one is run by hand, in the image of what serves, and gives its exit code"):
            done = self.job("run", "site.report")
            self.assertEqual(done.stdout, "of the job\nfirst\n")
            done = self.job("run", "site.development.broken", check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("no such table", done.stdout)
            self.assertEqual([(run["status"]["phase"], run["status"].get("exitCode")) for run in self.history("site.broken")],
                             [("Failed", 3)])
            self.assertIn("of the job", self.job("logs", "site.report").stdout)
            self.assertIn("no such table", self.job("logs", self.history("site.broken")[0]["metadata"]["name"]).stdout)

        with self.subTest("suspended and resumed"):
            self.job("suspend", "site.report")
            self.assertIn("suspended by", self.job("ls").stdout)
            self.job("resume", "site.report")
            self.assertNotIn("suspended by", self.job("ls").stdout)

        with self.subTest("a killed server finds what runs, and begins nothing twice"):
            self.job("run", "site.slow", "--no-wait")
            wait_until("it runs", lambda: "begun" in self.job("logs", "site.slow").stdout)
            p.kill()
            p.start()
            wait_until("it has ended", lambda: [run["status"]["phase"] for run in self.history("site.slow")] == ["Succeeded"])
            self.assertEqual([line.split()[-1] for line in self.job("logs", "site.slow").stdout.splitlines()], ["begun", "done"])

        with self.subTest("what towpath.yaml does not say any more goes"):
            p.write(folder, {"towpath.yaml": "apiVersion: towpath.dev/v1\nenvironments: { development: { branch: main } }\n"})
            p.push(folder, "Without")
            wait_until("they are gone", lambda: p.entities("jobs", "scheduledjobs") == [] and p.entities("jobs", "jobs") == [])

        with self.subTest("a schedule that cannot be is refused before anything is built"):
            p.write(folder, {"towpath.yaml": MANIFEST % "0 0 30 2 *"})
            done = p.tow("check", cwd=folder, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("is never due", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
