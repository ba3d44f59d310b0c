/** One side of a real connection: signalling, perfect negotiation (W3C WebRTC §10.7), and what is measured. */
import type { PeerKind, Signal } from '../signals.ts'
import { Bulk, type Measured, Prober } from './measuring.ts'
import { type Pair, selectedPair } from './pair.ts'

export interface PeerSample extends Measured {
  readonly bitsPerSecond: number | null
}

export interface PeerState {
  readonly phase: 'joining' | 'waiting' | 'negotiating' | 'open' | 'ended'
  /** Why it ended. */
  readonly problem: string | null
  readonly ice: string
  readonly connection: string
  readonly pair: Pair | null
  /** One a second, the newest last. */
  readonly samples: readonly PeerSample[]
  readonly isMeasuring: boolean
  readonly relayOnly: boolean
  readonly restarts: number
}

export const keptSamples = 120
const throughputSeconds = 5

export class Peer {
  readonly #onChange: (state: PeerState) => void
  readonly #socket: WebSocket
  readonly #timer: ReturnType<typeof setInterval>
  /** Pasted ones, else those that come with the seat. */
  #iceServers: readonly RTCIceServer[] | undefined
  #polite = false
  #peer: PeerKind | undefined
  /** The remote certificate's: a new one is a new connection. */
  #fingerprint = ''
  #connection: RTCPeerConnection | undefined
  #prober: Prober | undefined
  #bulk: Bulk | undefined
  #makingOffer = false
  #bitsPerSecond: number | null = null
  #state: PeerState

  constructor(room: string, iceServers: readonly RTCIceServer[] | undefined, onChange: (state: PeerState) => void) {
    this.#onChange = onChange
    this.#iceServers = iceServers
    this.#state = {
      phase: 'joining',
      problem: null,
      ice: 'new',
      connection: 'new',
      pair: null,
      samples: [],
      isMeasuring: false,
      relayOnly: false,
      restarts: 0,
    }
    const url = new URL('api/signal', location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    this.#socket = new WebSocket(url)
    this.#socket.addEventListener('open', () => this.#socket.send(JSON.stringify({ type: 'join', room })))
    this.#socket.addEventListener('message', ({ data }) => void this.#onSignal(JSON.parse(String(data)) as Signal))
    this.#socket.addEventListener('close', () => this.#onSocketClosed())
    this.#timer = setInterval(() => void this.#sample(), 1000)
  }

