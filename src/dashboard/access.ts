/**
 * Who may ask. On loopback everybody on this machine may, but no page of somebody else: neither by a name that resolves
 * to 127.0.0.1 (DNS rebinding), nor by a request across origins. Anywhere else a token is demanded.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseIp, scopeOf } from '../core/index.ts'
import { ApiError } from './errors.ts'

const cookieName = 'natcheck'

/** Stays signed in for a working day. */
const sessionSeconds = 43_200

/** Reached without a token: signalling guests come with a room's code, which is as good as one. */
const open = new Set(['/api/session', '/api/signal'])

export class Access {
  readonly #token: string | undefined
  readonly #secure: boolean
  /** What the cookie holds is made of the token, and worth nothing after a restart. */
  readonly #key = randomBytes(32)

  constructor(token: string | undefined, secure: boolean) {
    this.#token = token
    this.#secure = secure
  }

  /** Checks every request to the API. The page itself is no secret. */
  guard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request) => {
      this.#checkHost(request)
      const path = request.url.split('?')[0] ?? ''
      if (!path.startsWith('/api/')) return
      const writes = request.method !== 'GET' && request.method !== 'HEAD'
      if (writes || request.headers.upgrade !== undefined) checkOrigin(request)
      if (!open.has(path) && !this.permits(request)) {
        throw new ApiError(401, 'this dashboard needs its token', 'open the URL that natcheck printed when it started')
      }
    })
  }

  permits({ headers }: FastifyRequest): boolean {
    if (this.#token === undefined) return true
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
    if (bearer !== undefined) return this.#same(bearer, this.#token)
    const cookie = new RegExp(`(?:^|; )${cookieName}=([^;]*)`).exec(headers.cookie ?? '')?.[1]
    return cookie !== undefined && this.#same(cookie, this.#session(this.#token))
  }

  /** The cookie for whoever shows the token; undefined: it is not the one. */
  cookieFor(token: string): string | undefined {
    if (this.#token === undefined || !this.#same(token, this.#token)) return undefined
    const secure = this.#secure ? '; Secure' : ''
    return `${cookieName}=${this.#session(this.#token)}; Path=/; Max-Age=${sessionSeconds}; HttpOnly; SameSite=Strict${secure}`
  }

  #session(token: string): string {
    return createHmac('sha256', this.#key).update(token).digest('base64url')
  }

  /** Digests have one length, so that neither length nor content shows in the time it takes. */
  #same(left: string, right: string): boolean {
    const digest = (text: string): Buffer => createHmac('sha256', this.#key).update(text).digest()
    return timingSafeEqual(digest(left), digest(right))
  }

  #checkHost({ headers }: FastifyRequest): void {
    if (this.#token !== undefined || isLoopbackHost(headers.host ?? '')) return
    throw new ApiError(403, 'this dashboard is asked for by a name that is not its own', 'open it as http://127.0.0.1')
  }
}

/** Browsers send Origin with everything that writes and with WebSockets; programs send none. */
function checkOrigin({ headers, protocol }: FastifyRequest): void {
  const { origin, host } = headers
  if (origin === undefined || origin === `${protocol}://${host ?? ''}`) return
  throw new ApiError(403, 'the request comes from a page of another origin', 'open the dashboard itself')
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  const ip = parseIp(name)
  return ip !== undefined && scopeOf(ip) === 'loopback'
}
