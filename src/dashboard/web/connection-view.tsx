/** View 4: a real connection, to another browser by a link or to the host that natcheck runs on. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type Config, errorText, inviteHost, makeRoom } from './api.ts'
import { Chart } from './chart.tsx'
import type { PairEnd } from './pair.ts'
import { Badge, CopyButton, Facts, milliseconds, Note, Panel } from './parts.tsx'
import { keptSamples, Peer, type PeerState } from './peer.ts'

/** Empty: in none. */
export const roomOfHash = (): string => /^#connection\/([\w-]+)$/.exec(location.hash)?.[1] ?? ''

export const bitRate = (bits: number): string =>
  bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${(bits / 1e3).toFixed(0)} kbit/s`

const orDash = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? '–' : format(value)

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

export function ConnectionView(props: {
  readonly config: Config
  /** Instead of the dashboard's own. */
  readonly pasted: readonly RTCIceServer[] | undefined
}): JSX.Element {
  const [room, setRoom] = useState(roomOfHash)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const onHash = (): void => setRoom(roomOfHash())
    addEventListener('hashchange', onHash)
    return () => removeEventListener('hashchange', onHash)
  }, [])
  const enter = async (withHost: boolean): Promise<void> => {
    try {
      const made = await makeRoom()
      location.hash = `#connection/${made}`
      if (withHost) await inviteHost(made)
    } catch (error) {
      setProblem(errorText(error))
    }
  }
  return (
    <>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
      {room === '' ? (
        <Start config={props.config} enter={enter} />
      ) : (
        <Room key={room} room={room} pasted={props.pasted} />
      )}
    </>
  )
}

function Start(props: { readonly config: Config; readonly enter: (withHost: boolean) => Promise<void> }): JSX.Element {
  const { peer } = props.config
  return (
    <div class="columns">
      <Panel title="With another browser">
        <p>Make a room, and open its link in another browser: on this machine, or wherever this page can be reached.</p>
        <button class="primary" type="button" onClick={() => void props.enter(false)}>
          Make a room
        </button>
      </Panel>
      <Panel title="With this host">
        <p>Connect to the machine that natcheck runs on, over UDP.</p>
        {peer ? (
          <button class="primary" type="button" onClick={() => void props.enter(true)}>
            Connect to the host
          </button>
        ) : (
          <Note tone="warn">
            The host needs a package for it: run <code>npm install node-datachannel</code> where natcheck is installed,
            and start natcheck again.
          </Note>
        )}
      </Panel>
    </div>
  )
}

function Room(props: { readonly room: string; readonly pasted: readonly RTCIceServer[] | undefined }): JSX.Element {
  const [state, setState] = useState<PeerState | null>(null)
  const peer = useRef<Peer | null>(null)
  useEffect(() => {
    const joined = new Peer(props.room, props.pasted, setState)
    peer.current = joined
    return () => joined.close()
  }, [props.room])
  if (!state) return <p>Joining …</p>
  const isOpen = state.phase === 'open'
  return (
    <>
      <Phase state={state} />
      <Panel
        title="Connection"
        actions={
          <>
            <label>
              <input
                type="checkbox"
                checked={state.relayOnly}
                onChange={({ currentTarget }) => peer.current?.setRelayOnly(currentTarget.checked)}
              />{' '}
              relay only
            </label>
            <button type="button" disabled={!isOpen} onClick={() => peer.current?.restart()}>
              ICE restart
            </button>
            <button
              type="button"
              disabled={!isOpen || state.isMeasuring}
              onClick={() => peer.current?.measureThroughput()}
            >
              {state.isMeasuring ? 'Measuring …' : 'Measure throughput'}
            </button>
            <a class="button" href="#connection">
              Leave
            </a>
          </>
        }
      >
        <PairFacts state={state} />
        <Plots state={state} />
      </Panel>
    </>
  )
}

function Phase(props: { readonly state: PeerState }): JSX.Element {
  const { phase, problem, pair } = props.state
  if (problem !== null) return <Note tone="bad">{problem}</Note>
  if (phase === 'waiting') {
    const link = location.href
    return (
      <Note tone="idle">
        <p>Waiting for the other side. Open this link in another browser:</p>
        <p>
          <a href={link} target="_blank" rel="noreferrer" data-room-link>
            <code>{link}</code>
          </a>{' '}
          <CopyButton text={() => link}>Copy link</CopyButton>
        </p>
      </Note>
    )
  }
  if (phase !== 'open') return <Note tone="idle">Connecting …</Note>
  if (!pair) return <Note tone="good">Connected.</Note>
  return <Note tone="good">{pair.isRelayed ? 'Connected through a relay.' : 'Connected directly.'}</Note>
}

const describeEnd = ({ type, protocol, relayProtocol, address }: PairEnd): string =>
  [
    type,
    relayProtocol === null ? protocol : `${protocol}, relay by ${relayProtocol}`,
    address || 'hidden by the browser',
  ].join(' · ')

function PairFacts(props: { readonly state: PeerState }): JSX.Element {
  const { pair, samples, ice, connection, restarts } = props.state
  const last = samples.at(-1)
  return (
    <Facts
      items={[
        ['ICE connection', ice],
        ['Connection', connection],
        ['Way', pair ? <Badge tone="good">{pair.isRelayed ? 'relayed' : 'direct'}</Badge> : '–'],
        ['Local candidate', <span data-end="local">{pair ? describeEnd(pair.local) : '–'}</span>],
        ['Remote candidate', <span data-end="remote">{pair ? describeEnd(pair.remote) : '–'}</span>],
        ['Round trip', orDash(last?.rttMs, milliseconds)],
        ['Loss', orDash(last?.loss, percent)],
        ['ICE restarts', String(restarts)],
      ]}
    />
  )
}

function Plots(props: { readonly state: PeerState }): JSX.Element {
  const { samples } = props.state
  return (
    <div class="columns">
      <Chart
        title="Round trip"
        length={keptSamples}
        format={milliseconds}
        series={[{ name: 'probes', values: samples.map(({ rttMs }) => rttMs) }]}
      />
      <Chart
        title="Loss"
        length={keptSamples}
        format={percent}
        series={[{ name: 'last ten seconds', values: samples.map(({ loss }) => loss) }]}
      />
      <Chart
        title="Throughput"
        length={keptSamples}
        format={bitRate}
        series={[{ name: 'to the peer', values: samples.map(({ bitsPerSecond }) => bitsPerSecond) }]}
      />
    </div>
  )
}
