/** The dashboard's server: REST, server-sent events and signalling around the parts it is handed. No diagnosis of its own. */
import { fileURLToPath } from 'node:url'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import serveStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { familyOf, formatAddress, NatcheckError, scopeOf, type TransportAddress } from '../core/index.ts'
import { bindError } from '../transport/failures.ts'
import { Access } from './access.ts'
import { addApi, DashboardState } from './api.ts'
import { ApiError } from './errors.ts'
import type { Dashboard, DashboardOptions, DashboardPorts } from './options.ts'
import { longestMessage } from './signals.ts'

/** Room for a pasted turnserver.conf or a report. */
const longestBody = 1_000_000
/** A page asks a dozen times; somebody who clicks through everything, a few dozen. */
const requestsPerMinute = 600
const shortestToken = 16

export type DashboardApp = FastifyInstance

/** The application without a socket of its own, for `inject`. Throws USAGE where a token is missing. */
export async function createDashboardApp(ports: DashboardPorts, options: DashboardOptions): Promise<DashboardApp> {
  checkToken(options)
  const { certificate, token, webRoot = fileURLToPath(new URL('web/', import.meta.url)) } = options
  const settings = {
    bodyLimit: longestBody,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    // Guards the event loop: longer paths are nobody's.
    routerOptions: { maxParamLength: 100 },
  }
  const app: FastifyInstance = certificate ? Fastify({ ...settings, https: certificate }) : Fastify(settings)
  const typed = app.setValidatorCompiler(TypeBoxValidatorCompiler).withTypeProvider<TypeBoxTypeProvider>()
  const access = new Access(token, certificate !== undefined)
  app.setErrorHandler((error: FastifyError | ApiError, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) options.onLog?.(`internal error: ${error.message}`)
    const message = status >= 500 && !(error instanceof ApiError) ? 'internal error: see the log' : error.message
    return reply.code(status).send({ error: message, fix: error instanceof ApiError ? error.fix : null })
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'there is nothing here', fix: null }))
  await app.register(helmet, helmetOptions(certificate !== undefined))
  await app.register(rateLimit, { max: requestsPerMinute, timeWindow: 60_000 })
  access.guard(app)
  // An upgrade that was refused is answered like any request, but nobody else would close its socket.
  app.addHook('onResponse', async (request) => {
    if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon()
  })
  await app.register(swagger, { openapi: { info: { title: 'natcheck dashboard', version: '1' } } })
  await app.register(websocket, { options: { maxPayload: longestMessage } })
  await app.register(serveStatic, { root: webRoot, index: 'index.html', maxAge: '1h', immutable: false })
  const state = new DashboardState(ports, options)
  app.addHook('preClose', () => state.close())
  await typed.register(async (scope) => addApi(scope.withTypeProvider<TypeBoxTypeProvider>(), state, access))
  await app.ready()
  return app
}

/** Rejects with USAGE without the token that its address demands, and as `openDatagram` does where it can't be had. */
export async function startDashboard(ports: DashboardPorts, options: DashboardOptions): Promise<Dashboard> {
  const app = await createDashboardApp(ports, options)
  const { ip, port } = options.listen
  try {
    await app.listen({ host: ip, port })
  } catch (error) {
    await app.close()
    throw bindError(error, familyOf(ip), ip, port)
  }
  app.server.on('error', (error) => options.onLog?.(error.message))
  const bound = app.server.address()
  const local: TransportAddress = { ip, port: typeof bound === 'object' && bound !== null ? bound.port : port }
  const scheme = options.certificate ? 'https' : 'http'
  return { local, url: `${scheme}://${formatAddress(local)}/`, close: () => app.close() }
}

function checkToken({ listen, token }: DashboardOptions): void {
  if (token === undefined && scopeOf(listen.ip) !== 'loopback') {
    throw new NatcheckError('USAGE', `a dashboard on ${listen.ip} without a token is open to everybody`, {
      fix: 'give it a token',
    })
  }
  if (token !== undefined && Buffer.byteLength(token) < shortestToken) {
    throw new NatcheckError('USAGE', `the token is shorter than ${shortestToken} bytes`, {
      fix: 'take a longer one: openssl rand -base64 24',
    })
  }
}

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
function helmetOptions(isSecure: boolean): Parameters<typeof helmet>[1] & object {
  return {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
      },
    },
    strictTransportSecurity: isSecure,
    referrerPolicy: { policy: 'no-referrer' },
  }
}
