/** Small parts that the views share. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'

export const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

export function Panel(props: {
  readonly title: string
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}): JSX.Element {
  const id = props.title.toLowerCase().replace(/\W+/g, '-')
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        <div class="actions">{props.actions}</div>
      </div>
      {props.children}
    </section>
  )
}

/** Shape and word carry the meaning; colour only repeats it. */
export type Tone = 'good' | 'warn' | 'bad' | 'idle'
const marks: Record<Tone, string> = { good: '✓', warn: '!', bad: '✗', idle: '·' }

export function Badge(props: { readonly tone: Tone; readonly children: ComponentChildren }): JSX.Element {
  return (
    <span class={`badge ${props.tone}`}>
      <span aria-hidden="true">{marks[props.tone]}</span> {props.children}
    </span>
  )
}

export function Note(props: { readonly tone: Tone; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class={`note ${props.tone}`} role={props.tone === 'bad' ? 'alert' : undefined}>
      <span class="mark" aria-hidden="true">
        {marks[props.tone]}
      </span>
      <div>{props.children}</div>
    </div>
  )
}

/** Says whether it worked: the clipboard is closed to pages without HTTPS that are not on localhost. */
export function CopyButton(props: { readonly text: () => string; readonly children: ComponentChildren }): JSX.Element {
  const [said, say] = useState('')
  const copy = async (): Promise<void> => {
    // Absent without HTTPS.
    const clipboard: Clipboard | undefined = navigator.clipboard
    if (!clipboard) return say('Needs HTTPS or localhost')
    try {
      await clipboard.writeText(props.text())
      say('Copied')
    } catch {
      say('Not allowed')
    }
  }
  return (
    <button type="button" onClick={() => void copy()}>
      {props.children} <span role="status">{said}</span>
    </button>
  )
}

export function Facts(props: { readonly items: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {props.items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
