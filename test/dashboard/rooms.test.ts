/** Rooms: two seats, codes that can't be guessed, and nothing that grows. */
import { expect, test } from 'vitest'
import { type Member, Rooms } from '../../src/dashboard/rooms.ts'
import { SeededRandom, VirtualClock } from '../../src/lab/index.ts'

interface Someone extends Member<string> {
  readonly heard: string[]
}

function someone(): Someone {
  const heard: string[] = []
  return { isHost: false, heard, send: (message) => heard.push(message), left: () => heard.push('left') }
}

const setUp = (): { rooms: Rooms<string>; clock: VirtualClock } => {
  const clock = new VirtualClock()
  return { rooms: new Rooms<string>(clock, new SeededRandom(1)), clock }
}

test('the third finds it full, and may come when one has left', () => {
  const { rooms } = setUp()
  const code = rooms.create() ?? ''
  const [first, second, third] = [someone(), someone(), someone()]
  expect(rooms.join(code, first)).toEqual([])
  expect(rooms.join(code, second)).toEqual([first])
  expect(rooms.join(code, third)).toBe('full')
  rooms.leave(code, first)
  expect(first.heard).toEqual(['left'])
  expect(rooms.join(code, third)).toEqual([second])
  expect(rooms.others(code, third)).toEqual([second])
})

test('nobody leaves twice, or a room that he is not in', () => {
  const { rooms } = setUp()
  const code = rooms.create() ?? ''
  const stranger = someone()
  rooms.leave(code, stranger)
  rooms.leave('elsewhere', stranger)
  expect(stranger.heard).toEqual([])
})

test('an empty room waits for a quarter of an hour; one with somebody in it for as long as it takes', async () => {
  const { rooms, clock } = setUp()
  const [empty, used] = [rooms.create() ?? '', rooms.create() ?? '']
  const member = someone()
  rooms.join(used, member)
  await clock.run(clock.sleep(899_000))
  expect(rooms.join(empty, someone())).toEqual([])
  await clock.run(clock.sleep(3_000_000))
  expect(rooms.others(used, someone())).toEqual([member])
  rooms.leave(used, member)
  await clock.run(clock.sleep(901_000))
  expect(rooms.join(used, someone())).toBe('unknown-room')
})

test('there are a thousand at most, and closing forgets all', () => {
  const { rooms } = setUp()
  const codes = Array.from({ length: 1000 }, () => rooms.create())
  expect(new Set(codes).size).toBe(1000)
  expect(rooms.create()).toBeUndefined()
  const member = someone()
  rooms.join(codes[0] ?? '', member)
  rooms.close()
  expect(member.heard).toEqual(['left'])
  expect(rooms.join(codes[1] ?? '', someone())).toBe('unknown-room')
})
