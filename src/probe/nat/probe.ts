/** The NAT probe of all families at once. */
import { type AddressFamily, NatcheckError } from '../../core/index.ts'
import { TransactionBudget } from './budget.ts'
import { Stopwatch } from './exchange.ts'
import { transactionsOfARun } from './family-probe.ts'
import { FamilyRun, type SharedByFamilies } from './family-run.ts'
import type { FamilyObservations } from './observations.ts'
import type { NatProbeOptions, NatProbePorts } from './options.ts'
import { locateServers } from './targets.ts'

/**
 * Probes the NATs in front of this host, one entry a family asked for. What the network does, down to its absence, is
 * an observation. Rejects with BAD_ADDRESS, ADDRESS_IN_USE or PERMISSION_DENIED when the local address or port asked
 * for can't be had, and with USAGE for servers that don't speak UDP.
 */
export async function probeNat(ports: NatProbePorts, options: NatProbeOptions): Promise<readonly FamilyObservations[]> {
  for (const { scheme, host } of options.servers) {
    if (scheme === 'stun' || scheme === 'turn') continue
    throw new NatcheckError(
      'USAGE',
      `${scheme}:${host} is reached by TLS, but a NAT's behaviour is measured over UDP`,
      {
        fix: `give stun:${host}`,
      },
    )
  }
  const shared: SharedByFamilies = { budget: new TransactionBudget(), stopwatch: new Stopwatch(), needs: new Map() }
  if (options.families.includes(4)) shared.needs.set(4, () => transactionsOfARun)
  return Promise.all(options.families.map((family) => probeFamily(ports, options, family, shared)))
}

async function probeFamily(
  ports: NatProbePorts,
  options: NatProbeOptions,
  family: AddressFamily,
  shared: SharedByFamilies,
): Promise<FamilyObservations> {
  const { network } = ports
  const located = await locateServers(network, options.servers, family)
  const run = new FamilyRun(ports, options, family, shared, located)
  try {
    await run.openCompanions()
    if (run.localIp !== null) await run.discover()
    shared.needs.set(family, () => 0)
    if (run.localIp !== null) await run.optIns()
    return run.observations()
  } finally {
    shared.needs.set(family, () => 0)
    run.close()
  }
}
