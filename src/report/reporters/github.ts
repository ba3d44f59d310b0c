/** GitHub Actions workflow commands: annotations of the run. */
import type { CheckupReport } from '../checkup.ts'

/** A line for the verdict, for each finding to act on, and for each expectation that failed. */
export function renderGithub({ verdict, findings, expectations, error }: CheckupReport): string {
  const commands = [
    command(verdict.kind === 'not-ready' ? 'warning' : 'notice', 'natcheck', verdict.summary),
    ...findings
      .filter(({ severity }) => severity !== 'hint')
      .map(({ severity, subject, message, fix }) => {
        const kind = severity === 'error' ? 'error' : 'warning'
        return command(kind, `natcheck: ${subject}`, fix === null ? message : `${message}\n→ ${fix}`)
      }),
    ...expectations
      .filter(({ ok }) => !ok)
      .map(({ flag, word, meaning }) => command('error', `natcheck --${flag} ${word}`, meaning)),
    ...(error
      ? [command('error', 'natcheck', error.fix === null ? error.message : `${error.message}\n→ ${error.fix}`)]
      : []),
  ]
  return commands.join('')
}

const command = (kind: 'error' | 'warning' | 'notice', title: string, message: string): string =>
  `::${kind} title=${escapeProperty(title)}::${escapeData(message)}\n`

/** As @actions/core does: the runner ends a command at the line's end, and takes these back. */
const escapeData = (text: string): string => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')

const escapeProperty = (text: string): string => escapeData(text).replace(/:/g, '%3A').replace(/,/g, '%2C')
