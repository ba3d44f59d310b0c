/** What peers and the dashboard say to each other over the signalling WebSocket: one JSON object a message. */
import Type, { type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { PageIceServer } from './options.ts'

/** Longer than any SDP with data channels alone. */
export const longestMessage = 65_536

const closed = { additionalProperties: false }
const text = (maxLength: number): ReturnType<typeof Type.String> => Type.String({ maxLength })

const clientSchema: TSchema = Type.Union([
  Type.Object({ type: Type.Literal('join'), room: text(64) }, closed),
  Type.Object({ type: Type.Literal('leave') }, closed),
  Type.Object({ type: Type.Union([Type.Literal('offer'), Type.Literal('answer')]), sdp: text(60_000) }, closed),
  Type.Object(
    {
      type: Type.Literal('candidate'),
      // null or empty: end of candidates. W3C WebRTC §4.4.1.7
      candidate: Type.Union([text(2000), Type.Null()]),
      sdpMid: Type.Optional(Type.Union([text(64), Type.Null()])),
      sdpMLineIndex: Type.Optional(Type.Union([Type.Integer({ minimum: 0, maximum: 255 }), Type.Null()])),
    },
    closed,
  ),
])

/** Passed on from one peer to the other as it is. */
export type PeerSignal =
  | { readonly type: 'offer' | 'answer'; readonly sdp: string }
  | {
      readonly type: 'candidate'
      readonly candidate: string | null
      readonly sdpMid?: string | null
      readonly sdpMLineIndex?: number | null
    }

/** What the dashboard says. */
export type RoomSignal =
  /** RFC 8445 leaves open who begins; the one who came second is polite: perfect negotiation, W3C WebRTC §10.7. */
  | {
      readonly type: 'joined'
      readonly polite: boolean
      /** null: nobody is there yet. */
      readonly peer: PeerKind | null
      readonly iceServers: readonly PageIceServer[]
    }
  | { readonly type: 'peer-joined'; readonly peer: PeerKind }
  | { readonly type: 'peer-left' }
  | {
      readonly type: 'refused'
      readonly why: 'unknown-room' | 'full' | 'bad-message' | 'too-fast'
      readonly message: string
    }

export type PeerKind = 'browser' | 'host'

export type Signal = PeerSignal | RoomSignal

const client = Compile(clientSchema)

export type ClientSignal = { readonly type: 'join'; readonly room: string } | { readonly type: 'leave' } | PeerSignal

/** undefined: it is none of ours. */
export function readSignal(message: string): ClientSignal | undefined {
  let value: unknown
  try {
    value = JSON.parse(message)
  } catch {
    return undefined
  }
  return client.Check(value) ? (value as ClientSignal) : undefined
}
