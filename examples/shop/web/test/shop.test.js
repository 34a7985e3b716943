// SPDX-License-Identifier: Apache-2.0
// The pages, with an API that is a plain object.
import test from 'node:test';
import assert from 'node:assert/strict';
import { ApiRefused, ApiUnavailable } from '../src/api.js';
import { money } from '../src/pages.js';
import { serve } from '../src/serve.js';
import { basketOf, createShop } from '../src/shop.js';

const shelves = {
  currency: 'EUR',
  served: { version: '7.7', instance: 'api-1' },
  products: [{ id: 'rye', name: 'Rye & <seeds>', cents: 1205 }],
};

async function withShop(t, api) {
  const log = [];
  const server = await serve(createShop({ api, instance: 'web-1', log: (line) => log.push(line) }), { port: 0, host: '127.0.0.1' });
  t.after(() => server.drain({ deadline: 1_000 }));
  const ask = (path, options) => fetch(`http://127.0.0.1:${server.port}${path}`, options);
  const post = (body, headers = {}) =>
    ask('/basket', { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
  return { ask, post, log };
}

test('money has two decimals and the currency', () => {
  const cases = [
    [0, '0.00 EUR'],
    [5, '0.05 EUR'],
    [1205, '12.05 EUR'],
    [100000, '1000.00 EUR'],
  ];
  for (const [cents, text] of cases) assert.equal(money(cents, 'EUR'), text);
});

test('a form becomes a basket', () => {
  const cases = [
    { reason: 'nothing wanted of a product leaves it out', form: 'rye=2&milk=0&tea=', basket: [{ id: 'rye', quantity: 2 }] },
    { reason: 'an empty basket is refused', form: 'rye=0', fault: /basket is empty/ },
    { reason: 'half a bread is refused', form: 'rye=0.5', fault: /"0.5" of rye is not a quantity/ },
    { reason: 'less than nothing is refused', form: 'rye=-1', fault: /not a quantity/ },
    { reason: 'words are refused', form: 'rye=two', fault: /not a quantity/ },
  ];
  for (const { reason, form, basket, fault } of cases) {
    if (fault) assert.throws(() => basketOf(form), fault, reason);
    else assert.deepEqual(basketOf(form), basket, reason);
  }
});

test('the catalogue shows what the API has, escaped', async (t) => {
  const { ask } = await withShop(t, { products: async () => shelves });
  const response = await ask('/');
  const page = await response.text();
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/html/);
  assert.match(page, /Rye &amp; &lt;seeds&gt;/);
  assert.match(page, /12\.05 EUR/);
  assert.match(page, /web [\d.]+ on web-1, api 7\.7 on api-1/);
});

test('a basket is priced by the API', async (t) => {
  const asked = [];
  const price = async (items) => {
    asked.push(items);
    return { currency: 'EUR', lines: [{ name: 'Rye', quantity: 2, cents: 2410 }], cents: 2410 };
  };
  const { post } = await withShop(t, { price });
  const page = await (await post('rye=2')).text();
  assert.deepEqual(asked, [[{ id: 'rye', quantity: 2 }]]);
  assert.match(page, /2 × Rye/);
  assert.match(page, /id="total">24\.10 EUR/);
});

test('what is wrong is said with the right status', async (t) => {
  const api = {
    products: async () => { throw new ApiUnavailable('connection refused'); },
    price: async () => { throw new ApiRefused(['items[0].id: no such product']); },
  };
  const { ask, post, log } = await withShop(t, api);
  const cases = [
    { reason: 'an API that is away is not the visitor\'s fault', response: ask('/'), status: 503, says: /restocked/ },
    { reason: 'what the API refuses is shown', response: post('hat=1'), status: 400, says: /no such product/ },
    { reason: 'an unknown page', response: ask('/nowhere'), status: 404, says: /no such page/ },
    { reason: 'a name that every object has is no page', response: ask('/__proto__'), status: 404, says: /no such page/ },
    { reason: 'a page asked for in the wrong way', response: ask('/basket'), status: 405, says: /not like this/ },
    { reason: 'something else than a form', response: post('{}', { 'content-type': 'application/json' }), status: 415, says: /send a form/ },
    { reason: 'a form without end', response: post(`rye=${'1'.repeat(40_000)}`), status: 413, says: /too large/ },
  ];
  for (const { reason, response, status, says } of cases) {
    const got = await response;
    assert.equal(got.status, status, reason);
    assert.match(await got.text(), says, reason);
  }
  assert.equal(log.length, 1, 'only what is our own problem is logged');
  assert.match(log[0], /connection refused/);
});

test('health does not depend on the API', async (t) => {
  const { ask } = await withShop(t, {});
  const response = await ask('/healthz');
  assert.equal(response.status, 200);
  assert.equal((await response.json()).status, 'ok');
});

test('HEAD has the headers of GET and no body', async (t) => {
  const { ask } = await withShop(t, { products: async () => shelves });
  const response = await ask('/', { method: 'HEAD' });
  assert.equal(response.status, 200);
  assert.ok(Number(response.headers.get('content-length')) > 500);
  assert.equal(await response.text(), '');
});
