/** The web dashboard: a server (Fastify) and the page it serves (web/). */
export * from './options.ts'
export { embeddedRelay, type RelaySource, type RelayView } from './relay-view.ts'
export { startDashboard } from './server.ts'
export { prometheusRelay } from './prometheus.ts'
