/** A network of one link with scripted routers, and a clock that moves only when told: nothing here waits. */
import {
  type Clock,
  type ConnectedDatagramEndpoint,
  type DatagramEndpoint,
  type DatagramHandlers,
  type DatagramOptions,
  type DeliveryFailureReason,
  type Instant,
  type InterfaceAddress,
  type IpAddress,
  instant,
  NatcheckError,
  type Network,
  type ServiceRecord,
  type StreamConnection,
  type StreamHandlers,
  type StreamOptions,
  type TransportAddress,
  type WallTime,
  wallTime,
} from '../../../../src/core/index.ts'

export class FakeClock implements Clock {
  #now = 1000
  #tasks: { at: number; task: () => void }[] = []

  now(): Instant {
    return instant(this.#now)
  }

  wallTime(): WallTime {
    return wallTime(this.#now)
  }

  schedule(at: Instant, task: () => void): () => void {
    const entry = { at: Math.max(at, this.#now), task }
    this.#tasks.push(entry)
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== entry)
    }
  }

  get pending(): number {
    return this.#tasks.length
  }

  /** Performs everything due within `ms`, in order. Promises settle in between: a macrotask turn drains them all. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const next = this.#tasks.toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > until) break
      this.#tasks = this.#tasks.filter((other) => other !== next)
      this.#now = next.at
      next.task()
    }
    this.#now = until
  }
}

export interface SentDatagram {
  readonly bytes: Uint8Array
  readonly from: TransportAddress
  readonly to: TransportAddress
  readonly atMs: number
  /** Delivers an answer; from where it was sent to, unless told otherwise. */
  reply(bytes: Uint8Array, options?: { from?: TransportAddress; afterMs?: number }): void
  fail(reason: DeliveryFailureReason): void
}

export interface HttpConversation {
  readonly to: TransportAddress
  /** Everything the client has sent so far, as text. */
  readonly request: string
  readonly respond: (bytes: Uint8Array | string) => void
  readonly close: () => void
}

export interface Script {
  udp?: (datagram: SentDatagram) => void
  /** Return 'refuse' to refuse a connection, 'ignore' to let it time out. */
  connect?: (to: TransportAddress) => 'accept' | 'refuse' | 'ignore'
  http?: (conversation: HttpConversation) => void
  gateway?: IpAddress | undefined
  interfaces?: readonly InterfaceAddress[]
  /** The address the routing table picks. */
  routed?: IpAddress
  /** One-way delay of everything, in milliseconds. */
  delayMs?: number
  openError?: NatcheckError
}

export const client = '192.168.1.20'
export const router = '192.168.1.1'

export class FakeNetwork implements Network {
  readonly clock: FakeClock
  readonly script: Script
  readonly datagrams: SentDatagram[] = []
  readonly requests: string[] = []
  readonly connections: StreamOptions[] = []
  openSockets = 0
  doubleCloses = 0
  sendsAfterClose = 0
  /** The network's own timers: packets under way, sockets being opened. */
  inFlight = 0
  #nextPort = 40000

  constructor(clock: FakeClock, script: Script) {
    this.clock = clock
    this.script = { gateway: router, ...script }
  }

  openDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramEndpoint> {
    if (this.script.openError) return Promise.reject(this.script.openError)
    const local = { ip: options.ip ?? '0.0.0.0', port: this.#nextPort++ }
    const socket = this.#socket()
    return this.#soon(() => ({
      local,
      send: (bytes, to) => this.#send(bytes, local, to, socket, handlers),
      close: () => socket.close(),
    }))
  }

