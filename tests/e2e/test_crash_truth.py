# SPDX-License-Identifier: Apache-2.0
"""The server killed at every named fault point, one after the other: what was acknowledged is there afterwards, what runs is
what should run, and nothing is left of what was half done."""

import os
import re
import subprocess
import unittest

from test_life import SCORE
from towpath import PATIENCE, ROOT, PlatformCase, wait_until

HOST = "site--development--crash.localhost"
PRODUCTION = "site--production--crash.localhost"
# In production the site is an instance of two containers, in development of one: every point is come by.
MANIFEST = """apiVersion: towpath.dev/v1
environments:
  development: {branch: main}
  production:
    components:
      site:
        overrides:
          containers:
            prepare: {image: ., command: [sh, -c, "exit 0"], before: {main: {ready: complete}}}
"""


def fault_points():
    found = []
    for base, _, files in os.walk(os.path.join(ROOT, "src")):
        for name in files:
            if name.endswith(".cpp") and not name.endswith("_test.cpp"):
                with open(os.path.join(base, name)) as file:
                    found += re.findall(r'fault_point\("([a-z.-]+)"\)', file.read())
    return sorted(found)


class CrashTruth(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        p.tow("project", "create", "crash")
        cls.folder = p.repository("crash", files={"index.html": "0\n", "score.yaml": SCORE % "site",
                                                      "towpath.yaml": MANIFEST})
        p.push(cls.folder, "0")
        cls.number = 0
        cls.want(cls, cls.number)

    def body(self, host):
        try:
            status, text = self.platform.get(host)
            return text.strip() if status == 200 else status
        except OSError:
            return None

    def want(self, number):
        wait_until(f"the site says {number}", lambda: CrashTruth.body(self, HOST) == str(number), 90)

    def instances(self):
        return [each for each in self.platform.entities("crash", "instances")]

    def on_the_machine(self):
        """How many of each there are that an instance has one of."""
        p = self.platform
        links = [each for each in p.traces() if each.startswith(p.links + "v")]
        bundles = os.listdir(os.path.join(p.runtime, "engine", "secret", "instances"))
        roots = os.listdir(os.path.join(p.data, "engine", "roots"))
        monitors = [each for each in p.traces() if each.startswith("process") and "conmon" in each]
        with open("/proc/self/mounts") as mounts:
            shared = {line.split()[1].split("/sandboxes/")[1].split("/")[0] for line in mounts
                      if p.runtime in line and "/sandboxes/" in line}
        return {"links": len(links), "bundles": len(bundles), "roots": len(roots), "monitors": len(monitors),
                "alone": len(self.instances()) - len(shared)}

    def nothing_is_orphaned(self, point):
        def settled():
            wanted = len(self.instances())
            return all(count == wanted for count in self.on_the_machine().values())
        try:
            wait_until("each instance has one of everything", settled, 30)
        except AssertionError:
            self.fail(f"{point}: {len(self.instances())} instances, and on the machine {self.on_the_machine()}")
        self.assertEqual(os.listdir(os.path.join(self.platform.data, "builds")), [], f"{point}: work directories of builds")

    def walk(self):
        """Comes by every fault point; ends where the server ends. What was acknowledged on the way."""
        p, done = self.platform, {}
        number = CrashTruth.number = CrashTruth.number + 1
        p.write(self.folder, {"index.html": f"{number}\n"})
        p.git(self.folder, "commit", "-qam", str(number))
        pushed = p.git(self.folder, "push", "tow", "main", check=False)
        # A push is stored as soon as git says so, whatever became of the rollout that it was to show.
        done["push"] = pushed.returncode == 0 or "main -> main" in pushed.stderr
        for name, command in {"job": ["run", "site", "-p", "crash", "--", "true"],
                              "production": ["deploy", "site", "-e", "production", "--from", "development", "-p", "crash"],
                              "destroy": ["delete", "deployments", "site.production", "-p", "crash"]}.items():
            if p.server.poll() is not None:
                return done
            done[name] = p.tow(*command, check=False).returncode == 0
        return done

    def crash_at(self, point):
        p = self.platform
        p.kill()
        p.start(fault=point)
        done = self.walk()
        try:
            p.server.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.fail(f"{point} is not come by: {done}")
        p.start()
        if not done.get("push"):
            p.git(self.folder, "push", "tow", "main")
        self.want(CrashTruth.number)
        if done.get("destroy"):
            wait_until(f"{point}: production is gone", lambda: self.body(PRODUCTION) == 404, 30)
        elif done.get("production"):
            wait_until(f"{point}: production serves or is on its way out", lambda: self.body(PRODUCTION) in (str(CrashTruth.number), 404), 60)
        jobs = p.entities("crash", "jobs")
        wait_until(f"{point}: every job has an end",
                   lambda: all(j["status"]["phase"] in ("Succeeded", "Failed") for j in p.entities("crash", "jobs")), 30)
        if done.get("job"):
            self.assertTrue(jobs, point)
        p.tow("delete", "deployments", "site.production", "-p", "crash", check=False)
        wait_until(f"{point}: one instance", lambda: len(self.instances()) == 1, 60)
        self.nothing_is_orphaned(point)

    def test_killed_at_every_fault_point(self):
        points = fault_points()
        self.assertGreater(len(points), 25)
        # These come by all the time; the first time is the start's own.
        often = {"store.committing": (3, 9, 17), "store.committed": (2, 6, 13, 21)}
        for point in points:
            for time in often.get(point, (1,)):
                with self.subTest(point=point, time=time):
                    self.crash_at(f"{point}:{time}")


if __name__ == "__main__":
    unittest.main()
