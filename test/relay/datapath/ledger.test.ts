import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../../src/lab/index.ts'
import { outcome, Rig } from '../../proto/turn-server/rig.ts'
import { ledgerMemory, SharedLedger } from '../../../src/relay/datapath/ledger.ts'

describe('quotas over several threads', () => {
  test('two servers share one limit for a user and one in all', () => {
    const memory = ledgerMemory()
    const [one, two] = [0, 1].map(() => new Rig({ userQuota: 2, totalQuota: 3, ledger: new SharedLedger(memory) }))
    if (!one || !two) throw new Error('no servers')
    const first = one.client()
    expect(outcome(first.allocate())).toBe('success')
    expect(outcome(two.client().allocate())).toBe('success')
    expect(outcome(one.client().allocate())).toBe(486)
    expect(outcome(two.client({ username: 'bob' }).allocate())).toBe('success')
    expect(outcome(one.client({ username: 'bob' }).allocate())).toBe(486)
    first.refresh(0)
    expect(outcome(two.client({ username: 'bob' }).allocate())).toBe('success')
    one.pass(4000)
    two.pass(4000)
    expect(new SharedLedger(memory).total).toBe(0)
  })
})

describe('a ledger of several threads', () => {
  test('each sees what the others have allocated', () => {
    const memory = ledgerMemory()
    const [one, two] = [new SharedLedger(memory), new SharedLedger(memory)]
    one.add('alice')
    two.add('alice')
    two.add('bob')
    one.add('')
    expect([one.countOf('alice'), two.countOf('bob'), two.countOf(''), one.countOf('carol'), two.total]).toEqual([
      2, 1, 1, 0, 4,
    ])
    one.remove('alice')
    expect([two.countOf('alice'), two.total]).toEqual([1, 3])
  })

  test('names that come and go leave no trace, however many', () => {
    const ledger = new SharedLedger(ledgerMemory(64))
    const random = new SeededRandom(1)
    const expected = new Map<string, number>()
    for (let i = 0; i < 5000; i++) {
      const name = expected.size < 20 ? `user ${i}` : [...expected.keys()][random.integer(0, expected.size - 1)]
      if (name === undefined) continue
      const count = expected.get(name) ?? 0
      if (count > 0 && random.integer(0, 2) > 0) {
        ledger.remove(name)
        if (count === 1) expected.delete(name)
        else expected.set(name, count - 1)
      } else {
        ledger.add(name)
        expected.set(name, count + 1)
      }
    }
    for (const [name, count] of expected) expect(ledger.countOf(name)).toBe(count)
    expect(ledger.total).toBe([...expected.values()].reduce((a, b) => a + b, 0))
  })
})
