/** A small HTTP server, for metrics and health checks: GET and HEAD, no body, one answer each. */
import { createServer } from 'node:http'
import { familyOf, parseIp, type TransportAddress } from '../core/index.ts'
import { bindError } from './failures.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface HttpListener {
  readonly local: TransportAddress
  /** Also ends open connections. */
  close(): void
}

/** A scraper that says nothing must not hold a connection for long. */
const requestTimeoutMs = 5000
/** More scrapers at once than anybody has. */
const maxConnections = 64

/** Answers by path, without the query; what `answer` doesn't know is 404, what it throws 500. Rejects as `openDatagram` does. */
export async function listenHttp(
  at: TransportAddress,
  answer: (path: string) => Promise<HttpAnswer | undefined>,
): Promise<HttpListener> {
  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      const plain = (status: number, body: string): HttpAnswer => ({
        status,
        contentType: 'text/plain; charset=utf-8',
        body,
      })
      const respond = ({ status, contentType, body }: HttpAnswer): void => {
        response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' })
        response.end(request.method === 'HEAD' ? undefined : body)
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD')
        return respond(plain(405, 'only GET\n'))
      }
      answer((request.url ?? '/').split('?')[0] ?? '/').then(
        (found) => respond(found ?? plain(404, 'not found\n')),
        () => respond(plain(500, 'failed\n')),
      )
    },
  )
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(bindError(error, familyOf(at.ip), at.ip, at.port)))
    server.listen({ host: at.ip, port: at.port, ipv6Only: familyOf(at.ip) === 6 }, resolve)
  })
  server.on('error', () => {})
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : at.port
  const ip = typeof bound === 'object' && bound !== null ? (parseIp(bound.address) ?? at.ip) : at.ip
  return {
    local: { ip, port },
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
