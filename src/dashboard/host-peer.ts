/**
 * The host as a peer of a browser: node-datachannel, an optional package (libdatachannel; relays over UDP only). It sits in
 * the room like a browser, answers what it is offered, echoes probes, and counts what arrives.
 */
import type * as NodeDatachannel from 'node-datachannel'
import type { DataChannel, PeerConnection, RtcConfig } from 'node-datachannel'
import { readIceServers } from '../probe/ice/index.ts'
import { defaultPort, uriProtocol } from '../wire/uri.ts'
import type { PageIceServer } from './options.ts'
import type { Member, Rooms } from './rooms.ts'
import type { Signal } from './signals.ts'

type Library = typeof NodeDatachannel

/** undefined: the package is not installed, or does not work here. */
export async function loadPeerLibrary(): Promise<Library | undefined> {
  try {
    return await import('node-datachannel')
  } catch {
    return undefined
  }
}

/** As often as the page does. */
const reportEveryMs = 200

export class HostPeer implements Member<Signal> {
  readonly isHost = true
  readonly #library: Library
  readonly #rooms: Rooms<Signal>
  readonly #room: string
  readonly #iceServers: () => readonly PageIceServer[]
  #connection: PeerConnection | undefined
  #fingerprint = ''

  constructor(library: Library, rooms: Rooms<Signal>, room: string, iceServers: () => readonly PageIceServer[]) {
    this.#library = library
    this.#rooms = rooms
    this.#room = room
    this.#iceServers = iceServers
  }

  send(signal: Signal): void {
    if (signal.type === 'offer') this.#answer(signal.sdp)
    else if (signal.type === 'candidate' && signal.candidate) this.#addCandidate(signal.candidate, signal.sdpMid ?? '0')
    else if (signal.type === 'peer-left') this.#rooms.leave(this.#room, this)
  }

  /** Called by the room, when it is left. */
  left(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  /** libdatachannel can't restart ICE, so a page that wants another way makes a new connection, with a new certificate. */
  #answer(sdp: string): void {
    const fingerprint = /^a=fingerprint:(.*)$/m.exec(sdp)?.[1] ?? ''
    if (!this.#connection || fingerprint !== this.#fingerprint) this.#open()
    this.#fingerprint = fingerprint
    try {
      this.#connection?.setRemoteDescription(sdp, 'offer')
    } catch {
      // What a page sends is anybody's guess; the page sees that no answer comes.
      this.left()
    }
  }

  #addCandidate(candidate: string, mid: string): void {
    try {
      this.#connection?.addRemoteCandidate(candidate, mid)
    } catch {
      // One candidate less.
    }
  }

  #open(): void {
    this.#connection?.close()
    const connection = new this.#library.PeerConnection('natcheck', { iceServers: this.#servers() })
    this.#connection = connection
    connection.onLocalDescription((sdp, type) => {
      if (type === 'answer' && connection === this.#connection) this.#tell({ type, sdp })
    })
    connection.onLocalCandidate((candidate, sdpMid) => {
      if (connection === this.#connection) this.#tell({ type: 'candidate', candidate, sdpMid })
    })
    echoProbes(connection.createDataChannel('probe', { negotiated: true, id: 0, unordered: true, maxRetransmits: 0 }))
    countBulk(connection.createDataChannel('bulk', { negotiated: true, id: 1 }))
  }

  #tell(signal: Signal): void {
    for (const other of this.#rooms.others(this.#room, this)) other.send(signal)
  }

  /** Those that it can use: UDP. */
  #servers(): RtcConfig['iceServers'] {
    const servers = this.#iceServers()
    if (servers.length === 0) return []
    return readIceServers(servers)
      .filter(({ uri }) => uriProtocol(uri) === 'udp')
      .map(({ uri, username, credential }) => ({
        hostname: uri.host,
        port: uri.port ?? defaultPort(uri.scheme),
        ...(username === undefined || credential === undefined
          ? {}
          : { username, password: credential, relayType: 'TurnUdp' as const }),
      }))
  }
}

function echoProbes(channel: DataChannel): void {
  channel.onMessage((data) => {
    const probe = typeof data === 'string' ? /^\{"probe":(\d+)\}$/.exec(data)?.[1] : undefined
    if (probe !== undefined && channel.isOpen()) channel.sendMessage(`{"echo":${probe}}`)
  })
}

function countBulk(channel: DataChannel): void {
  let received = 0
  let reportedAt = 0
  channel.onMessage((data) => {
    if (typeof data === 'string') {
      received = 0
      return
    }
    received += data.byteLength
    const now = performance.now()
    if (now - reportedAt < reportEveryMs || !channel.isOpen()) return
    reportedAt = now
    channel.sendMessage(`{"received":${received}}`)
  })
}
