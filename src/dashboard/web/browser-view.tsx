/** View 1: what this browser gathers from the configured servers, as it trickles in. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { explainGatheringError } from '../../report/gathering-error.ts'
import { CandidateTable } from './candidate-table.tsx'
import type { GatheringError, GatheringState } from './gathering.ts'
import { Badge, Facts, milliseconds, Note, Panel, type Tone } from './parts.tsx'
import type { BrowserGathering } from './use-gathering.ts'
import { rowsOf, urlsOf, Waterfall } from './waterfall.tsx'

const tones: Readonly<Record<string, Tone>> = {
  complete: 'good',
  connected: 'good',
  completed: 'good',
  disconnected: 'warn',
  failed: 'bad',
  closed: 'idle',
  new: 'idle',
}

const StateBadge = (props: { readonly state: string }): JSX.Element => (
  <Badge tone={tones[props.state] ?? 'warn'}>{props.state}</Badge>
)

export function BrowserView(props: { readonly gathering: BrowserGathering }): JSX.Element {
  const { state, policy, setPolicy, again, restart } = props.gathering
  if (!state) return <p>Gathering …</p>
  return (
    <>
      <Summary state={state} />
      <Panel
        title="Candidates as they arrive"
        actions={
          <>
            <label>
              <input
                type="checkbox"
                checked={policy === 'relay'}
                onChange={({ currentTarget }) => setPolicy(currentTarget.checked ? 'relay' : 'all')}
              />{' '}
              relay only
            </label>
            <button type="button" onClick={again}>
              Gather again
            </button>
            <button type="button" onClick={restart}>
              ICE restart
            </button>
          </>
        }
      >
        <Waterfall state={state} />
        <CandidateTable candidates={state.candidates} />
      </Panel>
      {state.errors.length > 0 && <Errors errors={state.errors} />}
      <States state={state} />
    </>
  )
}

function Summary(props: { readonly state: GatheringState }): JSX.Element {
  const { candidates, errors, problem, completeAtMs, iceServers } = props.state
  if (problem !== null) return <Note tone="bad">The browser refuses these servers: {problem}</Note>
  const has = (type: string): boolean => candidates.some((candidate) => candidate.type === type)
  if (completeAtMs === null) return <Pending state={props.state} />
  const asked = urlsOf(iceServers)
  const missing = [
    ...(asked.length > 0 && !has('srflx') ? ['server-reflexive'] : []),
    ...(asked.some((url) => url.startsWith('turn')) && !has('relay') ? ['relayed'] : []),
  ]
  const found = `${candidates.length} candidates in ${milliseconds(completeAtMs)}`
  if (errors.length > 0) return <Note tone="bad">{found}, and a server that fails: see what it says below.</Note>
  if (asked.length === 0)
    return <Note tone="warn">{found}. No server is configured, so these are host candidates only.</Note>
  if (missing.length > 0) return <Note tone="warn">{`${found}, and no ${missing.join(' nor ')} one among them.`}</Note>
  return <Note tone="good">{`${found}: this browser reaches every server.`}</Note>
}

/** Browsers give a server that is silent over UDP most of a minute: until then it is named. */
function Pending(props: { readonly state: GatheringState }): JSX.Element {
  const [isLong, setLong] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), patienceMs)
    return () => clearTimeout(timer)
  }, [])
  if (!isLong) return <Note tone="idle">Gathering candidates …</Note>
  const silent = rowsOf(props.state).filter(({ candidates, errors }) => candidates.length + errors.length === 0)
  const names = silent.map(({ name, transport }) => `${name} (${transport})`)
  return (
    <Note tone="warn">
      No answer so far from {names.join(', ') || 'one of the servers'}: it may be down, or a firewall lets nothing
      through. Browsers give up after about 40 seconds.
    </Note>
  )
}

const patienceMs = 3000

/** The same error comes once for each local address that asked. */
function Errors(props: { readonly errors: readonly GatheringError[] }): JSX.Element {
  const key = ({ url, code, text }: GatheringError): string => `${url} ${code} ${text}`
  const distinct = [...new Map(props.errors.map((error) => [key(error), error])).values()]
  return (
    <Panel title="What servers refuse">
      <ul class="errors">
        {distinct.map((error) => {
          const { message, fix } = explainGatheringError(error.code, error.text, error.url)
          return (
            <li key={key(error)}>
              <Badge tone="bad">{error.code}</Badge> <code>{error.url}</code>
              <p>
                <strong>{message}.</strong> To mend it: {fix}.
              </p>
              <p class="hint">
                The browser says “{error.text}” after {milliseconds(error.atMs)}
                {error.from === '' ? '' : `, asked from ${error.from}`}.
              </p>
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}

function States(props: { readonly state: GatheringState }): JSX.Element {
  const { gathering, ice, connection, states, restarts } = props.state
  return (
    <Panel title="States">
      <Facts
        items={[
          ['Gathering', <StateBadge state={gathering} />],
          ['ICE connection', <StateBadge state={ice} />],
          ['Connection', <StateBadge state={connection} />],
          ['ICE restarts', String(restarts)],
        ]}
      />
      <p class="hint">The page connects to itself, so that all states can be seen; nothing leaves for another peer.</p>
      <ol class="timeline">
        {states.map(({ atMs, of, state }) => (
          <li key={`${of} ${state} ${atMs}`}>
            <time>{milliseconds(atMs)}</time> {of} <strong>{state}</strong>
          </li>
        ))}
      </ol>
    </Panel>
  )
}
