/** The settings of the check-up: those of `natcheck ice`, and what of them the NAT is measured with. */
import { nearest } from '../../core/index.ts'
import { conditionWords, isCondition } from '../../report/index.ts'
import { uriProtocol } from '../../wire/uri.ts'
import { type IceSettings, iceSettingsFrom } from '../ice/settings.ts'
import { type CliIo, usage } from '../io.ts'
import { publicServers } from '../nat/public-servers.ts'
import { type NatSettings, readNatOptions } from '../nat/settings.ts'
import type { Sources } from '../sources.ts'
import { parseServerUri } from '../../wire/uri.ts'

export interface CheckupSettings {
  /** undefined: none of the servers is asked over UDP. */
  readonly nat: NatSettings | undefined
  readonly ice: IceSettings
  readonly failOn: readonly string[]
}

/** Rejects with USAGE, BAD_URI, BAD_FILE or BAD_ADDRESS. */
export async function readCheckupSettings(from: Sources, readStdin: CliIo['readStdin']): Promise<CheckupSettings> {
  const ice = await iceSettingsFrom(from, readStdin)
  return { nat: natSettings(from, ice), ice, failOn: from.list('failOn', readCondition) ?? [] }
}

/** Minutes of waiting and packets that raise alarms are for those who ask for them: `natcheck nat`. */
const optIns = { hairpin: false, lifetime: false, fragments: false, ports: false } as const

function natSettings(from: Sources, { servers, serversFrom }: IceSettings): NatSettings | undefined {
  const isPublic = serversFrom === 'public'
  const base = { ...readNatOptions(from, isPublic), ...optIns, failOn: [] }
  if (isPublic) return { ...base, servers: publicServers.map((text) => parseServerUri(text)), serversFrom: 'public' }
  const askable = servers.map(({ uri }) => uri).filter((uri) => uriProtocol(uri) === 'udp')
  if (askable.length === 0) return undefined
  const isFlag = from.isFlag('server') || from.isFlag('iceServers')
  return { ...base, servers: askable, serversFrom: isFlag ? 'flag' : 'setting' }
}

function readCondition(word: string, where: string): string {
  if (isCondition(word)) return word
  const meant = nearest(word, conditionWords)
  throw usage(
    `${where}: there is no "${word}"`,
    `${meant ? `did you mean ${meant}? ` : ''}It takes ${conditionWords.join(', ')}`,
  )
}
