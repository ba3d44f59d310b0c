#!/usr/bin/env node
// UDP sockets in a network namespace, worked from outside: JSON lines in on stdin, JSON lines out on stdout.
//   {"do":"open","socket":1,"ip":"192.0.2.1","port":0,"connect":{"ip":…,"port":…}}  → {"event":"open","socket":1,"local":{…}}
//   {"do":"send","socket":1,"text":"hello","to":{"ip":…,"port":…}}
//   {"do":"close","socket":1}
//   {"do":"tcp","id":2,"to":{…}} → {"event":"tcp","id":2,"outcome":"connected"|"<error code>"}
//   {"do":"listen","ip":…,"port":…} → {"event":"listening"}; every connection is closed at once
// Events: {"event":"datagram","socket":1,"text":…,"from":{…}}, {"event":"failure","socket":1,"code":"ECONNREFUSED"}
import dgram from 'node:dgram'
import net from 'node:net'
import readline from 'node:readline'

const sockets = new Map()
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const address = ({ address: ip, port }) => ({ ip, port })

const actions = {
  open({ socket: id, ip, port, connect }) {
    const socket = dgram.createSocket({ type: ip.includes(':') ? 'udp6' : 'udp4', ipv6Only: ip.includes(':') })
    sockets.set(id, { socket, connected: connect !== undefined })
    socket.on('error', (error) => say({ event: 'failure', socket: id, code: error.code }))
    socket.on('message', (bytes, from) =>
      say({ event: 'datagram', socket: id, text: bytes.toString('latin1'), from: address(from) }),
    )
    const opened = () => say({ event: 'open', socket: id, local: address(socket.address()) })
    socket.bind(port, ip, () => (connect ? socket.connect(connect.port, connect.ip, opened) : opened()))
  },
  send({ socket: id, text, to }) {
    const { socket, connected } = sockets.get(id)
    const failed = (error) => error && say({ event: 'failure', socket: id, code: error.code })
    const bytes = Buffer.from(text, 'latin1')
    if (connected) socket.send(bytes, failed)
    else socket.send(bytes, to.port, to.ip, failed)
  },
  close({ socket: id }) {
    sockets.get(id)?.socket.close()
    sockets.delete(id)
  },
  tcp({ id, to }) {
    const stream = net.connect({ host: to.ip, port: to.port, timeout: 3000 })
    const settle = (outcome) => {
      stream.destroy()
      say({ event: 'tcp', id, outcome })
    }
    stream.once('connect', () => settle('connected'))
    stream.once('timeout', () => settle('ETIMEDOUT'))
    stream.on('error', (error) => settle(error.code))
  },
  listen({ ip, port }) {
    net
      .createServer((stream) => stream.on('error', () => undefined).end())
      .listen(port, ip, () => say({ event: 'listening', ip, port }))
  },
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line)
  actions[command.do](command)
})
process.stdin.on('end', () => process.exit(0))
say({ event: 'ready' })
