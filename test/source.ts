/** Reads TypeScript just well enough to hold rules about it: where comments, strings and code are, and what is imported. */

export interface Import {
  readonly specifier: string
  /** `import type`, `export type`, or a type position: gone after compiling. */
  readonly typeOnly: boolean
  /** `import()`: loaded when reached. */
  readonly dynamic: boolean
  /** The names imported from it, empty for `*`, a default or a dynamic import. */
  readonly names: readonly string[]
}

/** Words after which a slash starts a regular expression and not a division. */
const beforeRegex =
  /(?:^|[=(,:;!&|?{}[\]+*%<>~^-]|=>|\b(?:return|typeof|case|in|of|delete|void|throw|new|await|yield))\s*$/

/**
 * The text with comments blanked, and with `strings: 'blank'` also what is inside strings and regular expressions.
 * Line breaks stay, so positions keep their line numbers. Code inside `${…}` stays code.
 */
export function stripped(text: string, strings: 'keep' | 'blank'): string {
  let out = ''
  /** Open template literals: how many `{` are open inside the innermost `${`. */
  const templates: number[] = []
  let at = 0
  const literal = (end: number): void => {
    const inside = text.slice(at, end)
    out += strings === 'keep' ? inside : blank(inside)
    at = end
  }
  while (at < text.length) {
    const char = text[at] ?? ''
    const two = text.slice(at, at + 2)
    if (two === '//' || two === '/*') {
      const found = two === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at) + 2
      const end = found < 2 ? text.length : found
      out += blank(text.slice(at, end))
      at = end
    } else if (char === "'" || char === '"') literal(endOfString(text, at, char))
    else if (char === '`') literal(endOfTemplatePart(text, at + 1, templates))
    else if (char === '/' && beforeRegex.test(out.slice(-80))) literal(endOfRegex(text, at))
    else if (char === '}' && templates.at(-1) === 0) {
      templates.pop()
      literal(endOfTemplatePart(text, at + 1, templates))
    } else {
      const depth = templates.at(-1)
      if (depth !== undefined && (char === '{' || char === '}')) {
        templates[templates.length - 1] = depth + (char === '{' ? 1 : -1)
      }
      out += char
      at++
    }
  }
  return out
}

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')

function endOfString(text: string, start: number, quote: string): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === quote || text[at] === '\n') return at + 1
  }
  return text.length
}

/** Past the closing backtick, or past the `${` where code begins. */
function endOfTemplatePart(text: string, start: number, templates: number[]): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`') return at + 1
    else if (text[at] === '$' && text[at + 1] === '{') {
      templates.push(0)
      return at + 2
    }
  }
  return text.length
}

function endOfRegex(text: string, start: number): number {
  let inClass = false
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at]
    if (char === '\\') at++
    else if (char === '\n') return at
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    else if (char === '/' && !inClass) return at + 1
  }
  return text.length
}

/** Every import, re-export, `import()` and type import of a source text. */
export function importsOf(text: string): Import[] {
  const code = stripped(text, 'keep')
  // Where this is blank, what looks like an import stands inside a string.
  const bare = stripped(text, 'blank')
  const imports: Import[] = []
  const isCode = (index: number): boolean => bare[index] !== ' '
  for (const match of code.matchAll(/\b(?:import|export)\b(?=\s*['"{*\w$])([^'"`();]*?)(['"])([^'"\n]*)\2/g)) {
    const clause = (match[1] ?? '').trim()
    // `export const a = 'text'` ends in a string too, but only a `from` clause names a module.
    if (!isCode(match.index) || !(clause === '' ? match[0].startsWith('import') : /\bfrom$/.test(clause))) continue
    const names = /\{([^}]*)\}/.exec(clause)?.[1]?.split(',') ?? []
    const written = names.map((name) => name.trim()).filter((name) => name !== '')
    imports.push({
      specifier: match[3] ?? '',
      typeOnly: /^type\b/.test(clause) || (written.length > 0 && written.every((name) => name.startsWith('type '))),
      dynamic: false,
      names: written.map((name) => name.replace(/^type\s+/, '').replace(/\s+as\s.*$/, '')),
    })
  }
  for (const match of code.matchAll(/\bimport\s*\(\s*(?:(['"])([^'"\n]*)\1)?/g)) {
    if (!isCode(match.index)) continue
    const before = code.slice(Math.max(0, match.index - 40), match.index)
    imports.push({
      specifier: match[2] ?? '(computed)',
      typeOnly: /(?:\btypeof\s+|[:<|&]\s*)$/.test(before),
      dynamic: true,
      names: [],
    })
  }
  return imports
}
