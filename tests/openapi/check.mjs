// SPDX-License-Identifier: Apache-2.0
// check.mjs DOCUMENT ANSWERS: is the document OpenAPI 3.1, by two stock validators, and is every recorded
// answer what it declares? Prints each fault on a line; exit code 1 when there is one.
import { readFileSync } from "node:fs";
import { createConfig, lint } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const [path, answersPath] = process.argv.slice(2);
const document = JSON.parse(readFileSync(path, "utf8"));
const faults = [];

// The official JSON schema of OpenAPI 3.1.
const validator = new Validator();
const { valid, errors } = await validator.validate(structuredClone(document));
if (validator.version !== "3.1") faults.push(`taken for version ${validator.version}`);
if (!valid) for (const each of [errors].flat()) faults.push(`schema: ${JSON.stringify(each)}`);

// What no schema can say: references, parameters of paths, identifiers, ambiguous paths, security.
const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    "operation-4xx-response": "off", // "default" declares them all
    "no-server-example.com": "off",
  },
});
for (const each of await lint({ ref: path, config }))
  faults.push(`${each.ruleId}: ${each.message} at ${each.location[0].pointer}`);

// Recorded: [{operation: ["/api/v1/…", "get"], status, type, body}].
const ajv = formats(new Ajv({ strict: false, allErrors: true, validateFormats: true }));
ajv.addFormat("duration", true); // "1h", as the document's text says; not ISO 8601's
ajv.addFormat("bytes", true);
ajv.addSchema(document, "openapi");
const compiled = new Map();
let held = 0;
for (const { operation: [where, method], status, type, body } of JSON.parse(readFileSync(answersPath, "utf8"))) {
  const name = `${method.toUpperCase()} ${where} ${status}`;
  const { responses } = document.paths[where][method];
  const key = String(status) in responses ? String(status) : "default";
  if (key === "default" && status < 400) {
    faults.push(`${name}: not declared`);
    continue;
  }
  if (!responses[key].content) continue;
  if (!(type in responses[key].content)) {
    faults.push(`${name}: is ${type}, declared ${Object.keys(responses[key].content)}`);
    continue;
  }
  if (!type.endsWith("json")) continue;
  const pointer = ["paths", where, method, "responses", key, "content", type, "schema"]
    .map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
  if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: `openapi#/${pointer}` }));
  const check = compiled.get(pointer);
  ++held;
  if (!check(JSON.parse(body))) faults.push(`${name}: ${ajv.errorsText(check.errors)}: ${body.slice(0, 300)}`);
}

for (const each of [...new Set(faults)].slice(0, 40)) console.log(each);
console.log(`${Object.keys(document.paths).length} paths, ${held} answers held against it, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
