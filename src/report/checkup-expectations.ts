/** What --expect and --fail-on of the check-up can ask for, and how each came out. */
import { expectations as natExpectations } from './expectations.ts'
import { iceExpectations } from './ice-expectations.ts'
import type { IceReport } from './ice-report.ts'
import type { NatReport } from './nat-report.ts'

export interface AskedFor {
  /** Words that have to come true: those of `natcheck ice`. */
  readonly expect: readonly string[]
  /** Words that must not: those of `natcheck nat`, and those below, such as `no-relay` and `rtt>150`. */
  readonly failOn: readonly string[]
}

export interface CheckedExpectation {
  readonly flag: 'expect' | 'fail-on'
  readonly word: string
  /** What the word says, in words. */
  readonly meaning: string
  readonly ok: boolean
}

export function checkExpectations(nat: NatReport, ice: IceReport, { expect, failOn }: AskedFor): CheckedExpectation[] {
  return [
    ...expect.map((word): CheckedExpectation => {
      const expectation = iceExpectations[word]
      return { flag: 'expect', word, meaning: expectation?.meaning ?? '', ok: expectation?.met(ice) === true }
    }),
    ...failOn.map((word): CheckedExpectation => {
      const condition = conditionOf(word)
      return { flag: 'fail-on', word, meaning: condition?.meaning ?? '', ok: condition?.holds(nat, ice) !== true }
    }),
  ]
}

/** Can --fail-on ask for it? */
export const isCondition = (word: string): boolean => conditionOf(word) !== undefined

interface Condition {
  readonly meaning: string
  holds(nat: NatReport, ice: IceReport): boolean
}

const plain: Readonly<Record<string, Condition>> = {
  ...Object.fromEntries(
    Object.entries(natExpectations).map(([word, expectation]): [string, Condition] => [
      word,
      { meaning: expectation.meaning, holds: (nat) => expectation.failed(nat) },
    ]),
  ),
  'no-relay': { meaning: 'no relay could be had', holds: (_, ice) => iceExpectations['relay']?.met(ice) !== true },
  'no-srflx': {
    meaning: 'no server told the address that it sees',
    // Where nothing translates, that is a host candidate's, and no other is made of it.
    holds: (_, { servers }) => servers.every(({ mapped }) => mapped === null),
  },
  'no-udp': {
    meaning: 'no server answers over UDP',
    holds: ({ servers }, ice) =>
      !servers.some(({ ok }) => ok) && !ice.servers.some((each) => each.transport === 'udp' && each.rttMs !== null),
  },
  'not-proven': {
    meaning: 'an address that a server gave was not reached',
    holds: (_, { reachability }) => reachability.some(({ result }) => result !== 'proven'),
  },
}

/** Those with a bound: what is too much of it, or too little. */
interface Measure {
  /** `>`: the bound must not be exceeded; `<`: it must be reached. */
  readonly sign: '>' | '<'
  readonly unit: string
  readonly meaning: string
  /** All that was measured; empty: nothing was, which fails nothing. */
  values(ice: IceReport): readonly number[]
}

const known = (values: readonly (number | null)[]): readonly number[] => values.filter((value) => value !== null)

const millisecondsOfADay = 86_400_000

const measures: Readonly<Record<string, Measure>> = {
  rtt: {
    sign: '>',
    unit: 'ms',
    meaning: 'a round trip to a server or through a relay takes longer than',
    values: ({ servers, reachability }) => known([...servers, ...reachability].map(({ rttMs }) => rttMs)),
  },
  loss: {
    sign: '>',
    unit: '%',
    meaning: 'of the packets to a proven address more are lost than',
    values: ({ reachability }) =>
      known(reachability.map(({ loss, result }) => (loss === null || result !== 'proven' ? null : 100 * loss))),
  },
  certificate: {
    sign: '<',
    unit: 'days',
    meaning: "a server's certificate is valid for less than",
    values: ({ startedAt, servers }) =>
      servers.flatMap(({ tls }) =>
        tls === null ? [] : [(Date.parse(tls.validTo) - Date.parse(startedAt)) / millisecondsOfADay],
      ),
  },
}

/** The words without a bound, and the forms of those with one: for help and for errors. */
export const conditionWords: readonly string[] = [
  ...Object.keys(plain),
  ...Object.entries(measures).map(([name, { sign, unit }]) => `${name}${sign}${unit.toUpperCase()}`),
]

function conditionOf(word: string): Condition | undefined {
  if (Object.hasOwn(plain, word)) return plain[word]
  const [, name = '', sign, digits] = /^([a-z]+)([<>])(\d{1,6}(?:\.\d{1,3})?)$/.exec(word) ?? []
  const measure = Object.hasOwn(measures, name) ? measures[name] : undefined
  if (measure?.sign !== sign || measure === undefined) return undefined
  const bound = Number(digits)
  return {
    meaning: `${measure.meaning} ${bound} ${measure.unit}`,
    holds: (_, ice) => measure.values(ice).some((value) => (sign === '>' ? value > bound : value < bound)),
  }
}
