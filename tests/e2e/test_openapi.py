# SPDX-License-Identifier: Apache-2.0
"""The API as its own OpenAPI document describes it: every operation is called, with what is plausible and with
what is hostile, and every answer is what the document says. Two stock validators take the document."""

import http.client
import json
import os
import shutil
import subprocess
import unittest
import urllib.parse

from test_life import SCORE
from towpath import ROOT, PlatformCase

CHECKER = os.path.join(ROOT, "build", "openapi")
# Takes what nobody uses out of the image store, which is every test's: it is called only with what it refuses.
CLEANS = "platforms.clean"
METHODS = ("get", "post", "put", "delete")
# Bodies that no operation can want, whatever its schema.
NO_BODIES = {
    "no JSON": b"count=3", "half of one": b'{"a":', "not UTF-8": b'{"a":"\xff\xfe"}', "a list": b"[]", "text": b'"x"',
    "a number": b"7", "null": b"null", "a NUL": b'{"a\\u0000b":1}', "NUL bytes": b"{\0}", "deep": b"[" * 100_000,
    "deep and whole": b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "twice the same": b'{"a":1,"a":2}',
    "unknown": b'{"no-such-field":true}', "an endless number": b'{"a":1e999999}',
}
# Values for one field of a body that is well otherwise.
BAD_VALUES = [None, True, -1, 2**31, 2**63, 2**64, 10**40, 1e308, "", "\0", "x" * 100_000, "../../etc/passwd", "é💥\u202e",
              [], [[[[]]]], {}, {"a": {"b": {}}}, ["x"] * 5_000]
BAD_NAMES = ["none", "NONE", "a..b", "%2e%2e", "a%2Fb", "%00", "x" * 5_000, "%ff", "a--b", "é", "a%0d%0ab", "*", ":verb"]


