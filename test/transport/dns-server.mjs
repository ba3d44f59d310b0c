// A DNS server for tests, run inside a network namespace: answers from the zone given as JSON, says "ready".
// Zone: { "name": { a?: [..], aaaa?: [..], srv?: [[priority, weight, port, target], ..], rcode?: number } }
import { createSocket } from 'node:dgram'

const [, , address, zoneText] = process.argv
const zone = JSON.parse(zoneText)
const types = { 1: 'a', 28: 'aaaa', 33: 'srv' }

const encodeName = (name) =>
  Buffer.concat([
    ...name
      .split('.')
      .filter(Boolean)
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ])

function readName(query) {
  const labels = []
  let at = 12
  while (query[at] !== 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]))
    at += 1 + query[at]
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 }
}

const u16 = (...values) => Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 255])))
const encoders = {
  a: (ip) => Buffer.from(ip.split('.').map(Number)),
  // Written in full: eight groups.
  aaaa: (ip) => u16(...ip.split(':').map((group) => Number.parseInt(group, 16))),
  srv: ([priority, weight, port, target]) => Buffer.concat([u16(priority, weight, port), encodeName(target)]),
}

const socket = createSocket('udp4')
socket.on('message', (query, from) => {
  const { name, end } = readName(query)
  const type = types[query.readUInt16BE(end)]
  const entry = zone[name]
  const records = (type && entry?.[type]) ?? []
  const answers = records.map((record) => {
    const data = encoders[type](record)
    return Buffer.concat([u16(0xc00c, query.readUInt16BE(end), 1, 0, 60, data.length), data])
  })
  const rcode = entry ? (entry.rcode ?? 0) : 3
  const header = Buffer.concat([query.subarray(0, 2), u16(0x8180 | rcode, 1, answers.length, 0, 0)])
  socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...answers]), from.port, from.address)
})
socket.bind(53, address, () => process.stdout.write('ready\n'))
