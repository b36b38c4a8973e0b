// A TCP proxy between browser and server, which simulates network failures: `cut` closes all connections and
// refuses new ones, `freeze` keeps them open but stops forwarding.
import { createServer, connect } from 'node:net'
import { once } from 'node:events'
import { BASE } from './browser.mjs'

export async function startProxy() {
  const target = new URL(BASE)
  const port = Number(target.port || 80)
  const sockets = new Set()
  let isCut = false

  const server = createServer((client) => {
    if (isCut) return client.destroy()
    const upstream = connect({ host: target.hostname, port })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    freeze() {
      for (const socket of sockets) {
        socket.unpipe()
        socket.pause()
      }
    },
    restore() {
      isCut = false
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
