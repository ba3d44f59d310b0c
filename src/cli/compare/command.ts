/** `natcheck compare` as commander sees it. */
import type { Command } from 'commander'

const examples = `Examples:
  natcheck nat --save home.json                 on one host
  natcheck --save office.json                   on the other, with its relays
  natcheck compare home.json office.json        will they connect?
  natcheck compare home.json office.json --no-relay --json
`

const notes = `
It reasons from the two reports alone and sends nothing: over which family and
  with which candidates they connect (host, srflx, prflx), who has to send
  first, or why only a TURN relay helps. Reports of natcheck alone also tell
  what their TURN servers really gave; otherwise one is supposed. Where both
  have the same public address, natcheck nat --hairpin on either host tells
  more.

Exit code:
  0 they connect, directly or by relay   1 they don't   2 usage, or a file that
  can't be read or is of another schema version   3 the reports don't tell
`

/** Adds the sub-command; `run` gets the two files and the flags that were given. */
export function addCompareCommand(
  program: Command,
  run: (files: readonly [string, string], flags: Record<string, unknown>) => Promise<void>,
): void {
  program
    .command('compare')
    .summary('will two hosts connect? from their saved reports')
    .description('Say from two saved reports whether the two hosts connect: directly, by relay, or not.')
    .argument('<A>', 'what natcheck or natcheck nat --save wrote on one host')
    .argument('<B>', 'and on the other')
    .option('--no-relay', 'suppose that they have no TURN server')
    .option('--json', 'print one JSON document')
    .option('--color', 'colour even when stdout is no terminal')
    .option('--no-color', 'no colour')
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (a: string, b: string, _options: unknown, command: Command) => {
      await run([a, b], command.opts())
    })
}
