import { describe, expect, it } from 'vitest'
import { RttEstimator } from '../../../src/proto/stun/rtt-estimator.ts'

describe('RttEstimator (RFC 6298)', () => {
  it('begins with 500 ms and no estimate', () => {
    const rtt = new RttEstimator()
    expect(rtt.rto()).toBe(500)
    expect(rtt.srtt).toBeUndefined()
    expect(rtt.rttvar).toBeUndefined()
  })

  it('takes the first sample as the mean and half of it as the variation (§2.2)', () => {
    const rtt = new RttEstimator()
    rtt.sample(100)
    expect([rtt.srtt, rtt.rttvar, rtt.rto()]).toEqual([100, 50, 300])
  })

  it('smooths further samples by 1/8 and 1/4, the variation first (§2.3)', () => {
    const rtt = new RttEstimator()
    rtt.sample(100)
    rtt.sample(180)
    // RTTVAR = 3/4 · 50 + 1/4 · |100 − 180| = 57.5; SRTT = 7/8 · 100 + 1/8 · 180 = 110
    expect([rtt.srtt, rtt.rttvar, rtt.rto()]).toEqual([110, 57.5, 340])
  })

  it('converges on a steady path and keeps to its floor', () => {
    const rtt = new RttEstimator()
    for (let i = 0; i < 100; i++) rtt.sample(0.2)
    expect(rtt.srtt).toBeCloseTo(0.2)
    expect(rtt.rto()).toBe(50)
    const slow = new RttEstimator()
    for (let i = 0; i < 100; i++) slow.sample(200)
    // Once the variation is nothing, the granularity of the clock is left.
    expect(slow.rto()).toBeCloseTo(201)
  })

  it("backs off until the next sample (Karn's rule)", () => {
    const rtt = new RttEstimator()
    rtt.sample(100)
    rtt.backOff()
    expect(rtt.rto()).toBe(600)
    rtt.backOff()
    expect(rtt.rto()).toBe(1200)
    rtt.sample(100)
    expect(rtt.rto()).toBe(250)
  })

  it('stops at the ceiling, from which one sample brings it back', () => {
    const rtt = new RttEstimator({ maximumRtoMs: 3000 })
    for (let i = 0; i < 2000; i++) rtt.backOff()
    expect(rtt.rto()).toBe(3000)
    rtt.sample(10)
    expect(rtt.rto()).toBe(50)
  })

  it('ignores values that are no time', () => {
    const rtt = new RttEstimator()
    for (const bad of [Number.NaN, -1, Infinity]) rtt.sample(bad)
    expect(rtt.srtt).toBeUndefined()
  })
})
