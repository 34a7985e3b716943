// SPDX-License-Identifier: Apache-2.0
// The API's client against a server that misbehaves as an API does while it is being replaced.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { ApiRefused, ApiUnavailable, createApi } from '../src/api.js';

// `answers`: one function (request, response) for each request that will arrive, in order.
async function withApi(t, answers) {
  const seen = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const answer = answers.shift();
    if (!answer) throw new Error(`one request too many: ${seen.at(-1)}`);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const api = createApi(`http://127.0.0.1:${server.address().port}`);
  t.after(async () => {
    await api.close();
    server.closeAllConnections();
    server.close();
  });
  return { api, seen, server };
}

const ok = (value) => (_, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
};
const status = (code, value) => (request, response) => {
  response.statusCode = code;
  ok(value)(request, response);
};
const hangUp = (request) => request.socket.destroy();

test('a read is tried again when the connection is closed under it', async (t) => {
  const { api, seen } = await withApi(t, [ok({ n: 1 }), hangUp, hangUp, ok({ n: 2 })]);
  assert.deepEqual(await api.products(), { n: 1 });
  assert.deepEqual(await api.products(), { n: 2 });
  assert.equal(seen.length, 4);
});

test('a read is tried again when no instance is there yet', async (t) => {
  const { api } = await withApi(t, [status(503, {}), status(502, {}), ok({ n: 1 })]);
  assert.deepEqual(await api.products(), { n: 1 });
});

test('a read gives up in the end and says where it asked', async (t) => {
  const { api, seen } = await withApi(t, Array(8).fill(hangUp));
  await assert.rejects(api.products(), (error) => {
    assert.ok(error instanceof ApiUnavailable);
    assert.match(error.message, /^GET \/products at http:\/\/127\.0\.0\.1/);
    return true;
  });
  assert.equal(seen.length, 8);
});

test('a POST is never sent twice', async (t) => {
  const { api, seen } = await withApi(t, [hangUp]);
  await assert.rejects(api.price([{ id: 'rye', quantity: 1 }]), ApiUnavailable);
  assert.deepEqual(seen, ['POST /baskets/price']);
});

test('what the API refuses comes with its faults', async (t) => {
  const { api } = await withApi(t, [status(422, { faults: ['items[0].id: no such product'] })]);
  await assert.rejects(api.price([{ id: 'hat', quantity: 1 }]), (error) => {
    assert.ok(error instanceof ApiRefused);
    assert.deepEqual(error.faults, ['items[0].id: no such product']);
    return true;
  });
});

test('an answer that is not JSON counts as none', async (t) => {
  const { api } = await withApi(t, [(_, response) => response.end('<html>')]);
  await assert.rejects(api.products(), ApiUnavailable);
});
