// SPDX-License-Identifier: Apache-2.0
// The shop's API as functions. Connections are kept and used again.
import { Agent, RetryAgent } from 'undici';

// The API cannot be asked at the moment, after all that was worth trying.
export class ApiUnavailable extends Error {}

// The API understood, and says that the input is wrong.
export class ApiRefused extends Error {
  constructor(faults) {
    super(faults.join('; '));
    this.faults = faults;
  }
}

// While the API is being replaced, a kept connection may be closed at the moment it is used, and a
// new one may be refused. Reading again does no harm, so GETs are tried again; a POST never is,
// because nobody can tell whether the first one arrived. Together the pauses make about 1.5 seconds.
const retries = {
  methods: ['GET', 'HEAD'],
  maxRetries: 7,
  minTimeout: 25,
  maxTimeout: 400,
  timeoutFactor: 2,
  statusCodes: [502, 503, 504],
  errorCodes: ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'EHOSTUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT'],
};

export function createApi(url) {
  const once = new Agent({
    connections: 16,
    keepAliveTimeout: 30_000,
    connectTimeout: 1_000,
    headersTimeout: 3_000,
    bodyTimeout: 3_000,
  });
  const again = new RetryAgent(once, retries);

  async function ask(dispatcher, method, path, body) {
    let status;
    let answer;
    try {
      const response = await dispatcher.request({
        origin: url,
        path,
        method,
        headers: body ? { 'content-type': 'application/json' } : {},
        body: body && JSON.stringify(body),
      });
      status = response.statusCode;
      answer = await response.body.json();
    } catch (error) {
      throw new ApiUnavailable(`${method} ${path} at ${url}: ${error.message}`, { cause: error });
    }
    if (status === 422) throw new ApiRefused(answer.faults);
    if (status !== 200) throw new ApiUnavailable(`${method} ${path} at ${url}: answered ${status}`);
    return answer;
  }

  return {
    // → { currency, version, products: [{ id, name, cents }] }
    products: () => ask(again, 'GET', '/products'),
    // [{ id, quantity }] → { currency, lines: [{ name, quantity, cents }], cents }
    price: (items) => ask(once, 'POST', '/baskets/price', { items }),
    close: () => once.close(),
  };
}