  /** Own candidates are relayed ones from here on; or all again. Browsers keep a way that works through an ICE restart, so
   * the connection is made anew. */
  setRelayOnly(relayOnly: boolean): void {
    this.#set({ relayOnly })
    if (this.#connection) this.#connect()
  }

  restart(): void {
    if (!this.#connection) return
    this.#set({ restarts: this.#state.restarts + 1 })
    // The host's library can't restart ICE: the connection is made anew.
    if (this.#peer === 'host') this.#connect()
    else this.#connection.restartIce()
  }

  measureThroughput(): void {
    if (!this.#bulk || this.#state.phase !== 'open' || this.#state.isMeasuring) return
    this.#set({ isMeasuring: true })
    this.#bulk.run(throughputSeconds)
    setTimeout(() => {
      this.#bitsPerSecond = null
      this.#set({ isMeasuring: false })
    }, throughputSeconds * 1000)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#drop()
    this.#socket.close()
  }

  #configuration(): RTCConfiguration {
    return { iceServers: [...(this.#iceServers ?? [])], iceTransportPolicy: this.#state.relayOnly ? 'relay' : 'all' }
  }

  async #onSignal(signal: Signal): Promise<void> {
    switch (signal.type) {
      case 'joined':
        this.#iceServers ??= signal.iceServers.map((server) => ({ ...server, urls: [...server.urls] }))
        this.#polite = signal.polite
        this.#set({ phase: 'waiting' })
        if (signal.peer !== null) this.#meet(signal.peer)
        return
      case 'peer-joined':
        return this.#meet(signal.peer)
      case 'peer-left':
        this.#drop()
        return this.#set({ phase: 'waiting', pair: null })
      case 'refused':
        return this.#set({ phase: 'ended', problem: signal.message })
      case 'offer':
      case 'answer':
        return await this.#onDescription(signal)
      case 'candidate':
        if (signal.candidate === null) return
        // Those of a connection that was dropped, or of an offer that was, are no loss.
        return await this.#connection
          ?.addIceCandidate({ ...signal, candidate: signal.candidate })
          .catch(() => undefined)
    }
  }

  /** Who was there first begins, and the host never does: browsers that both begin lose candidates in the rollback. */
  #meet(peer: PeerKind): void {
    this.#peer = peer
    this.#set({ phase: 'negotiating', pair: null })
    if (peer === 'host' || !this.#polite) this.#connect()
  }

  #connect(): void {
    this.#drop()
    let connection: RTCPeerConnection
    try {
      connection = new RTCPeerConnection(this.#configuration())
    } catch (error) {
      return this.#fail(error)
    }
    this.#connection = connection
    this.#set({ phase: 'negotiating', pair: null })
    connection.addEventListener('negotiationneeded', () => void this.#offer(connection))
    connection.addEventListener('icecandidate', ({ candidate }) => {
      if (!candidate) return
      const { candidate: line, sdpMid, sdpMLineIndex } = candidate
      this.#send({ type: 'candidate', candidate: line, sdpMid, sdpMLineIndex })
    })
    connection.addEventListener('iceconnectionstatechange', () => this.#set({ ice: connection.iceConnectionState }))
    connection.addEventListener('connectionstatechange', () => {
      this.#set({ connection: connection.connectionState })
      // The way is gone, the peer may still be there.
      if (connection.connectionState === 'failed') this.restart()
    })
    this.#openChannels(connection)
  }

  /** Both sides open the same two, so that neither has to wait for the other's. */
  #openChannels(connection: RTCPeerConnection): void {
    const probes = connection.createDataChannel('probe', { negotiated: true, id: 0, ordered: false, maxRetransmits: 0 })
    const bulk = connection.createDataChannel('bulk', { negotiated: true, id: 1 })
    this.#prober = new Prober(probes)
    this.#bulk = new Bulk(bulk, (rate) => (this.#bitsPerSecond = rate))
    bulk.addEventListener('open', () => {
      this.#set({ phase: 'open' })
      void this.#sample()
    })
  }

  async #offer(connection: RTCPeerConnection): Promise<void> {
    try {
      this.#makingOffer = true
      await connection.setLocalDescription()
      this.#sendDescription(connection)
    } catch (error) {
      if (connection.signalingState !== 'closed') this.#fail(error)
    } finally {
      this.#makingOffer = false
    }
  }

  async #onDescription(description: { readonly type: 'offer' | 'answer'; readonly sdp: string }): Promise<void> {
    const fingerprint = /^a=fingerprint:(.*)$/m.exec(description.sdp)?.[1] ?? ''
    const isOffer = description.type === 'offer'
    const hasOffered = this.#makingOffer || this.#connection?.signalingState === 'have-local-offer'
    // Of two offers that cross, the impolite side's counts.
    if (isOffer ? hasOffered && !this.#polite : !hasOffered) return
    // The peer has made its connection anew: this side's answers no more.
    if (isOffer && fingerprint !== this.#fingerprint) this.#connect()
    const connection = this.#connection
    if (!connection) return
    try {
      this.#fingerprint = fingerprint
      await connection.setRemoteDescription(description)
      if (!isOffer) return
      await connection.setLocalDescription()
      this.#sendDescription(connection)
    } catch (error) {
      if (connection.signalingState !== 'closed') this.#fail(error)
    }
  }

  #sendDescription({ localDescription }: RTCPeerConnection): void {
    if (localDescription?.type !== 'offer' && localDescription?.type !== 'answer') return
    this.#send({ type: localDescription.type, sdp: localDescription.sdp })
  }

  #send(signal: Signal): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(signal))
  }

  #onSocketClosed(): void {
    if (this.#state.problem !== null) return
    // Peers that are connected need no signalling until one of them restarts.
    const problem = 'the dashboard has closed the signalling connection: load the page again'
    if (this.#state.phase === 'open') this.#set({ problem })
    else this.#set({ phase: 'ended', problem })
  }

  #drop(): void {
    this.#prober?.stop()
    this.#connection?.close()
    this.#connection = undefined
    this.#bulk = undefined
  }

  async #sample(): Promise<void> {
    if (!this.#connection || !this.#prober || this.#state.phase !== 'open') return
    const pair = await selectedPair(this.#connection).catch(() => null)
    const sample = { ...this.#prober.measured, bitsPerSecond: this.#bitsPerSecond }
    this.#set({ pair, samples: [...this.#state.samples, sample].slice(-keptSamples) })
  }

  #fail(error: unknown): void {
    this.#set({ problem: error instanceof Error ? error.message : String(error) })
  }

  #set(change: Partial<PeerState>): void {
    this.#state = { ...this.#state, ...change }
    this.#onChange(this.#state)
  }
}
