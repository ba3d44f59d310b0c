/** The set-ups that most people need, as the checked-in files under coturn/. */
import { generateConf } from './generate.ts'
import { certificateDirectory, type CoturnPlan } from './plan.ts'

export interface ReferenceFile {
  /** Below coturn/, such as `4.6/public.conf`. */
  readonly path: string
  readonly plan: CoturnPlan
}

const eras = [
  { folder: '4.6', version: '4.6.1' },
  { folder: '4.17', version: '4.17.2' },
] as const

const certificate = { cert: `${certificateDirectory}/fullchain.pem`, key: `${certificateDirectory}/privkey.pem` }

/** Addresses for documentation (RFC 5737, RFC 1918): yours go in their place. */
const base: Omit<CoturnPlan, 'version'> = {
  profile: 'public',
  realm: 'turn.example.org',
  auth: { kind: 'rest' },
  tls: { kind: 'letsencrypt', ...certificate },
  relayIps: [],
  externalIps: [],
  ports: { min: 49_152, max: 65_535 },
  container: false,
}

const setUps: Readonly<Record<string, Partial<CoturnPlan>>> = {
  'public-tls-rest': {},
  'nat-1to1': { relayIps: ['10.0.0.5'], externalIps: [{ external: '203.0.113.10', internal: '10.0.0.5' }] },
  docker: {
    container: true,
    externalIps: [{ external: '203.0.113.10', internal: '172.17.0.2' }],
    ports: { min: 49_152, max: 49_351 },
    tls: { kind: 'files', ...certificate },
  },
  'users-file': { auth: { kind: 'users', users: [] }, tls: { kind: 'none' } },
  'rfc5780-lab': { profile: 'lab', relayIps: ['192.168.77.10', '192.168.77.11'], tls: { kind: 'none' } },
  'redis-fleet': { redis: 'ip=127.0.0.1 dbname=0 port=6379 connect_timeout=30' },
}

export const referenceFiles: readonly ReferenceFile[] = eras.flatMap(({ folder, version }) =>
  Object.entries(setUps).map(([name, change]) => ({
    path: `${folder}/${name}.conf`,
    plan: { ...base, ...change, version },
  })),
)

export const referenceText = ({ plan }: ReferenceFile): string => generateConf(plan)
