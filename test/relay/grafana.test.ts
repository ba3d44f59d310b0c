/** deploy/grafana asks for metrics that the relay has, by labels that they have. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseMetrics } from '../../src/dashboard/prometheus.ts'
import { relayMetrics } from '../../src/relay/metrics.ts'

const file = new URL('../../deploy/grafana/natcheck-relay.json', import.meta.url)

interface Board {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}

test('every expression names metrics and labels of a relay', async () => {
  const metrics = relayMetrics({
    engine: 'native',
    datapath: 'dgram',
    draining: false,
    certificateValidTo: new Date(0),
    stats: () =>
      Promise.resolve({
        allocations: 1,
        permissions: 1,
        channels: 1,
        undelivered: 1,
        toPeer: { packets: 1, bytes: 1, refused: 1 },
        toClient: { packets: 1, bytes: 1, refused: 1 },
        allocationsCreated: { udp: 1 },
        allocationsEnded: { expired: 1 },
        responses: { 'Allocate 401': 1 },
        drops: { 'peer no-permission': 1 },
        authFailures: { 'wrong-password': 1 } as never,
        relayFailures: { timeout: 1 },
      }),
  })
  const samples = parseMetrics(await metrics.text())
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as Board
  expect(panels.length).toBeGreaterThan(8)
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const name = /natcheck_relay_\w+/.exec(expr)?.[0] ?? ''
      const labels = /by \(([\w, ]+)\)/.exec(expr)?.[1]?.split(', ') ?? []
      const known = samples.find((sample) => sample.name === name)?.labels
      expect([title, name, known !== undefined]).toEqual([title, name, true])
      for (const label of labels) expect([title, label === 'instance' || label in (known ?? {})]).toEqual([title, true])
    }
  }
})
