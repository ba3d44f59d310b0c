/** A command line, `turnserver -v --realm=x …`, read as getopt_long reads it for coturn. */
import { findOption, findShort, optionNames } from './options/table.ts'
import { isFlag, isKnownIn, type OptionSpec } from './options/spec.ts'
import type { CoturnVersion } from './version.ts'

export interface CommandSetting {
  /** As it was written: `--realm`, `-r`. */
  readonly written: string
  /** Absent: coturn knows no such option, prints its help and ends. */
  readonly spec: OptionSpec | undefined
  readonly value: string
}

/** What `docker run` says about the container. */
export interface ContainerCommand {
  readonly hostNetwork: boolean
  /** `udp` 3478, or a range: the ports of `-p`. */
  readonly published: readonly PublishedPorts[]
}

export interface PublishedPorts {
  readonly protocol: 'tcp' | 'udp'
  /** On the host. */
  readonly min: number
  readonly max: number
  /** In the container, where they begin. */
  readonly inside: number
}

export interface CommandLine {
  readonly settings: readonly CommandSetting[]
  /** The file of -c. */
  readonly file: string | undefined
  /** -n: no file is read. */
  readonly noFile: boolean
  /** Words that are no option: coturn complains and goes on. */
  readonly strays: readonly string[]
  readonly container: ContainerCommand | undefined
  /** The words of turnserver itself, as the shell would hand them over. */
  readonly words: readonly string[]
}

/** Reads what stands behind the program's name. A leading `docker run … IMAGE` is taken apart first. */
export function parseCommand(text: string, version: CoturnVersion): CommandLine {
  const words = shellWords(text)
  const isDocker = /(?:^|\/)(?:docker|podman)$/.test(words[0] ?? '')
  const { container, rest } = isDocker ? readDocker(words.slice(1)) : { container: undefined, rest: words }
  const args = /(?:^|\/)turnserver$/.test(rest[0] ?? '') ? rest.slice(1) : rest
  return { ...readOptions(args, version), container, words: args }
}

/** The words as sh parts them: quotes and backslashes, nothing expanded. */
export function shellWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (const [token] of text.matchAll(/\\[^]|'[^']*'?|"(?:\\[^]|[^"\\])*"?|\s+|[^\\'"\s]+|\\$/g)) {
    if (/^\s/.test(token) || token === '\\\n') {
      if (word !== undefined && token !== '\\\n') {
        words.push(word)
        word = undefined
      }
    } else word = (word ?? '') + unescaped(token)
  }
  return word === undefined ? words : [...words, word]
}

function unescaped(token: string): string {
  if (token.startsWith("'")) return token.replace(/^'|'$/g, '')
  if (token.startsWith('"')) return token.replace(/^"|"$/g, '').replace(/\\(["\\$`])/g, '$1')
  return token.startsWith('\\') ? token.slice(1) : token
}

type Options = Omit<CommandLine, 'container' | 'words'>

function readOptions(args: readonly string[], version: CoturnVersion): Options {
  const settings: CommandSetting[] = []
  const strays: string[] = []
  let file: string | undefined
  let noFile = false
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? ''
    const next = (): string => args[++i] ?? ''
    if (word === '--') {
      strays.push(...args.slice(i + 1))
      break
    }
    if (word.startsWith('--')) settings.push(readLong(word, next, version))
    else if (word.startsWith('-') && word !== '-') {
      for (const [letter, value] of letters(word, next)) {
        if (letter === 'c') file = value
        else if (letter === 'n') noFile = true
        else settings.push({ written: `-${letter}`, spec: findShort(letter), value })
      }
    } else strays.push(word)
  }
  return { settings, strays, file, noFile }
}

/** Before the equals sign a unique beginning of a name is enough. */
function readLong(word: string, next: () => string, version: CoturnVersion): CommandSetting {
  const equals = word.indexOf('=')
  const name = word.slice(2, equals < 0 ? undefined : equals)
  const known = optionNames.filter((each) => {
    const spec = findOption(each)
    return spec !== undefined && isKnownIn(spec, version)
  })
  const begun = known.filter((each) => each.startsWith(name))
  const spec = findOption(known.includes(name) || begun.length !== 1 ? name : (begun[0] ?? name))
  const written = `--${name}`
  if (equals >= 0) return { written, spec, value: word.slice(equals + 1) }
  // An optional value stands only behind an equals sign.
  const takesNext = spec !== undefined && !isFlag(spec) && spec.optional !== true
  return { written, spec, value: takesNext ? next() : '' }
}

/** `-vo` is two flags; `-r realm` and `-rrealm` are one option. */
function letters(word: string, next: () => string): [string, string][] {
  const result: [string, string][] = []
  for (let i = 1; i < word.length; i++) {
    const letter = word[i] ?? ''
    const spec = findShort(letter)
    // -K takes a value on the command line, though it is a flag.
    const takesValue = letter === 'c' || letter === 'K' || (spec !== undefined && !isFlag(spec))
    if (!takesValue) result.push([letter, ''])
    else {
      result.push([letter, word.slice(i + 1) || next()])
      break
    }
  }
  return result
}

/** Options of `docker run` that take a value as the next word, as far as people start coturn with them. */
const dockerValues =
  /^(?:-[a-z]*[pveulhmw]|--(?:publish|volume|env|env-file|user|name|label|hostname|network|net|restart|memory|cpus|mount|entrypoint|workdir|ip|platform|log-driver|log-opt|ulimit|cap-add|cap-drop|sysctl|tmpfs|pull))$/

function readDocker(words: readonly string[]): { container: ContainerCommand; rest: string[] } {
  const published: PublishedPorts[] = []
  let hostNetwork = false
  let i = words[0] === 'run' ? 1 : words[0] === 'container' ? 2 : 0
  for (; i < words.length && (words[i] ?? '').startsWith('-'); i++) {
    const word = words[i] ?? ''
    const [flag, inline] = word.startsWith('--') ? split(word, '=') : [word, undefined]
    const value = inline ?? (dockerValues.test(flag) ? (words[++i] ?? '') : '')
    if (/^(?:-[a-z]*p|--publish)$/.test(flag)) published.push(...publishedPorts(value))
    if (/^--net(?:work)?$/.test(flag) && value === 'host') hostNetwork = true
  }
  // The image comes first, then what goes to its entrypoint.
  return { container: { hostNetwork, published }, rest: words.slice(i + 1) }
}

function split(word: string, by: string): [string, string | undefined] {
  const at = word.indexOf(by)
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + by.length)]
}

/** `[IP:]HOST[-HOST]:PORT[-PORT][/udp]`, or a port alone, which gets any port of the host. */
function publishedPorts(text: string): PublishedPorts[] {
  const match = /^(?:.*:)?(\d+)(?:-(\d+))?:(\d+)(?:-\d+)?(?:\/(udp|tcp))?$/.exec(text)
  if (!match) return []
  const min = Number(match[1])
  const protocol = match[4] === 'udp' ? 'udp' : 'tcp'
  return [{ protocol, min, max: Number(match[2] ?? min), inside: Number(match[3]) }]
}
