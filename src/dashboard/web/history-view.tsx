/** View 7: past check-ups of this host: look at one again, compare two, share one without its addresses. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { CheckupReport } from '../../report/checkup.ts'
import { type Check, errorText, fetchCheck, fetchChecks, forgetCheck } from './api.ts'
import { Badge, CopyButton, milliseconds, Note, Panel, type Tone } from './parts.tsx'

const tones: Readonly<Record<string, Tone>> = { ready: 'good', degraded: 'warn', 'not-ready': 'bad' }
const when = (at: number): string => new Date(at).toLocaleString()
const linkOf = ({ id }: Check): string => new URL(`#history/${id}`, location.href).href

/** `latest` changes when a check-up ends, and the list with it. */
export function HistoryView(props: { readonly latest: CheckupReport | null }): JSX.Element {
  const [checks, setChecks] = useState<readonly Check[] | null>(null)
  const [chosen, setChosen] = useState<readonly string[]>(() => idsOfHash())
  const [problem, setProblem] = useState('')
  const load = async (): Promise<void> => {
    try {
      setChecks(await fetchChecks())
    } catch (error) {
      setProblem(errorText(error))
    }
  }
  useEffect(() => void load(), [props.latest])
  const choose = (id: string, isChosen: boolean): void =>
    setChosen(isChosen ? [...chosen, id].slice(-2) : chosen.filter((each) => each !== id))
  const forget = async (id: string): Promise<void> => {
    try {
      await forgetCheck(id)
      choose(id, false)
      await load()
    } catch (error) {
      setProblem(errorText(error))
    }
  }
  return (
    <>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
      <Panel title="Check-ups of this host">
        {checks === null || checks.length === 0 ? (
          <p>
            None yet. <a href="#host">Check this host</a>; the newest hundred are kept.
          </p>
        ) : (
          <ul class="checks">
            {checks.map((check) => (
              <li key={check.id}>
                <label>
                  <input
                    type="checkbox"
                    checked={chosen.includes(check.id)}
                    onChange={({ currentTarget }) => choose(check.id, currentTarget.checked)}
                  />{' '}
                  <time>{when(check.at)}</time>
                </label>
                <Badge tone={tones[check.kind] ?? 'idle'}>{check.kind}</Badge>
                <span class="grow">{check.summary}</span>
                <a class="button" href={`api/history/${check.id}/redacted`} download>
                  Redacted file
                </a>
                <CopyButton text={() => linkOf(check)}>Copy link</CopyButton>
                <button type="button" onClick={() => void forget(check.id)}>
                  Forget
                </button>
              </li>
            ))}
          </ul>
        )}
        <p class="hint">
          Choose one to see it, or two to compare them. A redacted file has placeholders for addresses and names, and
          the same verdict.
        </p>
      </Panel>
      {chosen.length > 0 && <Comparison key={chosen.join(' ')} ids={chosen} />}
    </>
  )
}

const idsOfHash = (): readonly string[] => {
  const id = /^#history\/([\w-]+)$/.exec(location.hash)?.[1]
  return id === undefined ? [] : [id]
}

type Row = readonly [name: string, read: (report: CheckupReport) => string]

const familyOf = ({ nat }: CheckupReport): CheckupReport['nat']['nat']['ipv4'] => nat.nat[nat.verdict.family ?? 'ipv4']
const typesOf = ({ ice }: CheckupReport): string =>
  [
    ...new Set(ice.candidates.map(({ type, relayProtocol }) => (relayProtocol ? `${type} by ${relayProtocol}` : type))),
  ].join(', ')

const rows: readonly Row[] = [
  ['Verdict', ({ verdict }) => verdict.summary],
  ['Local address', (report) => familyOf(report)?.local ?? '–'],
  ['Public address', (report) => familyOf(report)?.mapped ?? '–'],
  ['Mapping', (report) => familyOf(report)?.mapping.value ?? '–'],
  ['Filtering', (report) => familyOf(report)?.filtering.value ?? '–'],
  ['Carrier NAT', (report) => familyOf(report)?.cgnat.value ?? '–'],
  ['Candidates', typesOf],
  ['Servers that work', ({ ice }) => `${ice.servers.filter(({ ok }) => ok).length} of ${ice.servers.length}`],
  [
    'To change, or to know',
    ({ findings }) => findings.map(({ subject, message }) => `${subject}: ${message}`).join('; ') || '–',
  ],
  ['Took', ({ durationMs }) => milliseconds(durationMs)],
]

function Comparison(props: { readonly ids: readonly string[] }): JSX.Element {
  const [reports, setReports] = useState<readonly CheckupReport[] | null>(null)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    Promise.all(props.ids.map((id) => fetchCheck(id))).then(setReports, (error: unknown) =>
      setProblem(errorText(error)),
    )
  }, [props.ids])
  if (problem !== '') return <Note tone="bad">{problem}</Note>
  if (!reports) return <p>Loading …</p>
  const isPair = reports.length === 2
  return (
    <Panel title={isPair ? 'Two check-ups compared' : 'One check-up'}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Check-ups">
        <table>
          <thead>
            <tr>
              <td />
              {reports.map(({ startedAt }) => (
                <th key={startedAt} scope="col">
                  {when(Date.parse(startedAt))}
                </th>
              ))}
              {isPair && <th scope="col">Changed</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, read]) => {
              const values = reports.map(read)
              return (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {values.map((value, index) => (
                    <td key={props.ids[index]}>{value}</td>
                  ))}
                  {isPair && <td>{values[0] === values[1] ? null : <span title="changed">≠</span>}</td>}
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}