  connectDatagram(
    to: TransportAddress,
    options: { ip?: IpAddress },
    handlers: DatagramHandlers,
  ): Promise<ConnectedDatagramEndpoint> {
    // Hears everybody, unlike a real one: the probe has to look at the source itself.
    const local = { ip: options.ip ?? this.script.routed ?? client, port: this.#nextPort++ }
    const socket = this.#socket()
    return this.#soon(() => ({
      local,
      remote: to,
      send: (bytes) => this.#send(bytes, local, to, socket, handlers),
      close: () => socket.close(),
    }))
  }

  listenStream(): never {
    throw new Error('a diagnosis listens to nobody')
  }

  connectStream(options: StreamOptions, handlers: StreamHandlers): Promise<StreamConnection> {
    this.connections.push(options)
    const answer = this.script.connect?.(options.to) ?? 'accept'
    if (answer === 'refuse') return Promise.reject(new NatcheckError('CONNECTION_REFUSED', 'connection refused'))
    if (answer === 'ignore') {
      return new Promise((_, reject) => {
        this.#after(options.timeoutMs, () => reject(new NatcheckError('TIMEOUT', 'no answer')))
      })
    }
    const socket = this.#socket()
    const local = { ip: options.localIp ?? client, port: this.#nextPort++ }
    let request = ''
    const deliver = (task: () => void): void => {
      this.#after(this.#delay, () => {
        if (socket.open) task()
      })
    }
    return this.#soon(() => ({
      local,
      remote: options.to,
      send: (bytes) => {
        if (!socket.open) this.sendsAfterClose++
        request += new TextDecoder().decode(bytes)
        this.requests.push(request)
        deliver(() =>
          this.script.http?.({
            to: options.to,
            request,
            respond: (answered) => {
              const piece = typeof answered === 'string' ? new TextEncoder().encode(answered) : answered
              deliver(() => handlers.onData(piece))
            },
            close: () => deliver(() => handlers.onClose(undefined)),
          }),
        )
      },
      close: () => socket.close(),
    }))
  }

  resolveHost(): Promise<readonly IpAddress[]> {
    return Promise.reject(new NatcheckError('DNS_FAILED', 'no names here'))
  }

  resolveService(): Promise<readonly ServiceRecord[]> {
    return Promise.reject(new NatcheckError('DNS_FAILED', 'no names here'))
  }

  interfaces(): readonly InterfaceAddress[] {
    return this.script.interfaces ?? [{ name: 'eth0', ip: client, internal: false }]
  }

  defaultGateway(): Promise<IpAddress | undefined> {
    return Promise.resolve(this.script.gateway)
  }

  get #delay(): number {
    return this.script.delayMs ?? 1
  }

  #after(ms: number, task: () => void): void {
    this.inFlight++
    this.clock.schedule(instant(this.clock.now() + ms), () => {
      this.inFlight--
      task()
    })
  }

  /** Opening takes a millisecond, so that a test can cancel meanwhile. */
  #soon<T>(make: () => T): Promise<T> {
    return new Promise((resolve) => this.#after(1, () => resolve(make())))
  }

  #socket(): { open: boolean; close(): void } {
    this.openSockets++
    const socket = {
      open: true,
      close: () => {
        if (socket.open) this.openSockets--
        else this.doubleCloses++
        socket.open = false
      },
    }
    return socket
  }

  #send(
    bytes: Uint8Array,
    from: TransportAddress,
    to: TransportAddress,
    socket: { open: boolean },
    handlers: DatagramHandlers,
  ): void {
    if (!socket.open) this.sendsAfterClose++
    const atMs = this.clock.now() - 1000
    const whenOpen = (ms: number, task: () => void): void => {
      this.#after(ms, () => {
        if (socket.open) task()
      })
    }
    const datagram: SentDatagram = {
      bytes,
      from,
      to,
      atMs,
      reply: (answer, options = {}) =>
        whenOpen(this.#delay + (options.afterMs ?? 0), () => handlers.onDatagram(answer, options.from ?? to)),
      fail: (reason) => whenOpen(this.#delay, () => handlers.onFailure({ to, reason, detail: reason })),
    }
    this.datagrams.push(datagram)
    this.#after(this.#delay, () => this.script.udp?.(datagram))
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A NAT-PMP answer to the external address request. */
export const natPmpAnswer = (ip: readonly number[], result = 0): Uint8Array =>
  new Uint8Array([0, 128, 0, result, 0, 0, 1, 44, ...ip])

/** A PCP answer to ANNOUNCE. */
export const pcpAnswer = (result = 0, version = 2): Uint8Array => {
  const bytes = new Uint8Array(24)
  bytes.set([version, 0x80, 0, result])
  bytes.set([0, 0, 1, 44], 8)
  return bytes
}

export const searchAnswer = (location: string): Uint8Array =>
  bytesOf(
    'HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n' +
      `USN: uuid:1::x\r\nEXT:\r\nSERVER: Test/1 UPnP/1.1\r\nLOCATION: ${location}\r\n\r\n`,
  )

export const description = (
  options: { name?: string; controlUrl?: string; type?: string; urlBase?: string } = {},
): string =>
  '<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0">' +
  (options.urlBase === undefined ? '' : `<URLBase>${options.urlBase}</URLBase>`) +
  '<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>' +
  `<friendlyName>${options.name ?? 'Test Router'}</friendlyName><serviceList><service>` +
  '<serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3f</controlURL></service></serviceList>' +
  '<deviceList><device><friendlyName>WANDevice</friendlyName><deviceList><device><serviceList><service>' +
  `<serviceType>${options.type ?? 'urn:schemas-upnp-org:service:WANIPConnection:1'}</serviceType>` +
  `<controlURL>${options.controlUrl ?? '/ctl/IPConn'}</controlURL></service></serviceList></device></deviceList></device>` +
  '</deviceList></device></root>'

export const soapAnswer = (ip: string): string =>
  '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' +
  '<u:GetExternalIPAddressResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">' +
  `<NewExternalIPAddress>${ip}</NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>`

export const soapFault = (code: string, why: string): string =>
  '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>' +
  `<detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode>` +
  `<errorDescription>${why}</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`

export const httpAnswer = (body: string, status = '200 OK'): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/xml\r\nContent-Length: ${bytesOf(body).length}\r\n\r\n${body}`
