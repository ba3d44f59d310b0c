import { defineConfig } from 'vitest/config'

/**
 * The tiers, cheapest first. `npm test` runs all of them; a tier that this machine can't run says why.
 *   unit     pure and virtual: no privileges, no network beyond loopback, under 30 s in all
 *   sweep    seeded sweeps over the virtual network and mutations of packets
 *   kernel   network namespaces made by the test: real NATs, real ICMP (needs root, iproute2, nftables)
 *   interop  real peers, such as coturn
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{sweep,kernel,interop}.test.ts'],
          testTimeout: 20_000,
        },
      },
      { test: { name: 'sweep', include: ['test/**/*.sweep.test.ts'], testTimeout: 600_000 } },
      {
        test: {
          name: 'kernel',
          include: ['test/**/*.kernel.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/**/*.interop.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
