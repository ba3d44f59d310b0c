/** Time × server × transport: one row for this browser's own addresses, and one for each way to each server. */
import type { JSX } from 'preact'
import type { Candidate } from './candidate.ts'
import { protocolOf } from './candidate.ts'
import type { GatheringState } from './gathering.ts'
import { milliseconds } from './parts.tsx'

export interface Row {
  readonly name: string
  readonly transport: string
  readonly candidates: readonly Candidate[]
  readonly errors: readonly { readonly atMs: number; readonly code: number }[]
}

/** Browsers write URLs in their own way: `?transport=udp` comes and goes, and so does the default port. */
function sameServer(url: string | null, asked: string): boolean {
  const parts = (text: string): string => {
    const [address = ''] = text.split('?')
    const port = /:\d+$/.test(address)
      ? ''
      : address.startsWith('turns') || address.startsWith('stuns')
        ? ':5349'
        : ':3478'
    return `${address}${port} ${protocolOf(text)}`
  }
  return url !== null && parts(url) === parts(asked)
}

export const urlsOf = (servers: readonly RTCIceServer[]): readonly string[] => servers.flatMap(({ urls }) => urls)

export function rowsOf({ iceServers, candidates, errors }: GatheringState): readonly Row[] {
  const hosts = candidates.filter(({ server }) => server === null)
  const rows = urlsOf(iceServers).map(
    (url): Row => ({
      name: url.replace(/\?.*$/, ''),
      transport: protocolOf(url),
      candidates: candidates.filter(({ server }) => sameServer(server, url)),
      errors: errors.filter((error) => sameServer(error.url, url)),
    }),
  )
  return [{ name: 'this browser', transport: '', candidates: hosts, errors: [] }, ...rows]
}

/** Percents, so that it fits any screen; the margins leave room for marks at the ends. */
const position = (ms: number, scale: number): string => `${2 + (ms / scale) * 96}%`

export function Waterfall(props: { readonly state: GatheringState }): JSX.Element {
  const { state } = props
  const times = [...state.candidates, ...state.errors].map(({ atMs }) => atMs)
  const scale = niceCeiling(Math.max(50, state.completeAtMs ?? 0, ...times))
  return (
    <figure class="waterfall">
      <div role="list" aria-label="Candidates over time">
        {rowsOf(state).map((row) => (
          <Track key={`${row.name} ${row.transport}`} row={row} scale={scale} end={state.completeAtMs} />
        ))}
      </div>
      <div class="track axis" aria-hidden="true">
        <span>milliseconds</span>
        <svg width="100%" height="18">
          {[0, 0.25, 0.5, 0.75, 1].map((part) => (
            <text key={part} class="tick" x={position(part * scale, scale)} y="14" text-anchor="middle">
              {part * scale}
            </text>
          ))}
        </svg>
      </div>
      <figcaption class="legend">
        {markTypes.map((type) => (
          <span key={type}>
            <Shape type={type} /> {type}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

const trackHeight = 26

function Track(props: { readonly row: Row; readonly scale: number; readonly end: number | null }): JSX.Element {
  const { row, scale, end } = props
  const ends = [...row.candidates, ...row.errors].map(({ atMs }) => atMs)
  const last = ends.length > 0 ? Math.max(...ends) : end
  const middle = trackHeight / 2
  const x = (ms: number): string => position(ms, scale)
  return (
    <div class="track" role="listitem">
      <span>
        {row.name}
        {row.transport === '' ? '' : <small> {row.transport}</small>}
      </span>
      <svg width="100%" height={trackHeight} role="img" aria-label={spoken(row)}>
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <line key={part} class="grid" x1={x(part * scale)} x2={x(part * scale)} y1="0" y2={trackHeight} />
        ))}
        {last !== null && <line class="bar" x1={x(0)} x2={x(last)} y1={middle} y2={middle} />}
        {row.candidates.map(({ atMs, type, line }) => (
          <svg key={line} x={x(atMs)} y={middle} overflow="visible">
            <Mark type={type} />
          </svg>
        ))}
        {row.errors.map(({ atMs, code }) => (
          <svg key={`${atMs} ${code}`} x={x(atMs)} y={middle} overflow="visible">
            <Mark type="error" />
          </svg>
        ))}
      </svg>
    </div>
  )
}

function spoken({ candidates, errors }: Row): string {
  const found = candidates.map(({ type, atMs }) => `${type} after ${milliseconds(atMs)}`)
  const failed = errors.map(({ code, atMs }) => `error ${code} after ${milliseconds(atMs)}`)
  return [...found, ...failed].join(', ') || 'nothing yet'
}

const markTypes = ['host', 'srflx', 'prflx', 'relay', 'error'] as const
type MarkType = (typeof markTypes)[number]

/** Each type has a shape of its own, for eyes that don't tell the colours. */
function Mark(props: { readonly type: MarkType }): JSX.Element {
  const shapes: Record<MarkType, JSX.Element> = {
    host: <circle r="5" />,
    srflx: <rect x="-5" y="-5" width="10" height="10" />,
    prflx: <path d="M0-6 6 5H-6Z" />,
    relay: <path d="M0-7 7 0 0 7-7 0Z" />,
    error: <path d="M-5-5 5 5M5-5-5 5" />,
  }
  return <g class={`mark-${props.type}`}>{shapes[props.type]}</g>
}

export function Shape(props: { readonly type: MarkType }): JSX.Element {
  return (
    <svg class="shape" width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true">
      <Mark type={props.type} />
    </svg>
  )
}

/** 1, 2 or 5 times a power of ten. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value
}
