// SPDX-License-Identifier: Apache-2.0
// An HTTP server that can stop without failing a request.
import { createServer } from 'node:http';
import { once } from 'node:events';

// Longer than a proxy in front keeps an idle connection, so that it is never this side that closes
// a connection on which the proxy is just sending the next request.
const idleTimeout = 75_000;

// Serves `handle(request, response)` and resolves, once it listens, to { port, drain }.
export async function serve(handle, { port, host } = {}) {
  let draining = false;
  const unanswered = new Set();
  const server = createServer((request, response) => {
    unanswered.add(response);
    if (draining) response.setHeader('Connection', 'close');
    response.once('close', () => {
      unanswered.delete(response);
      // The connection counts as idle only after this event.
      if (draining) setImmediate(() => server.closeIdleConnections());
    });
    handle(request, response);
  });
  server.keepAliveTimeout = idleTimeout;
  server.headersTimeout = idleTimeout + 1_000;
  server.listen(port, host);
  await once(server, 'listening');

  // Takes no new connection, answers what was asked already, and resolves when every connection is
  // closed; after `deadline` milliseconds it cuts those that are left. Resolves to how many it cut.
  async function drain({ deadline }) {
    draining = true;
    const closed = once(server, 'close');
    for (const response of unanswered) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    server.close();
    server.closeIdleConnections();
    let cut = 0;
    const timer = setTimeout(() => {
      server.getConnections((_, count) => {
        cut = count ?? 0;
        server.closeAllConnections();
      });
    }, deadline);
    await closed;
    clearTimeout(timer);
    return cut;
  }

  return { port: server.address().port, drain };
}
