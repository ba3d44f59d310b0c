/** View 3: the path, drawn with the addresses that were observed: what goes directly, and what through the relay. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { PathHop } from '../../report/path.ts'
import { isHidden } from './candidate.ts'
import type { GatheringState } from './gathering.ts'
import type { HostRun } from './live.ts'
import { Note, Panel } from './parts.tsx'
import { urlsOf } from './waterfall.tsx'

export function PathView(props: { readonly browser: GatheringState | null; readonly host: HostRun }): JSX.Element {
  const { browser, host } = props
  return (
    <>
      <Panel title="From this browser">
        {browser ? <PathDrawing path={browserPath(browser)} /> : <p>Gathering …</p>}
      </Panel>
      <Panel title="From the host">
        {host.report && host.report.path.length > 0 ? (
          <PathDrawing path={hostPath(host.report.path, host.report.ice.candidates)} />
        ) : (
          <Note tone="idle">
            {host.report ? 'No server answered the host, so there is no path to draw.' : 'Not checked yet: '}
            {!host.report && <a href="#host">check this host</a>}
          </Note>
        )}
      </Panel>
    </>
  )
}

interface Node {
  readonly name: string
  readonly lines: readonly string[]
}

interface Path {
  /** From you towards the peer. */
  readonly hops: readonly Node[]
  /** null: no relay was asked for. */
  readonly relay: Node | null
  readonly isDirect: boolean
  readonly isRelayed: boolean
}

const most = 3
const shorten = (lines: readonly string[]): readonly string[] => {
  const all = [...new Set(lines)].filter((line) => line !== '')
  return all.length > most ? [...all.slice(0, most - 1), `and ${all.length - most + 1} more`] : all
}

function browserPath({ candidates, iceServers }: GatheringState): Path {
  const of = (type: string): GatheringState['candidates'] => candidates.filter((candidate) => candidate.type === type)
  const hosts = of('host').map((candidate) => (isHidden(candidate) ? 'hidden (mDNS)' : candidate.address))
  const own = new Set(of('host').map(({ address }) => address))
  const mapped = of('srflx').map(({ address }) => address)
  const isTranslated = mapped.some((address) => !own.has(address))
  const asksRelay = urlsOf(iceServers).some((url) => url.startsWith('turn'))
  return {
    hops: [
      { name: 'This browser', lines: shorten(hosts) },
      ...(isTranslated ? [{ name: 'As STUN sees it', lines: shorten(mapped) }] : []),
      { name: 'Internet', lines: [] },
    ],
    relay: asksRelay ? { name: 'TURN relay', lines: shorten(of('relay').map(({ address }) => address)) } : null,
    isDirect: hosts.length + mapped.length > 0,
    isRelayed: of('relay').length > 0,
  }
}

function hostPath(
  path: readonly PathHop[],
  candidates: readonly { readonly type: string; readonly ip: string }[],
): Path {
  const relayed = candidates.filter(({ type }) => type === 'relay').map(({ ip }) => ip)
  const turn = path.find(({ kind }) => kind === 'turn')
  const way = path.filter(({ kind }) => kind !== 'turn' && kind !== 'stun')
  return {
    hops: way.map(({ name, kind, addresses }) => ({
      name: kind === 'host' ? 'This host' : name,
      lines: shorten(addresses),
    })),
    relay: turn ? { name: 'TURN relay', lines: shorten(relayed.length > 0 ? relayed : turn.addresses) } : null,
    isDirect: candidates.some(({ type }) => type === 'srflx' || type === 'host'),
    isRelayed: relayed.length > 0,
  }
}

const box = { width: 168, height: 84 }
const gap = 54

/** In a row where there is room for it, else from top to bottom. */
function PathDrawing(props: { readonly path: Path }): JSX.Element {
  const { hops, relay, isDirect, isRelayed } = props.path
  const isNarrow = useNarrow()
  const nodes = [...hops, { name: 'Peer', lines: [] }]
  const last = nodes.length - 1
  const at = (index: number, isAside = false): { readonly x: number; readonly y: number } => {
    const step = isNarrow ? box.height + gap : box.width + gap
    const aside = isAside ? (isNarrow ? box.width + 44 : box.height + 40) : 0
    return isNarrow ? { x: aside, y: index * step } : { x: index * step, y: aside }
  }
  const before = at(last - 1)
  const relayAt = relay && at(last - 0.5, true)
  const peer = at(last)
  const right = Math.max(peer.x, relayAt?.x ?? 0) + box.width
  const bottom = Math.max(peer.y, relayAt?.y ?? 0) + box.height
  const words = [
    ...hops.map(({ name, lines }) => [name, ...lines].join(' ')),
    relay && (isRelayed ? `relayed by ${relay.lines.join(', ')}` : 'the relay gives no address'),
    isDirect ? 'a direct way can be offered' : 'no direct way',
  ]
  return (
    <figure class="path">
      <svg
        viewBox={`-4 -4 ${right + 8} ${bottom + 8}`}
        role="img"
        aria-label={words.filter((word) => word !== null).join(', then ')}
        class={isNarrow ? 'path-narrow' : undefined}
      >
        {nodes.slice(1).map((node, index) => {
          const style = index === last - 1 ? (isDirect ? 'direct' : 'missing') : 'direct'
          return <Leg key={node.name} from={at(index)} to={at(index + 1)} style={style} />
        })}
        {relayAt && <Leg from={before} to={relayAt} style={isRelayed ? 'relayed' : 'missing'} />}
        {relayAt && <Leg from={relayAt} to={peer} style={isRelayed ? 'relayed' : 'missing'} />}
        {nodes.map((node, index) => (
          <Box key={node.name} node={node} {...at(index)} />
        ))}
        {relay && relayAt && <Box node={relay} {...relayAt} />}
      </svg>
      <figcaption class="legend">
        {(['direct', 'relayed', 'missing'] as const).map((style) => (
          <span key={style}>
            <svg width="34" height="8" aria-hidden="true">
              <path class={`leg ${style}`} d="M0 4H34" />
            </svg>{' '}
            {style === 'missing' ? 'no way found' : style}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

interface Place {
  readonly x: number
  readonly y: number
}

/** From middle to middle: the boxes cover the ends. */
const Leg = (props: { readonly from: Place; readonly to: Place; readonly style: string }): JSX.Element => (
  <line
    class={`leg ${props.style}`}
    x1={props.from.x + box.width / 2}
    y1={props.from.y + box.height / 2}
    x2={props.to.x + box.width / 2}
    y2={props.to.y + box.height / 2}
  />
)

const Box = (props: Place & { readonly node: Node }): JSX.Element => (
  <g class="hop" transform={`translate(${props.x} ${props.y})`}>
    <rect width={box.width} height={box.height} rx="8" />
    <text class="hop-name" x="12" y="24">
      {props.node.name}
    </text>
    {props.node.lines.map((line, index) => (
      <text key={line} class="muted" x="12" y={43 + index * 16}>
        {line.length > 24 ? `${line.slice(0, 23)}…` : line}
        <title>{line}</title>
      </text>
    ))}
  </g>
)

function useNarrow(): boolean {
  const query = '(max-width: 820px)'
  const [isNarrow, setNarrow] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const media = matchMedia(query)
    const look = (): void => setNarrow(media.matches)
    media.addEventListener('change', look)
    return () => media.removeEventListener('change', look)
  }, [])
  return isNarrow
}
