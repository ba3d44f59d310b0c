import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeExternalAddressResponse,
  encodeExternalAddressRequest,
} from '../../../../src/probe/nat/port-mapping/nat-pmp.ts'
import { decodeAnnounceResponse, encodeAnnounceRequest } from '../../../../src/probe/nat/port-mapping/pcp.ts'
import { natPmpAnswer, pcpAnswer } from './fake-network.ts'

describe('NAT-PMP external address (RFC 6886 §3.2)', () => {
  it('asks with two zero bytes', () => {
    expect(encodeExternalAddressRequest()).toEqual(new Uint8Array([0, 0]))
  })

  it('reads the address and the epoch', () => {
    expect(decodeExternalAddressResponse(natPmpAnswer([100, 64, 3, 4]))).toEqual({
      outcome: 'answered',
      externalIp: '100.64.3.4',
      epochSeconds: 300,
    })
  })

  it('takes 0.0.0.0 for no address', () => {
    const answer = decodeExternalAddressResponse(natPmpAnswer([0, 0, 0, 0]))
    expect(answer.outcome).toBe('answered')
    expect(answer.externalIp).toBeUndefined()
  })

  it.each([
    [1, 'unsupported', 'UNSUPP_VERSION'],
    [2, 'refused', 'NOT_AUTHORIZED'],
    [3, 'answered', 'NETWORK_FAILURE'],
    [4, 'refused', 'OUT_OF_RESOURCES'],
    [5, 'unsupported', 'UNSUPP_OPCODE'],
    [77, 'refused', 'result code 77'],
  ])('names result %i: %s', (result, outcome, name) => {
    const answer = decodeExternalAddressResponse(natPmpAnswer([0, 0, 0, 0], result))
    expect(answer.outcome).toBe(outcome)
    expect(answer.detail).toContain(name)
    expect(answer.externalIp).toBeUndefined()
    expect(decodeExternalAddressResponse(natPmpAnswer([], result)).outcome).toBe(outcome)
  })

  it('recognises a PCP-only router by its version', () => {
    expect(decodeExternalAddressResponse(pcpAnswer(1))).toMatchObject({
      outcome: 'unsupported',
      detail: 'the router speaks PCP version 2 and no NAT-PMP',
    })
  })

  it.each([
    ['empty', []],
    ['our own request', [0, 0]],
    ['a request of full length', [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]],
    ['another opcode', [0, 129, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]],
    ['a success without its address', [0, 128, 0, 0, 0, 0, 0, 0]],
    ['a success that is too long', [0, 128, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]],
    ['another version', [7, 128, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]],
  ])('calls %s malformed', (_, bytes) => {
    expect(decodeExternalAddressResponse(new Uint8Array(bytes)).outcome).toBe('malformed')
  })
})

describe('PCP ANNOUNCE (RFC 6887 §14.1)', () => {
  it('asks with lifetime 0 and the client address, IPv4-mapped', () => {
    const bytes = encodeAnnounceRequest('192.168.1.20')
    expect([...bytes]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 20])
  })

  it('takes success for presence, never for an address', () => {
    const answer = decodeAnnounceResponse(pcpAnswer())
    expect(answer).toMatchObject({ outcome: 'answered', epochSeconds: 300 })
    expect(answer.externalIp).toBeUndefined()
  })

  it.each([
    [1, 'unsupported', 'UNSUPP_VERSION'],
    [2, 'refused', 'NOT_AUTHORIZED'],
    [4, 'answered', 'UNSUPP_OPCODE'],
    [12, 'refused', 'ADDRESS_MISMATCH'],
    [99, 'refused', 'result code 99'],
  ])('names result %i: %s', (result, outcome, name) => {
    expect(decodeAnnounceResponse(pcpAnswer(result))).toMatchObject({ outcome })
    expect(decodeAnnounceResponse(pcpAnswer(result)).detail).toContain(name)
  })

  it('recognises a NAT-PMP-only router and an older PCP by their versions', () => {
    const natPmpOnly = decodeAnnounceResponse(new Uint8Array([0, 128, 0, 1, 0, 0, 0, 9]))
    expect(natPmpOnly).toEqual({ outcome: 'unsupported', detail: 'the router speaks NAT-PMP and no PCP' })
    expect(decodeAnnounceResponse(pcpAnswer(1, 1))).toMatchObject({ outcome: 'unsupported' })
  })

  it.each([
    ['empty', new Uint8Array()],
    ['short', pcpAnswer().slice(0, 20)],
    ['no multiple of four', new Uint8Array([...pcpAnswer(), 0])],
    ['too long', new Uint8Array([...pcpAnswer(), ...new Uint8Array(1100)])],
    ['a request', encodeAnnounceRequest('192.168.1.20')],
    ['another opcode', new Uint8Array([2, 0x81, 0, 0, ...new Uint8Array(20)])],
    ['an unasked version that succeeds', pcpAnswer(0, 3)],
    ['a NAT-PMP success', natPmpAnswer([1, 2, 3, 4])],
  ])('calls %s malformed', (_, bytes) => {
    expect(decodeAnnounceResponse(bytes).outcome).toBe('malformed')
  })
})

describe('any bytes', () => {
  const outcomes = ['answered', 'unsupported', 'refused', 'malformed']

  it('give an answer, never an exception, and an address only from 12 bytes of NAT-PMP success', () => {
    const prefixed = fc
      .tuple(fc.constantFrom([0, 128], [2, 128], [0, 128, 0, 0], []), fc.uint8Array({ maxLength: 40 }))
      .map(([prefix, tail]) => new Uint8Array([...prefix, ...tail]))
    fc.assert(
      fc.property(prefixed, (bytes) => {
        const natPmp = decodeExternalAddressResponse(bytes)
        expect(outcomes).toContain(natPmp.outcome)
        expect(natPmp.externalIp === undefined || (bytes.length === 12 && natPmp.outcome === 'answered')).toBe(true)
        const pcp = decodeAnnounceResponse(bytes)
        expect(outcomes).toContain(pcp.outcome)
        expect(pcp.externalIp).toBeUndefined()
      }),
      { numRuns: 3000, seed: 5351 },
    )
  })
})
