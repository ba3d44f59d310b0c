/** `natcheck config` as commander sees it. */
import type { Command } from 'commander'
import { addCheckFlags } from '../checkup/command.ts'
import { givenFlags } from '../flags.ts'

const examples = `Examples:
  natcheck config
  NATCHECK_FAMILY=4 natcheck config --json
  natcheck config --config ci/natcheck.json --ice-servers servers.json
`

const notes = `
A flag beats the environment (NATCHECK_SERVER, NATCHECK_FAIL_ON, ...), which
  beats natcheck.json, which beats the default. Flags of natcheck are taken to
  show what they would do. Passwords are never printed.

Exit code:
  0 all of it makes sense    2 something does not: the last line says what
`

/** Adds the sub-command; `run` gets the flags that were given. */
export function addConfigCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  addCheckFlags(program.command('config'))
    .summary('show every setting and where it came from')
    .description('Show every setting of the checks, its value, and where it came from.')
    .option('--json', 'print them as one JSON document')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(givenFlags(command))
    })
}
