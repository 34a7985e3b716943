# SPDX-License-Identifier: Apache-2.0
"""Components of one push, each after those that it depends on."""

import json
import unittest

from towpath import PlatformCase

MANIFEST = """apiVersion: towpath.dev/v1
components:
  front: { path: front, dependsOn: [stock] }
  stock: { path: stock }
environments:
  development:
    branch: main
    components:
      stock: { %s }
"""
SCORE = """apiVersion: score.dev/v1b1
metadata: { name: %s }
service: { ports: { http: { port: 80, targetPort: 8080 } } }
containers: { main: { image: . } }
resources: { route: { type: route, params: { port: http } } }
"""


class Order(PlatformCase):
    def revision(self, name):
        return json.loads(self.platform.tow("get", "revisions", name, "-p", "order", "-o", "json").stdout)

    def test_a_component_follows_what_it_depends_on_and_stays_when_that_fails(self):
        p = self.platform
        p.tow("project", "create", "order")
        files = {"towpath.yaml": MANIFEST % "scale: 1"}
        for name in ("front", "stock"):
            files.update({f"{name}/score.yaml": SCORE % name, f"{name}/index.html": "first\n"})
        folder = p.repository("order", files=files)
        p.push(folder, "First")
        self.assertGreaterEqual(self.revision("front.development.1")["metadata"]["created"],
                                self.revision("stock.development.1")["status"]["servingSince"])

        with self.subTest("what it depends on fails"):
            p.write(folder, {"towpath.yaml": MANIFEST % "hooks: { before: [[sh, -c, exit 3]] }",
                             "stock/index.html": "second\n", "front/index.html": "second\n"})
            self.assertIn("not deployed: stock, which it depends on, failed; revision 1 goes on serving",
                          p.push(folder, "Second"))
            self.assertEqual(p.get("front--development--order.localhost"), (200, "first\n"))
            self.assertIn("not deployed: stock", p.tow("status", "front", "-p", "order").stdout)

        with self.subTest("several by one command, into an environment that is new"):
            done = p.tow("deploy", "front", "stock", "-e", "production", "--from", "development", "-p", "order")
            self.assertLess(done.stderr.index("stock deploy"), done.stderr.index("front deploy"))
            self.assertEqual(p.get("front--production--order.localhost"), (200, "first\n"))

        with self.subTest("a circle and an unknown name are refused"):
            for wrong, said in (("[front]", "front → front"), ("[stok]", 'did you mean "stock"?')):
                p.write(folder, {"towpath.yaml": MANIFEST.replace("[stock]", wrong) % "scale: 1"})
                done = p.tow("check", cwd=folder, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(said, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
