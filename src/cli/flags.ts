/** What commander hands over, as commands want it. */
import type { Command } from 'commander'

/** For options that may be given several times. */
export const collect = (value: string, previous: string[] | undefined): string[] => [...(previous ?? []), value]

/** Only the flags that were given: a default would hide the environment and the settings file. */
export const givenFlags = (command: Command): Record<string, unknown> =>
  Object.fromEntries(Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === 'cli'))
