/** The routes, and the state that they share. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Type from 'typebox'
import type { Access } from './access.ts'
import { addCoturnRoutes } from './coturn-routes.ts'
import { ApiError } from './errors.ts'
import { Feed, type FeedEvent } from './feed.ts'
import { HostPeer, loadPeerLibrary } from './host-peer.ts'
import { History } from './history.ts'
import { addHistoryRoutes } from './history-routes.ts'
import { HostChecks } from './host-checks.ts'
import type { CheckedHost, DashboardOptions, DashboardPorts } from './options.ts'
import { RelayWatch } from './relay-watch.ts'
import { Rooms } from './rooms.ts'
import { configSchema, errorSchema, iceServersSchema, roomSchema, sessionSchema } from './schemas.ts'
import { refusals, takeSeat } from './signalling.ts'
import type { Signal } from './signals.ts'

export class DashboardState {
  readonly options: DashboardOptions
  readonly ports: DashboardPorts
  readonly rooms: Rooms<Signal>
  readonly relay: RelayWatch | undefined
  readonly host: HostChecks | undefined
  readonly feed: Feed
  readonly history: History

  constructor(ports: DashboardPorts, options: DashboardOptions) {
    this.options = options
    this.ports = ports
    this.rooms = new Rooms(ports.clock, ports.random)
    this.feed = new Feed((readers) => this.relay?.watch(readers > 0))
    const { relay, hostCheck } = options
    this.relay = relay && new RelayWatch(relay, ports.clock, (data) => this.feed.publish({ event: 'relay', data }))
    this.history = new History(options.dataDirectory, (message) => options.onLog?.(message))
    const keep = (checked: CheckedHost): void =>
      this.history.add(ports.clock.wallTime(), ports.random.bytes(4), checked)
    this.host = hostCheck && new HostChecks(hostCheck, (event, data) => this.feed.publish({ event, data }), keep)
  }

  /** What somebody who comes now has to know. */
  get first(): FeedEvent[] {
    return [
      ...(this.relay ? [{ event: 'relay-history', data: this.relay.samples }] : []),
      ...(this.host ? [{ event: 'host', data: this.host.state }] : []),
    ]
  }

  async close(): Promise<void> {
    this.relay?.watch(false)
    this.host?.stop()
    this.feed.close()
    this.rooms.close()
  }
}

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** A whole company may sit behind one address; what they hold open is bounded by the rooms. */
const socketsPerMinute = 3000
/** Guessing a token is what this is for. */
const signInsPerMinute = 10

export function addApi(api: Api, state: DashboardState, access: Access): void {
  const { options } = state
  const failures = { '4xx': errorSchema, '5xx': errorSchema }

  api.get('/api/docs', { schema: { hide: true } }, () => api.swagger())

  api.post(
    '/api/session',
    {
      config: { rateLimit: { max: signInsPerMinute, timeWindow: 60_000 } },
      schema: { body: sessionSchema, response: { 204: Type.Null(), ...failures } },
    },
    async (request, reply) => {
      const cookie = access.cookieFor(request.body.token)
      if (cookie === undefined) throw new ApiError(401, 'this is not the token of this dashboard')
      return await reply.header('set-cookie', cookie).code(204).send(null)
    },
  )

  api.get('/api/config', { schema: { response: { 200: configSchema, ...failures } } }, async () => ({
    host: state.host !== undefined,
    relay: state.relay !== undefined,
    peer: (await loadPeerLibrary()) !== undefined,
  }))

  api.get('/api/ice-servers', { schema: { response: { 200: iceServersSchema, ...failures } } }, (_, reply) => {
    void reply.header('cache-control', 'no-store')
    return { iceServers: options.iceServers().map((server) => ({ ...server, urls: [...server.urls] })) }
  })

  api.post('/api/rooms', { schema: { response: { 201: roomSchema, ...failures } } }, async (_, reply) => {
    const room = state.rooms.create()
    if (room === undefined) throw new ApiError(503, 'there are too many rooms', 'leave some, and try again')
    return await reply.code(201).send({ room })
  })

  api.post(
    '/api/rooms/host',
    { schema: { body: roomSchema, response: { 201: roomSchema, ...failures } } },
    async (request, reply) => {
      const { room } = request.body
      const library = await loadPeerLibrary()
      if (!library)
        throw new ApiError(501, 'this host lacks a package', 'npm install node-datachannel, and start it again')
      const peer = new HostPeer(library, state.rooms, room, options.iceServers)
      const others = state.rooms.join(room, peer)
      if (typeof others === 'string') throw new ApiError(others === 'full' ? 409 : 404, refusals[others])
      for (const other of others) other.send({ type: 'peer-joined', peer: 'host' })
      return await reply.code(201).send({ room })
    },
  )

  api.post(
    '/api/host/check',
    { schema: { response: { 202: Type.Object({ started: Type.Boolean() }), ...failures } } },
    async (_, reply) => {
      if (!state.host) throw new ApiError(404, 'this dashboard has no check-up of its host')
      return await reply.code(202).send({ started: state.host.start() })
    },
  )

  addHistoryRoutes(api, state.history, failures)
  addCoturnRoutes(api, failures)

  api.get(
    '/api/live',
    { schema: { description: 'Server-sent events: relay, relay-history, host, host-progress.' } },
    (_, reply) => {
      if (state.feed.isFull) throw new ApiError(503, 'too many pages watch this dashboard', 'close some')
      reply.hijack()
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
      })
      state.feed.add(reply.raw, state.first)
    },
  )

  const config = { rateLimit: { max: socketsPerMinute, timeWindow: 60_000 } }
  api.get('/api/signal', { websocket: true, config, schema: { hide: true } }, (socket) => {
    takeSeat(socket, { rooms: state.rooms, clock: state.ports.clock, iceServers: options.iceServers })
  })
}
