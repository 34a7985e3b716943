// SPDX-License-Identifier: Apache-2.0
// The whole program, as the platform runs it: environment, port, SIGTERM.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.js', import.meta.url));

async function start(t, environment) {
  const child = spawn(process.execPath, [main], { env: { ...process.env, PORT: '0', ...environment } });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  const exited = once(child, 'exit');
  child.stderr.on('data', (chunk) => { output += chunk; });
  const listening = new Promise((resolve) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const port = /listening on port (\d+)/.exec(output)?.[1];
      if (port) resolve(Number(port));
    });
  });
  return { child, exited, listening, output: () => output };
}

test('SIGTERM lets the request in flight finish, then ends with 0', { timeout: 120_000 }, async (t) => {
  // An API that answers only when it is told to.
  let release;
  const asked = new Promise((arrived) => {
    const api = createServer((_, response) => {
      release = () => response.end(JSON.stringify({ currency: 'EUR', products: [] }));
      arrived();
    });
    api.listen(0, '127.0.0.1');
    t.after(() => api.close());
    t.api = api;
  });
  await once(t.api, 'listening');

  const web = await start(t, { API_URL: `http://127.0.0.1:${t.api.address().port}` });
  const url = `http://127.0.0.1:${await web.listening}`;
  assert.equal((await fetch(`${url}/healthz`)).status, 200); // leaves an idle connection behind
  const page = fetch(url);
  await asked;

  web.child.kill('SIGTERM');
  await new Promise((seen) => {
    web.child.stdout.on('data', () => { if (/SIGTERM/.test(web.output())) seen(); });
  });
  await assert.rejects(fetch(`${url}/healthz`), 'no new connection is taken');
  release();

  const response = await page;
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('connection'), 'close');
  assert.match(await response.text(), /The shelves are empty/);
  assert.deepEqual(await web.exited, [0, null]);
});

test('a bad port is refused with a sentence', async (t) => {
  const web = await start(t, { PORT: 'http' });
  assert.deepEqual(await web.exited, [2, null]);
  assert.match(web.output(), /PORT is "http"; it must be a number/);
});
