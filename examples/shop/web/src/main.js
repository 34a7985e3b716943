// SPDX-License-Identifier: Apache-2.0
// The web front as a process: settings from the environment, then serving until SIGTERM.
import { hostname } from 'node:os';
import { createApi } from './api.js';
import { createShop } from './shop.js';
import { serve } from './serve.js';

const port = Number(process.env.PORT ?? 8080);
const apiUrl = process.env.API_URL ?? 'http://127.0.0.1:8081';
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  console.error(`PORT is "${process.env.PORT}"; it must be a number from 0 to 65535`);
  process.exit(2);
}

const api = createApi(apiUrl);
const server = await serve(createShop({ api, instance: hostname() }), { port });
console.log(`web: listening on port ${server.port}, asking the API at ${apiUrl}`);

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    console.log(`web: ${signal}; finishing the requests in flight`);
    await server.drain({ deadline: 10_000 });
    await api.close();
    console.log('web: done');
  });
}
