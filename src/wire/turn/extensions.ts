/** Attributes of TURN's extensions: TCP peers, mobility, OAuth, and what Chromium adds. */
import { type AttributeCodec, bytesCodec, uint32Codec } from '../stun/attribute.ts'
import { textCodec } from '../stun/credentials.ts'
import { displayText, utf8 } from '../text.ts'

/** CONNECTION-ID: a TCP connection to a peer. RFC 6062 §6.2.1 */
export const connectionId: AttributeCodec<number> = uint32Codec('CONNECTION-ID', 0x002a)

/** MOBILITY-TICKET: moves an allocation to another client address; empty to ask for one. RFC 8016 §5 */
export const mobilityTicket: AttributeCodec<Uint8Array> = bytesCodec('MOBILITY-TICKET', 0x8030)

/** ACCESS-TOKEN: an OAuth token that only the authorization server and the TURN server can read. RFC 7635 §6.2 */
export const accessToken: AttributeCodec<Uint8Array> = bytesCodec('ACCESS-TOKEN', 0x001b)

/** THIRD-PARTY-AUTHORIZATION: the name the authorization server knows this server by. RFC 7635 §6.1 */
export const thirdPartyAuthorization: AttributeCodec<string> = textCodec('THIRD-PARTY-AUTHORIZATION', 0x802e, 763)

/** LOGGING-ID: an application's tag for the server's logs, sent by libwebrtc; outside the IANA registry. */
export const loggingId: AttributeCodec<string> = {
  name: 'LOGGING-ID',
  type: 0xff05,
  encode: (text, writer) => void writer.bytes(utf8(text)),
  decode: displayText,
}
