// SPDX-License-Identifier: Apache-2.0
// Answers in every way that a rollout could cut: short answers, slow downloads, event streams and WebSockets that end by
// themselves, and an event stream that ends when the program is told to.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

const version = process.env.VERSION
const pause = (ms) => new Promise((done) => setTimeout(done, ms))
const farewells = new Set()

const routes = {
  '/': (request, response) => response.end(`version ${version}\n`),

  '/orders': async (request, response) => {
    for await (const chunk of request) void chunk
    console.log(`order ${request.headers['x-order']}`)
    response.end('taken\n')
  },

  // Two seconds, a megabyte, its length said before.
  '/download': async (request, response) => {
    const part = Buffer.alloc(52_429, 'd')
    response.setHeader('content-length', part.length * 20)
    for (let i = 0; i < 20; ++i) {
      response.write(part)
      await pause(100)
    }
    response.end()
  },

  '/events': async (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let i = 0; i < 20; ++i) {
      response.write(`data: ${i}\n\n`)
      await pause(100)
    }
    response.end('data: end\n\n')
  },

  '/until-told': (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`data: version ${version}\n\n`)
    farewells.add(response)
    response.on('close', () => farewells.delete(response))
  },
}

const server = createServer((request, response) => {
  const route = routes[request.url]
  if (route) route(request, response)
  else response.writeHead(404).end()
})

// The server's half of RFC 6455, as far as twenty short texts and a close need it.
server.on('upgrade', async (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  socket.on('error', () => {})
  for (let i = 0; i < 20; ++i) {
    const text = Buffer.from(String(i))
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]))
    await pause(100)
  }
  socket.end(Buffer.from([0x88, 0x00]))
})

process.on('SIGTERM', () => {
  for (const response of farewells) response.end('data: farewell\n\n')
  server.close(() => process.exit(0))
})
server.listen(Number(process.env.PORT))
