/** This browser's own gathering: a connection with itself, so that every state there is can be seen. */
import { type Candidate, readCandidate } from './candidate.ts'

export interface GatheringError {
  readonly atMs: number
  readonly url: string
  readonly code: number
  readonly text: string
  /** The local address that asked. */
  readonly from: string
}

export interface StateChange {
  readonly atMs: number
  readonly of: 'gathering' | 'ICE' | 'connection'
  readonly state: string
}

export interface GatheringState {
  readonly iceServers: readonly RTCIceServer[]
  readonly candidates: readonly Candidate[]
  readonly errors: readonly GatheringError[]
  readonly states: readonly StateChange[]
  readonly gathering: RTCIceGatheringState
  readonly ice: RTCIceConnectionState
  readonly connection: RTCPeerConnectionState
  /** End of candidates; null: not yet. */
  readonly completeAtMs: number | null
  /** How often ICE was restarted. */
  readonly restarts: number
  /** Why the browser takes none of this. */
  readonly problem: string | null
}

const start: GatheringState = {
  iceServers: [],
  candidates: [],
  errors: [],
  states: [],
  gathering: 'new',
  ice: 'new',
  connection: 'new',
  completeAtMs: null,
  restarts: 0,
  problem: null,
}

export class Gathering {
  readonly #onChange: (state: GatheringState) => void
  #state: GatheringState
  #startedAt = performance.now()
  #near: RTCPeerConnection | undefined
  #far: RTCPeerConnection | undefined

  constructor(
    iceServers: readonly RTCIceServer[],
    policy: RTCIceTransportPolicy,
    onChange: (s: GatheringState) => void,
  ) {
    this.#onChange = onChange
    this.#state = { ...start, iceServers }
    try {
      this.#near = new RTCPeerConnection({ iceServers: [...iceServers], iceTransportPolicy: policy })
      this.#far = new RTCPeerConnection()
    } catch (error) {
      this.#set({ problem: error instanceof Error ? error.message : String(error) })
      return
    }
    this.#listen(this.#near, this.#far)
    this.#near.createDataChannel('natcheck')
    void this.#negotiate()
  }

  /** New credentials, new candidates, the same connection. RFC 8445 §9 */
  restart(): void {
    if (!this.#near || this.#state.problem !== null) return
    this.#startedAt = performance.now()
    this.#set({ candidates: [], errors: [], states: [], completeAtMs: null, restarts: this.#state.restarts + 1 })
    this.#near.restartIce()
    void this.#negotiate()
  }

  close(): void {
    this.#near?.close()
    this.#far?.close()
  }

  #listen(near: RTCPeerConnection, far: RTCPeerConnection): void {
    near.addEventListener('icecandidate', (event) => {
      const candidate = readCandidate(event, this.#now())
      if (candidate) this.#set({ candidates: [...this.#state.candidates, candidate] })
    })
    far.addEventListener('icecandidate', ({ candidate }) => {
      // A candidate of a generation that is over is none any more.
      if (candidate && near.signalingState !== 'closed') near.addIceCandidate(candidate).catch(() => undefined)
    })
    near.addEventListener('icecandidateerror', (event) => this.#onError(event))
    near.addEventListener('icegatheringstatechange', () => {
      const complete = near.iceGatheringState === 'complete'
      this.#change('gathering', near.iceGatheringState, {
        gathering: near.iceGatheringState,
        completeAtMs: complete ? this.#now() : null,
      })
    })
    near.addEventListener('iceconnectionstatechange', () =>
      this.#change('ICE', near.iceConnectionState, { ice: near.iceConnectionState }),
    )
    near.addEventListener('connectionstatechange', () =>
      this.#change('connection', near.connectionState, { connection: near.connectionState }),
    )
  }

  #onError({ url, errorCode, errorText, address, port }: RTCPeerConnectionIceErrorEvent): void {
    const from = address ? `${address}:${port ?? ''}` : ''
    this.#set({ errors: [...this.#state.errors, { atMs: this.#now(), url, code: errorCode, text: errorText, from }] })
  }

  /** Connects only when gathering is complete: a browser that has found a way stops looking for others. */
  async #negotiate(): Promise<void> {
    const [near, far] = [this.#near, this.#far]
    if (!near || !far) return
    try {
      await near.setLocalDescription()
      await gathered(near)
      if (near.localDescription) await far.setRemoteDescription(near.localDescription)
      await far.setLocalDescription()
      if (far.localDescription) await near.setRemoteDescription(far.localDescription)
    } catch (error) {
      // Closed by the next run.
      if (near.signalingState !== 'closed') this.#set({ problem: String(error) })
    }
  }

  #now(): number {
    return performance.now() - this.#startedAt
  }

  #change(of: StateChange['of'], state: string, also: Partial<GatheringState>): void {
    this.#set({ ...also, states: [...this.#state.states, { atMs: this.#now(), of, state }] })
  }

  #set(change: Partial<GatheringState>): void {
    this.#state = { ...this.#state, ...change }
    this.#onChange(this.#state)
  }
}

async function gathered(connection: RTCPeerConnection): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (connection.iceGatheringState === 'complete') resolve()
    }
    connection.addEventListener('icegatheringstatechange', look)
    look()
  })
}
