/** The options that a `turnserver --help` lists. */

export interface HelpOption {
  readonly names: readonly string[]
  readonly short: string | undefined
}

/** ` -b, , --db, --userdb	<filename>	…`: one for each line that begins an option. */
export function helpOptions(help: string): HelpOption[] {
  return help.split('\n').flatMap((line) => {
    const head = /^ {0,5}(?:-([A-Za-z]),?)?[ ,]*((?:--[A-Za-z][\w-]*[, ]*)*)/.exec(line)
    const names = [...(head?.[2] ?? '').matchAll(/--([A-Za-z][\w-]*)/g)].map(([, name = '']) => name)
    return names.length === 0 ? [] : [{ names, short: head?.[1] }]
  })
}
