/** coturn in Docker and Kubernetes: what `docker run` or a deployment says next to the file. */
import type { Conf } from '../../conf.ts'
import type { Observations, ObservedContainer } from '../observations.ts'
import type { Rule } from '../rule.ts'
import { sample } from '../problems.ts'

/** One docker-proxy process runs for each published port; beyond these a host has neither memory nor patience. */
const manyPorts = 1000

function containerOf(conf: Conf, { container }: Observations): ObservedContainer | undefined {
  return container ?? (conf.command?.container ? { platform: 'docker', ...conf.command.container } : undefined)
}

/** In Docker, with a network of its own. */
function bridged(conf: Conf, observed: Observations): ObservedContainer | undefined {
  const container = containerOf(conf, observed)
  return container?.platform === 'docker' && container.hostNetwork !== true ? container : undefined
}

const sizeOf = ({ min, max }: { min: number; max: number }): number => max - min + 1

export const containerRules: readonly Rule[] = [
  {
    id: 'docker-ports',
    severity: 'error',
    why: 'Relayed ports that are not published under the same numbers can’t be reached: calls connect and stay silent.',
    fix: 'publish exactly min-port to max-port over UDP (-p 49152-49251:49152-49251/udp), or use --network host',
    reference: 'docs.docker.com, published ports',
    *check(conf, observed) {
      const container = bridged(conf, observed)
      if (!container || !conf.relays) return
      const [min, max] = [conf.port('min-port'), conf.port('max-port')]
      const isSame = (container.published ?? []).some(
        (ports) => ports.protocol === 'udp' && ports.min === ports.inside && ports.min <= min && ports.max >= max,
      )
      if (!isSame)
        yield {
          at: conf.first('max-port', 'min-port'),
          message: `UDP ports ${min}-${max} are not published as they are`,
        }
    },
    bad: sample('min-port=49152\nmax-port=49251\n', { command: 'docker run -p 3478:3478/udp coturn/coturn' }),
    good: sample('min-port=49152\nmax-port=49251\n', {
      command: 'docker run -p 49152-49251:49152-49251/udp coturn/coturn',
    }),
  },
  {
    id: 'docker-many-ports',
    severity: 'warning',
    why: 'Docker starts one docker-proxy process for each published port: starting takes minutes and gigabytes.',
    fix: 'use --network host, or a range of a few hundred ports',
    reference: 'docs.docker.com, userland proxy',
    *check(conf, observed) {
      const large = bridged(conf, observed)?.published?.find((ports) => sizeOf(ports) > manyPorts)
      if (large) yield { message: `${sizeOf(large)} ports are published one by one` }
    },
    bad: sample('', { command: 'docker run -p 49152-65535:49152-65535/udp coturn/coturn' }),
    good: sample('', { command: 'docker run --network host coturn/coturn' }),
  },
  {
    id: 'docker-listener',
    severity: 'error',
    why: 'Without /udp Docker publishes TCP only, and clients never reach the listener over UDP.',
    fix: 'add -p 3478:3478/udp',
    reference: 'docs.docker.com, published ports',
    *check(conf, observed) {
      const container = bridged(conf, observed)
      const port = conf.port('listening-port')
      const published = container?.published ?? []
      const isUdp = published.some(
        (ports) => ports.protocol === 'udp' && port >= ports.inside && port < ports.inside + sizeOf(ports),
      )
      if (container && published.length > 0 && !isUdp && !conf.isOn('no-udp'))
        yield { message: `UDP port ${port} is not published` }
    },
    bad: sample('', { command: 'docker run -p 3478:3478 coturn/coturn' }),
    good: sample('', { command: 'docker run -p 3478:3478 -p 3478:3478/udp coturn/coturn' }),
  },
  {
    id: 'docker-eval',
    severity: 'error',
    why: 'The entrypoint of the image evaluates each argument in a shell: $ and backticks in a secret are expanded, or run.',
    fix: 'put the value in a file, or use letters and digits only',
    reference: 'coturn docker-entrypoint.sh',
    *check(conf, observed) {
      if (containerOf(conf, observed)?.platform !== 'docker') return
      const risky = conf.command?.words.find(
        (word) => /[`$]/.test(word) && !/^--?[\w-]+=\$\(detect-external-ip\)$/.test(word),
      )
      const name = risky?.startsWith('-') ? ` ${risky.split('=')[0]?.slice(0, 40)}` : ''
      if (risky !== undefined) yield { message: `the shell evaluates the argument${name}` }
    },
    bad: sample('', { command: "docker run --network host coturn/coturn --cli-password='$5$abc'" }),
    good: sample('', { command: "docker run --network host coturn/coturn --external-ip='$(detect-external-ip)'" }),
  },
  {
    id: 'kubernetes-network',
    severity: 'error',
    why: 'Load balancers and Services map single ports, not the range that relayed addresses need.',
    fix: 'hostNetwork: true in a DaemonSet, one pod a node',
    reference: 'kubernetes.io, Service',
    *check(_conf, { container }) {
      if (container?.platform === 'kubernetes' && container.hostNetwork !== true)
        yield { message: 'the pod does not use the network of its node' }
    },
    bad: sample('', { observed: { container: { platform: 'kubernetes', hostNetwork: false } } }),
    good: sample('', { observed: { container: { platform: 'kubernetes', hostNetwork: true } } }),
  },
  {
    id: 'container-external-ip',
    severity: 'warning',
    why: 'In a network of its own a container knows only its private address, and tells it to clients.',
    fix: 'set external-ip to the public address of the host',
    reference: 'turnserver(1), external-ip',
    *check(conf, observed) {
      if (bridged(conf, observed) && conf.relays && !conf.has('external-ip'))
        yield { message: 'a bridged container without external-ip' }
    },
    bad: sample('', { command: 'docker run -p 3478:3478/udp coturn/coturn' }),
    good: sample('external-ip=203.0.113.10\n', { command: 'docker run -p 3478:3478/udp coturn/coturn' }),
  },
]
