/** View 6: which servers the page uses. What is pasted stays in this page, and is gone with it. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { GeneratePanel, LintPanel } from './coturn-panels.tsx'
import { protocolOf } from './candidate.ts'
import { Badge, Note, Panel } from './parts.tsx'
import { urlsOf } from './waterfall.tsx'

export interface ServersProps {
  readonly iceServers: readonly RTCIceServer[]
  readonly isPasted: boolean
  readonly use: (servers: readonly RTCIceServer[] | undefined) => void
}

const example = '[{ "urls": "turn:turn.example.org", "username": "alice", "credential": "…" }]'

/** What applications have: the list, one entry, or a whole RTCConfiguration. Throws an Error in words. */
export function readPasted(text: string): readonly RTCIceServer[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`this is not JSON: write ${example}`)
  }
  const inner: unknown = isObject(value) && 'iceServers' in value ? value['iceServers'] : value
  const list: readonly unknown[] = Array.isArray(inner) ? inner : [inner]
  return list.map((entry, index) => {
    if (!isObject(entry)) throw new Error(`entry ${index + 1} is no object: write ${example}`)
    const { urls, url, username, credential } = entry
    const all: readonly unknown[] = [urls ?? url].flat()
    const texts = all.filter((each) => typeof each === 'string')
    if (texts.length === 0 || texts.length < all.length) throw new Error(`entry ${index + 1} has no urls`)
    for (const each of texts) checkUrl(each, username, credential)
    return {
      urls: texts,
      ...(typeof username === 'string' ? { username } : {}),
      ...(typeof credential === 'string' ? { credential } : {}),
    }
  })
}

function checkUrl(url: string, username: unknown, credential: unknown): void {
  if (!/^(?:stun|turn)s?:[^/]/.test(url)) throw new Error(`${url} has no stun:, stuns:, turn: or turns: in front`)
  if (url.startsWith('turn') && (typeof username !== 'string' || typeof credential !== 'string')) {
    throw new Error(`${url} needs username and credential`)
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function ServersView({ iceServers, isPasted, use }: ServersProps): JSX.Element {
  const [text, setText] = useState('')
  const [problem, setProblem] = useState('')
  const apply = (event: Event): void => {
    event.preventDefault()
    try {
      use(readPasted(text))
      setProblem('')
      setText('')
      location.hash = '#browser'
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  const urls = urlsOf(iceServers)
  return (
    <>
      <Panel
        title="Servers in use"
        actions={
          isPasted && (
            <button type="button" onClick={() => use(undefined)}>
              Back to the dashboard's own
            </button>
          )
        }
      >
        {urls.length === 0 ? (
          <p>None: only host candidates are gathered. Paste some below, or start natcheck with --server.</p>
        ) : (
          <ul class="servers">
            {urls.map((url) => (
              <li key={url}>
                <code>{url}</code> <Badge tone="idle">{protocolOf(url)}</Badge>
              </li>
            ))}
          </ul>
        )}
        {!isPasted && <p class="hint">Their credentials were made for this page, and expire within the hour.</p>}
      </Panel>
      <Panel title="Use others">
        <form onSubmit={apply}>
          <label for="ice-servers">iceServers, as your application has them (JSON)</label>
          <textarea
            id="ice-servers"
            rows={6}
            spellcheck={false}
            value={text}
            placeholder={example}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
          {problem !== '' && <Note tone="bad">{problem}</Note>}
          <button class="primary" type="submit">
            Gather with these
          </button>
        </form>
        <p class="hint">They stay in this page: nothing is sent but to the servers themselves, and nothing is kept.</p>
      </Panel>
      <LintPanel />
      <GeneratePanel />
    </>
  )
}
