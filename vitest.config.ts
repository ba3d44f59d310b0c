import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * The tiers, cheapest first. `npm test` runs all of them; a tier that this machine can't run says why.
 *   unit     pure and virtual: no privileges, no network beyond loopback, under 30 s in all
 *   sweep    seeded sweeps over the virtual network and mutations of packets
 *   kernel   network namespaces made by the test: real NATs, real ICMP (needs root, iproute2, nftables)
 *   interop  real peers, such as coturn, and the command as a process of its own
 *
 * One tier starts when the one before it is done (groupOrder): the sweeps use every core, which is fine in virtual
 * time, but would make the packets of the kernel tier late. Kernel and interop run one file at a time for that reason, and
 * a test of theirs that fails is run once more: real time on a busy machine stretches beyond what any test can foresee.
 * The reporter names each test that needed it.
 */
export default defineConfig({
  test: {
    reporters: ['default', ...(process.env['GITHUB_ACTIONS'] ? ['github-actions'] : []), './test/reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{sweep,kernel,interop}.test.ts'],
          setupFiles: ['test/setup.ts'],
          testTimeout: 20_000,
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'sweep',
          include: ['test/**/*.sweep.test.ts'],
          setupFiles: ['test/setup.ts'],
          testTimeout: 600_000,
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/**/*.kernel.test.ts'],
          retry: 1,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/**/*.interop.test.ts'],
          retry: 1,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})
