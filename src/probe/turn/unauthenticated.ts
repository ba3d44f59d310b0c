/** What anybody gets from the server's UDP port without credentials: how much larger answers are, and RFC 5780. */
import { familyOf, formatAddress } from '../../core/index.ts'
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  get,
  Method,
  newTransactionId,
  otherAddress,
  requestedTransport,
  RequestedTransport,
  responseOrigin,
  type StunMessage,
  transactionKey,
} from '../../wire/index.ts'
import { mappedOf } from '../ice/binding.ts'
import { echoWaitMs } from '../ice/burst.ts'
import { usualRtt, type Subject } from './examination.ts'
import { pause } from './pause.ts'

/** IPv4 and UDP: a victim's line carries them too. */
const headers = 28

/** What RFC 9000 §8.1 allows servers that don't know yet whether an address is forged. */
const mostTimes = 3

/** Of each kind: the network loses one now and then, and delivers another twice. */
const copies = 3

interface Asked {
  readonly name: string
  readonly bytes: Uint8Array
  received: number
  answer: StunMessage | undefined
}

/** Bare requests, sent once each: whatever comes back counts. */
export async function checkUnauthenticated(subject: Subject): Promise<void> {
  const { ports, notes, target, options } = subject
  const { to, attempt } = target
  noteSoftware(subject)
  if (attempt.transport !== 'udp') {
    notes.note('amplification', 'not-tested', 'no forged source can connect over TCP, and its UDP side is not known')
    return notes.note('behavior-discovery', 'not-tested', 'RFC 5780 is about UDP')
  }
  const ask = (name: string, method: number, attributes: readonly EncodableAttribute[]): Asked => {
    const message = { class: 'request', method, transactionId: newTransactionId(ports.random), attributes } as const
    return { name, bytes: encodeMessage(message), received: 0, answer: undefined }
  }
  const binding = (): Asked => ask('Binding', Method.binding, [])
  const allocate = (): Asked =>
    ask('Allocate', Method.allocate, [attribute(requestedTransport, RequestedTransport.udp)])
  // Who asks for no credentials would make an allocation of the other one.
  const kinds = subject.session.challenge ? [binding, allocate] : [binding]
  const asked = kinds.flatMap((kind) => Array.from({ length: copies }, kind))
  const byKey = new Map(asked.map((each) => [keyOf(each.bytes), each]))
  const ip = subject.session.local?.ip
  const endpoint = await ports.network.openDatagram(
    { family: familyOf(to.ip), ...(ip !== undefined && { ip }) },
    {
      onDatagram: (bytes, from) => {
        const decoded = from.ip === to.ip ? decodeMessage(bytes) : undefined
        const request = decoded?.ok ? byKey.get(transactionKey(decoded.value.transactionId)) : undefined
        if (!request || !decoded?.ok) return
        request.received += bytes.length + headers
        request.answer ??= decoded.value
      },
      onFailure: () => undefined,
    },
  )
  for (const { bytes } of asked) endpoint.send(bytes, to)
  // Answers that are sent several times are the worst, so all of the time is waited for.
  await pause(ports.clock, echoWaitMs(usualRtt(subject)), options.signal)
  endpoint.close()
  noteAmplification(subject, asked)
  noteDiscovery(subject, asked.find(({ name, answer }) => name === 'Binding' && answer)?.answer)
}

const keyOf = (bytes: Uint8Array): string => transactionKey(bytes.subarray(8, 20))

function noteAmplification({ notes }: Subject, asked: readonly Asked[]): void {
  const answered = asked.filter(({ received }) => received > 0)
  // The least of each kind: more than that was the network's doing.
  const names = [...new Set(answered.map(({ name }) => name))]
  const exchanges = names.map((name) => {
    const ofKind = answered.filter((each) => each.name === name)
    const sent = (ofKind[0]?.bytes.length ?? 0) + headers
    return { name, sent, received: Math.min(...ofKind.map(({ received }) => received)) }
  })
  if (exchanges.length === 0) return notes.note('amplification', 'yes', 'bare requests are not answered')
  const worst = Math.max(...exchanges.map(({ sent, received }) => received / sent))
  const words = exchanges.map(({ name, sent, received }) => `${name} ${sent} → ${received} bytes`)
  const facts = { ratio: Math.round(worst * 100) / 100, exchanges: words }
  const detail = `${words.join(', ')} with headers: ${worst.toFixed(1)} times at most`
  notes.note('amplification', worst > mostTimes ? 'warning' : 'yes', detail, facts)
}

/** RFC 5780 §7: servers that take part say where else they are. */
function noteDiscovery({ notes }: Subject, answer: StunMessage | undefined): void {
  if (!answer || !mappedOf(answer)) {
    return notes.note('behavior-discovery', 'no', answer ? 'Binding is refused' : 'Binding requests are not answered')
  }
  const other = get(answer, otherAddress)
  const origin = get(answer, responseOrigin)
  if (!other) return notes.note('behavior-discovery', 'no', 'no OTHER-ADDRESS: it tells the address, and not the NAT')
  const facts = { other: formatAddress(other), origin: origin ? formatAddress(origin) : null }
  notes.note('behavior-discovery', 'yes', `second address ${formatAddress(other)}`, facts)
}

function noteSoftware({ session, notes }: Subject): void {
  const names = session.observations.flatMap((each) =>
    each.kind === 'request' && each.software ? [each.software] : [],
  )
  const [name] = names
  if (name === undefined) return notes.note('software', 'yes', 'it does not say what it is')
  const version = /\d+\.\d+/.test(name)
  notes.note('software', version ? 'warning' : 'yes', `it tells everybody that it is "${name}"`, { software: name })
}
