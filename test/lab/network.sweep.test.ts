/** Every NAT on every line, many seeds: the lab keeps its promises end to end and stays fast enough to sweep with. */
import { expect, test } from 'vitest'
import type { FilteringBehavior, MappingBehavior, TransportAddress } from '../../src/core/index.ts'
import { formatAddress } from '../../src/core/index.ts'
import { homeAddresses, homeNetwork, mappingsAndFilterings } from '../../src/lab/index.ts'
import { at, bytes, text } from './helpers.ts'

const SEEDS = 100
const LOSSES = [0, 0.05, 0.2]
const ROUNDS = 25
/** Some 200 packets × 500 seeds × 9 NATs × 3 losses have to take less than two minutes, for sweeps to stay affordable. */
const BUDGET_MS = (120_000 * SEEDS) / 500

const [primary, alternate] = homeAddresses.servers
const destinations = [at(primary, 3478), at(primary, 3479), at(alternate, 3478), at(alternate, 3479)]

interface Seen {
  /** By destination index: the mapped addresses it saw. */
  readonly mapped: readonly Set<string>[]
  /** Which server sockets got unasked packets through the mapping made for the first. */
  readonly admitted: ReadonlySet<number>
}

/** One client writes to one server socket and hears from all four; then a second one writes to all four. */
async function observe(
  seed: number,
  mapping: MappingBehavior,
  filtering: FilteringBehavior,
  loss: number,
): Promise<Seen> {
  const portAssignment = (['preserve', 'sequential', 'random', 'parity'] as const)[seed % 4] ?? 'preserve'
  const behavior = { mapping, filtering, portAssignment }
  const { clock, client, server } = homeNetwork({ seed, behavior, loss, jitter: 0.5, rttMs: 40 })
  const mapped = destinations.map(() => new Set<string>())
  const admitted = new Set<number>()
  const servers = await Promise.all(
    destinations.map((local, index) =>
      server.network.openDatagram(
        { family: 4, ...local },
        {
          onDatagram: (payload, from) => {
            if (text(payload) === 'map') mapped[index]?.add(formatAddress(from))
            else for (const [other, endpoint] of servers.entries()) endpoint.send(bytes(`${other}`), from)
          },
          onFailure: () => {},
        },
      ),
    ),
  )
  const onDatagram = (payload: Uint8Array): void => void admitted.add(Number(text(payload)))
  const filterSocket = await client.network.openDatagram({ family: 4 }, { onDatagram, onFailure: () => {} })
  const mapSocket = await client.network.openDatagram({ family: 4 }, { onDatagram: () => {}, onFailure: () => {} })
  await clock.run(
    (async () => {
      for (let round = 0; round < ROUNDS; round++) {
        filterSocket.send(bytes('open'), destinations[0] as TransportAddress)
        for (const destination of destinations) mapSocket.send(bytes('map'), destination)
        await clock.sleep(10)
      }
      await clock.sleep(100)
    })(),
  )
  return { mapped, admitted }
}

const expectedAdmitted = {
  'endpoint-independent': [0, 1, 2, 3],
  'address-dependent': [0, 1],
  'address-and-port-dependent': [0],
}

/** Which destinations share an external address, as the index of the first that has it. */
const expectedGroups = {
  'endpoint-independent': [0, 0, 0, 0],
  'address-dependent': [0, 0, 2, 2],
  'address-and-port-dependent': [0, 1, 2, 3],
}

test(`${SEEDS} seeds × 9 NATs × 3 losses behave as asked, and fast enough to sweep`, async () => {
  const start = performance.now()
  const wrong: string[] = []
  for (const [mapping, filtering] of mappingsAndFilterings) {
    for (const loss of LOSSES) {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { mapped, admitted } = await observe(seed, mapping, filtering, loss)
        const addresses = mapped.map((set) => [...set].join(' or '))
        const groups = addresses.map((address) => addresses.indexOf(address))
        const seen = `groups ${groups.join()}, admitted ${[...admitted].toSorted((a, b) => a - b).join()}`
        const asked = `groups ${expectedGroups[mapping].join()}, admitted ${expectedAdmitted[filtering].join()}`
        if (seen !== asked) wrong.push(`${mapping}/${filtering} loss ${loss} seed ${seed}: ${seen}`)
        if (addresses.some((address) => address.includes(' or ')))
          wrong.push(`${seed}: a mapping changed: ${addresses.join()}`)
      }
    }
  }
  expect(wrong).toEqual([])
  expect(performance.now() - start).toBeLessThan(BUDGET_MS)
})
