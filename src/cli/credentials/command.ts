/** `natcheck credentials`: time-limited credentials for a relay that has the same secret. */
import type { Command } from 'commander'
import { collect } from '../flags.ts'

const examples = `Examples:
  natcheck credentials --secret-file secret.txt --user alice --ttl 12h \\
    --url turn:relay.example.org --url turns:relay.example.org
`

const notes = `
The secret is that of natcheck relay --auth-secret-file, or of coturn's
static-auth-secret. The first line of the file is used.
`

/** Adds the sub-command; `run` gets the flags that were given. */
export function addCredentialsCommand(program: Command, run: (flags: Record<string, unknown>) => Promise<void>): void {
  program
    .command('credentials')
    .summary('make time-limited credentials for a relay')
    .description('Make time-limited TURN credentials and print them as iceServers JSON.')
    .option('--secret-file <file>', 'the secret that the relay has too')
    .option('--user <name>', 'who they are for (default: natcheck)')
    .option('--ttl <time>', 'how long a new allocation is accepted (default: 12h)')
    .option('--url <uri>', 'turn: or turns: URI of the relay; repeatable', collect)
    .addHelpText('before', examples)
    .addHelpText('after', notes)
    .action(async (_options: unknown, command: Command) => {
      await run(command.opts())
    })
}