def plausible(schema, document, name=""):
    """A value of a schema: what a sensible caller could send."""
    if "$ref" in schema:
        return plausible(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    known = {"apiVersion": "towpath.dev/v1", "project": "walk", "environment": "development", "scope": "project",
             "component": "site", "name": "walked", "command": ["true"], "branches": ["main"], "type": "development"}
    if name in known:
        return known[name]
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {each: plausible(properties[each], document, each) for each in properties
                if each in schema.get("required", []) or each in ("metadata", "spec")}
    if kind == "array":
        return [plausible(schema["items"], document)]
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "number":
        return 1.5
    if kind == "boolean":
        return False
    return {"date-time": "2026-01-01T00:00:00Z", "duration": "1h"}.get(schema.get("format"), "walked")


class Described(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        p = cls.platform
        p.tow("project", "create", "walk")
        folder = p.repository("walk", files={"index.html": "hello\n", "score.yaml": SCORE % "site"})
        p.push(folder, "Hello")
        cls.token = cls.make_token()
        cls.connection = None
        cls.answers = []
        cls.document = json.loads(cls.call("get", "/api/v1/openapi.json")[2])

    @classmethod
    def make_token(cls):
        invitation = cls.platform.tow("admin", "invite").stdout.strip()
        status, _, body = cls.call("post", "/api/v1/tokens:exchange", json.dumps({"invitation": invitation}).encode())
        assert status == 200, body
        return json.loads(body)["token"]

    token = ""
    connection = None

    @classmethod
    def call(cls, method, target, body=None):
        """Status, media type and body of one answer; of an event stream only its head. A silent server fails it."""
        if not cls.connection:
            cls.connection = http.client.HTTPConnection("127.0.0.1", cls.platform.api_port, timeout=60)
        headers = {"Authorization": "Bearer " + cls.token} if cls.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            cls.connection.request(method.upper(), target, body, headers)
            answer = cls.connection.getresponse()
            kind = answer.getheader("Content-Type", "").split(";")[0]
            text = b"" if kind == "text/event-stream" else answer.read()
            if kind == "text/event-stream" or answer.will_close:
                cls.connection.close()
                cls.connection = None
            return answer.status, kind, text
        except (OSError, http.client.HTTPException):
            cls.connection.close()
            cls.connection = None
            raise

    def operations(self, *methods):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item and (not methods or method in methods):
                    yield path, method, item[method], item.get("parameters", []) + item[method].get("parameters", [])

    def names(self, path):
        kind = path.split(":")[0].split("/")[-2] if "{name}" in path else ""
        here = {"deployments": "site.development", "repositories": "walk", "environments": "development",
                "components": "site", "platforms": "platform", "projects": "walk"}
        for plural in ("builds", "pipelineruns", "instances", "revisions", "releases"):
            if kind == plural:
                return self.platform.entities("walk", plural)[0]["metadata"]["name"]
        return here.get(kind, "walked")

    def tried(self, reason, path, method, target, body=None):
        """Calls, holds the answer against what every answer must be, and keeps it for the validator."""
        where = f"{method.upper()} {target[:200]} ({reason}) {(body or b'')[:120]!r}"
        try:
            status, kind, text = self.call(method, target, body)
        except (OSError, http.client.HTTPException) as error:
            self.fail(f"{where}: no answer: {error!r}\n{self.platform.log()}")
        self.assertTrue(status < 500 or status in (501, 503), f"{where}: {status} {text[:500]!r}\n{self.platform.log()}")
        if status >= 400:
            self.assertEqual(kind, "application/problem+json", where)
            problem = json.loads(text)
            self.assertEqual(problem["status"], status, where)
            self.assertTrue(problem["detail"] and len(problem["detail"]) < 10_000, f"{where}: {text[:300]!r}")
        self.answers.append({"operation": [path, method], "status": status, "type": kind,
                             "body": text.decode(errors="replace") if status != 101 else ""})
        return status

    def address(self, path, name=None, project="walk"):
        return path.replace("{project}", project).replace("{name}", name if name is not None else self.names(path))

    def body_of(self, operation):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        return schema and plausible(schema, self.document)

    def test_1_what_is_plausible_is_done(self):
        done = {}
        for path, method, operation, _ in self.operations("get", "post", "put"):
            if operation["operationId"] == CLEANS:
                continue
            with self.subTest(operation["operationId"]):
                value = self.body_of(operation)
                name = "walked" if method == "put" else None
                if isinstance(value, dict) and "metadata" in value:
                    value["metadata"] = {"name": "made"} if method == "post" else {}
                body = None if value is None else json.dumps(value).encode()
                done[operation["operationId"]] = self.tried("plausible", path, method, self.address(path, name), body)
        for reading in [each for each in done if each.startswith(("list", "createProject", "createEnvironment", "putProject"))]:
            self.assertIn(done[reading], (200, 201), reading)
        for calling in ("deployments.scale", "deployments.status", "deployments.history", "secrets.set", "configurations.set",
                        "tokens.create", "getDeployment", "getBuild", "getPipelineRun", "deployments.logs", "builds.logs"):
            self.assertEqual(done[calling], 200, calling)
        self.assertEqual(done["deployments.exec"], 400, "a terminal without a WebSocket")

    def test_2_what_is_hostile_is_refused_in_the_declared_form(self):
        for path, method, operation, parameters in self.operations("get", "post", "put"):
            with self.subTest(operation["operationId"]):
                target = self.address(path)
                if "requestBody" in operation:
                    for reason, body in NO_BODIES.items():
                        if reason == "null" and operation["operationId"] == CLEANS:
                            continue  # that is no input, which is all it wants
                        status = self.tried(reason, path, method, target, body)
                        if reason not in ("null", "twice the same", "no JSON"):
                            self.assertIn(status, range(400, 500), f"{method} {target} {reason}")
                    self.try_fields(path, method, target, self.body_of(operation), operation)
                # Entities are listed and read by the same code, whatever their kind.
                own = ":" in path or any(kind in path for kind in ("/deployments", "/revisions", "/events"))
                for parameter in parameters:
                    if parameter["in"] != "query" or not own:
                        continue
                    for value in ("", "x", "-1", "99999999999999999999", "a=b,", "%00", "%ff", "y" * 5_000, "1e9"):
                        self.tried(parameter["name"], path, method, f"{target}?{parameter['name']}={value}")
                self.assertEqual(self.tried("an unknown parameter", path, method, target + "?no-such-parameter=1")
                                 if method == "get" else 400, 400, target)

    def try_fields(self, path, method, target, good, operation):
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        for field in schema.get("properties", {}):
            for value in BAD_VALUES:
                body = json.dumps({**good, field: value}).encode()
                self.tried(f"{field}", path, method, target, body)

    def test_3_hostile_names_reach_nothing(self):
        for path, method, operation, _ in self.operations():
            with self.subTest(operation["operationId"]):
                for name in BAD_NAMES if ":" in path or "/deployments" in path else BAD_NAMES[:4]:
                    quoted = urllib.parse.quote(name, safe="%:*")
                    for project, one in (("walk", quoted), (quoted, "none")):
                        if "{" not in path or (project != "walk" and "{project}" not in path):
                            continue
                        target = self.address(path, one, project)
                        body = None if method in ("get", "delete") else b"{}"
                        status = self.tried(name[:20], path, method, target, body)
                        if method in ("put", "delete"):
                            self.assertIn(status, range(400, 500), target) if name != "none" else None

    def test_4_what_is_deleted_goes(self):
        for path, method, operation, _ in self.operations("delete"):
            with self.subTest(operation["operationId"]):
                status = self.tried("plausible", path, method, self.address(path, "walked"))
                self.assertIn(status, (200, 202, 404, 412))
        self.assertEqual(self.tried("plausible", "/api/v1/projects/{project}/deployments/{name}", "delete",
                                    "/api/v1/projects/walk/deployments/site.development"), 202)

    def test_5_the_document_is_openapi_and_the_answers_are_as_it_says(self):
        self.assertGreater(len(self.answers), 1_000, "the tests before this one")
        if not os.path.exists(os.path.join(CHECKER, ".installed")) or not same(CHECKER, "package-lock.json", ".installed"):
            os.makedirs(CHECKER, exist_ok=True)
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(os.path.join(ROOT, "tests", "openapi", name), CHECKER)
            done = subprocess.run(["npm", "ci"], cwd=CHECKER, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            shutil.copy(os.path.join(CHECKER, "package-lock.json"), os.path.join(CHECKER, ".installed"))
        shutil.copy(os.path.join(ROOT, "tests", "openapi", "check.mjs"), CHECKER)
        for name, content in (("openapi.json", self.document), ("answers.json", self.answers)):
            with open(os.path.join(CHECKER, name), "w") as file:
                json.dump(content, file)
        done = subprocess.run(["node", "check.mjs", "openapi.json", "answers.json"], cwd=CHECKER, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def same(folder, installed, wanted):
    with open(os.path.join(ROOT, "tests", "openapi", installed), "rb") as one, open(os.path.join(folder, wanted), "rb") as two:
        return one.read() == two.read()


if __name__ == "__main__":
    unittest.main()
