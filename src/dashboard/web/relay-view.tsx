/** View 5: the relay at work. */
import type { JSX } from 'preact'
import { explainGatheringError } from '../../report/gathering-error.ts'
import type { RelayView as RelayCounters } from '../relay-view.ts'
import type { RelaySample } from '../relay-watch.ts'
import { Chart } from './chart.tsx'
import { bitRate } from './connection-view.tsx'
import { Facts, Note, Panel } from './parts.tsx'

const plotSeconds = 120
const whole = (value: number): string => Math.round(value).toLocaleString('en')

export function RelayView(props: {
  readonly samples: readonly RelaySample[]
  readonly isWatched: boolean
}): JSX.Element {
  const { samples, isWatched } = props
  if (!isWatched) {
    return (
      <Note tone="idle">
        No relay is watched here. <code>natcheck up</code> runs one, and <code>natcheck dashboard --relay URL</code>{' '}
        watches coturn or <code>natcheck relay</code> by its Prometheus endpoint.
      </Note>
    )
  }
  const last = samples.at(-1)
  const known = samples.findLast((sample) => sample.ok)
  return (
    <>
      {last && !last.ok && <Note tone="bad">{last.message}</Note>}
      {known?.ok ? <Counters relay={known.relay} samples={samples} /> : !last && <p>Asking the relay …</p>}
    </>
  )
}

/** Per second, from one sample to the next; null where one is missing, or the relay has begun anew. */
function rates(samples: readonly RelaySample[], read: (relay: RelayCounters) => number): readonly (number | null)[] {
  return samples.map((sample, index) => {
    const before = samples[index - 1]
    if (!sample.ok || !before?.ok) return null
    const change = read(sample.relay) - read(before.relay)
    return change < 0 ? null : (change * 1000) / Math.max(1, sample.at - before.at)
  })
}

const levels = (samples: readonly RelaySample[], read: (relay: RelayCounters) => number): readonly (number | null)[] =>
  samples.map((sample) => (sample.ok ? read(sample.relay) : null))

function Counters(props: { readonly relay: RelayCounters; readonly samples: readonly RelaySample[] }): JSX.Element {
  const { relay, samples } = props
  const count = (value: number | null): string => (value === null ? 'not told' : whole(value))
  return (
    <>
      <Panel title="Now">
        <Facts
          items={[
            ['Engine', relay.engine],
            ['Allocations', <span data-counter="allocations">{count(relay.allocations)}</span>],
            ['Permissions', count(relay.permissions)],
            ['Channels', count(relay.channels)],
            ['Packets to peers', <span data-counter="to-peer">{count(relay.toPeer.packets)}</span>],
            ['Packets to clients', <span data-counter="to-client">{count(relay.toClient.packets)}</span>],
            ['Refused by a cap', count(relay.refused)],
            ['Bytes in all', whole(relay.toPeer.bytes + relay.toClient.bytes)],
          ]}
        />
        {relay.source === 'coturn' && (
          <p class="hint">
            coturn counts the traffic of an allocation when it ends, and tells nothing of errors by code.
          </p>
        )}
      </Panel>
      <Panel title="The last two minutes">
        <div class="columns">
          <Chart
            title="Packets per second"
            length={plotSeconds}
            format={whole}
            series={[
              { name: 'to peers', values: rates(samples, ({ toPeer }) => toPeer.packets) },
              { name: 'to clients', values: rates(samples, ({ toClient }) => toClient.packets) },
            ]}
          />
          <Chart
            title="Payload"
            length={plotSeconds}
            format={bitRate}
            series={[
              { name: 'to peers', values: rates(samples, ({ toPeer }) => toPeer.bytes * 8) },
              { name: 'to clients', values: rates(samples, ({ toClient }) => toClient.bytes * 8) },
            ]}
          />
          <Chart
            title="Allocations"
            length={plotSeconds}
            format={whole}
            series={[{ name: 'alive', values: levels(samples, ({ allocations }) => allocations) }]}
          />
        </div>
      </Panel>
      <Failures relay={relay} />
    </>
  )
}

interface Failure {
  readonly what: string
  readonly count: number
  readonly why: string
}

function failuresOf({ responses, authFailures, relayFailures, drops }: RelayCounters): readonly Failure[] {
  const errors = Object.entries(responses ?? {}).flatMap(([key, count = 0]): Failure[] => {
    const [method = '', code = ''] = key.split(' ')
    if (code === '0') return []
    // Every client's first request: RFC 8489 §9.2.
    const why =
      code === '401'
        ? 'the first request of each client, which comes without credentials; or a wrong password'
        : explainGatheringError(Number(code), '', '').message
    return [{ what: `${method} ${code}`, count, why }]
  })
  const named = (kind: string, counts: Readonly<Partial<Record<string, number>>> | null): readonly Failure[] =>
    Object.entries(counts ?? {}).map(([name, count = 0]) => ({ what: kind, count, why: name.replaceAll('-', ' ') }))
  return [
    ...errors,
    ...named('credentials refused', authFailures),
    ...named('no relayed address', relayFailures),
    ...named('packet dropped', drops),
  ]
}

function Failures(props: { readonly relay: RelayCounters }): JSX.Element {
  const failures = failuresOf(props.relay)
  return (
    <Panel title="Errors and what was dropped">
      {failures.length === 0 ? (
        <p>None so far.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Errors">
          <table>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col" class="number">
                  Count
                </th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {failures.map(({ what, count, why }) => (
                <tr key={`${what} ${why}`}>
                  <td>{what}</td>
                  <td class="number">{whole(count)}</td>
                  <td>{why}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  )
}
