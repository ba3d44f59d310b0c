/** The commands of `natcheck coturn`, each loaded when it runs. */
import type { ReportError } from '../../report/nat-report.ts'
import type { CliIo, ExitCode } from '../io.ts'
import type { CoturnAction } from './command.ts'

type Flags = Readonly<Record<string, unknown>>

export async function coturnCommand(
  action: CoturnAction,
  target: string | undefined,
  flags: Flags,
  io: CliIo,
): Promise<ExitCode> {
  switch (action) {
    case 'init':
      return (await import('./init.ts')).initCommand(flags, io)
    case 'lint':
      return (await import('./lint.ts')).lintCommand(target, flags, io)
    case 'explain':
      return (await import('./translate.ts')).explainCommand(target, flags, io)
    case 'migrate':
      return (await import('./translate.ts')).migrateCommand(target, flags, io)
    case 'convert':
      return (await import('./translate.ts')).convertCommand(target, flags, io)
    case 'run':
      return (await import('./serve.ts')).runCommand(target, flags, io)
    case 'check':
      return (await import('./check/run.ts')).checkCommand(target, flags, io)
  }
}

/** The one document of a command that failed, where one was asked for: `init --json`, `check --json`, `lint --reporter json`. */
export function failedDocument(args: readonly string[], error: ReportError): string {
  const isInit = args[1] === 'init' && args.includes('--json')
  const isLint = args[1] === 'lint' && / --reporter[= ]json( |$)/.test(` ${args.join(' ')} `)
  const isCheck = args[1] === 'check' && args.includes('--json')
  if (isCheck) return `${JSON.stringify({ ...noCheck, error }, null, 2)}\n`
  if (!isInit && !isLint) return ''
  const document = isInit
    ? { schemaVersion: 1, kind: 'coturn-init', files: null, iceServers: null, check: null, error }
    : { schemaVersion: 1, kind: 'coturn-lint', file: null, coturnVersion: null, summary: null, findings: null, error }
  return `${JSON.stringify(document, null, 2)}\n`
}

const noCheck = {
  schemaVersion: 1,
  kind: 'coturn-check',
  file: null,
  coturnVersion: null,
  server: null,
  claims: null,
  summary: null,
  log: null,
}
