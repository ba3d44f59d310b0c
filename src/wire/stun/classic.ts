/** Attributes of RFC 3489, reserved since RFC 5389 but spoken by servers that answer classic NAT tests. */
import type { TransportAddress } from '../../core/index.ts'
import { addressCodec, xorAddressCodec } from './addresses.ts'
import { type AttributeCodec, bytesCodec } from './attribute.ts'

/** RESPONSE-ADDRESS: where to send the response. Lets servers be used to hit others: never honoured. RFC 3489 §11.2.2 */
export const responseAddress: AttributeCodec<TransportAddress> = addressCodec('RESPONSE-ADDRESS', 0x0002)

/** SOURCE-ADDRESS: where the response was sent from; RFC 5780's RESPONSE-ORIGIN. RFC 3489 §11.2.5 */
export const sourceAddress: AttributeCodec<TransportAddress> = addressCodec('SOURCE-ADDRESS', 0x0004)

/** CHANGED-ADDRESS: the server's other IP with its other port; RFC 5780's OTHER-ADDRESS. RFC 3489 §11.2.3 */
export const changedAddress: AttributeCodec<TransportAddress> = addressCodec('CHANGED-ADDRESS', 0x0005)

/** PASSWORD: handed out in Shared Secret responses. RFC 3489 §11.2.7 */
export const password: AttributeCodec<Uint8Array> = bytesCodec('PASSWORD', 0x0007)

/** REFLECTED-FROM: who asked for a response to a RESPONSE-ADDRESS. RFC 3489 §11.2.11 */
export const reflectedFrom: AttributeCodec<TransportAddress> = addressCodec('REFLECTED-FROM', 0x000b)

/** XOR-MAPPED-ADDRESS under the number of draft-ietf-behave-rfc3489bis-02, as Vovida's server sends it. */
export const draftXorMappedAddress: AttributeCodec<TransportAddress> = xorAddressCodec(
  'XOR-MAPPED-ADDRESS (draft)',
  0x8020,
)
