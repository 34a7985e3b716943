// SPDX-License-Identifier: Apache-2.0
// What the web front answers: a function of request and response, without a socket of its own.
import { readFileSync } from 'node:fs';
import { ApiRefused, ApiUnavailable } from './api.js';
import { renderPage } from './pages.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const style = readFileSync(new URL('../public/style.css', import.meta.url));
const largestForm = 16 * 1024;

class HttpError extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

// The items of a form in which every field is a product's id and every value a quantity.
export function basketOf(form) {
  const items = [];
  for (const [id, text] of new URLSearchParams(form)) {
    const quantity = Number(text);
    if (text.trim() === '' || quantity === 0) continue;
    if (!Number.isInteger(quantity) || quantity < 0) {
      throw new HttpError(400, `"${text}" of ${id} is not a quantity; write a whole number`);
    }
    items.push({ id, quantity });
  }
  if (items.length === 0) throw new HttpError(400, 'the basket is empty; choose at least one thing');
  return items;
}

async function readForm(request) {
  const type = (request.headers['content-type'] ?? '').split(';')[0].trim();
  if (type !== 'application/x-www-form-urlencoded') throw new HttpError(415, 'send a form');
  let form = '';
  for await (const chunk of request.setEncoding('utf8')) {
    form += chunk;
    if (form.length > largestForm) throw new HttpError(413, 'this form is too large', { Connection: 'close' });
  }
  return form;
}

export function createShop({ api, instance, log = console.error }) {
  const facts = { version, instance };
  const routes = {
    '/': {
      GET: async () => html(renderPage('catalogue', { ...facts, ...(await api.products()) })),
    },
    '/basket': {
      POST: async (request) => {
        const items = basketOf(await readForm(request));
        return html(renderPage('basket', { ...facts, ...(await api.price(items)) }));
      },
    },
    '/healthz': { GET: async () => json({ status: 'ok', version, instance }) },
    '/style.css': { GET: async () => ({ status: 200, type: 'text/css; charset=utf-8', body: style }) },
  };

  async function answer(request) {
    const path = request.url.split('?')[0];
    const methods = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!methods) throw new HttpError(404, 'there is no such page');
    const handler = methods[request.method === 'HEAD' ? 'GET' : request.method];
    if (!handler) throw new HttpError(405, 'not like this', { Allow: Object.keys(methods).join(', ') });
    return handler(request);
  }

  function failure(error) {
    if (error instanceof HttpError) return problem(error.status, error.message, error.headers);
    if (error instanceof ApiRefused) return problem(400, error.message);
    if (error instanceof ApiUnavailable) {
      log(`web: ${error.message}`);
      return problem(503, 'the shop is being restocked; try again in a moment', { 'Retry-After': '1' });
    }
    log(`web: ${error.stack}`);
    return problem(500, 'something went wrong on our side');
  }
  const problem = (status, message, headers) =>
    html(renderPage('problem', { ...facts, status, message }), status, headers);

  return async (request, response) => {
    const result = await answer(request).catch(failure);
    const body = Buffer.from(result.body);
    response.writeHead(result.status, {
      'Content-Type': result.type,
      'Content-Length': body.length,
      'Cache-Control': 'no-store',
      ...result.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

const html = (body, status = 200, headers = {}) => ({ status, type: 'text/html; charset=utf-8', body, headers });
const json = (value) => ({ status: 200, type: 'application/json', body: JSON.stringify(value) });
