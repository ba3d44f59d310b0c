/** View 2: the host that natcheck runs on, and beside it this browser. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { CheckupFinding, CheckupReport } from '../../report/checkup.ts'
import { errorText, startHostCheck } from './api.ts'
import type { GatheringState } from './gathering.ts'
import type { HostRun } from './live.ts'
import { CopyButton, Facts, milliseconds, Note, Panel, type Tone } from './parts.tsx'

const tones: Readonly<Record<CheckupReport['verdict']['kind'], Tone>> = {
  ready: 'good',
  degraded: 'warn',
  'not-ready': 'bad',
  unknown: 'warn',
}

const findingTones: Readonly<Record<CheckupFinding['severity'], Tone>> = { error: 'bad', warning: 'warn', hint: 'idle' }

export function HostView(props: { readonly host: HostRun; readonly browser: GatheringState | null }): JSX.Element {
  const { host, browser } = props
  const [problem, setProblem] = useState('')
  const check = (): void => {
    setProblem('')
    startHostCheck().catch((error: unknown) => setProblem(errorText(error)))
  }
  return (
    <>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
      {host.error !== null && <Note tone="bad">{host.error}</Note>}
      {host.report && (
        <Note tone={tones[host.report.verdict.kind]}>
          <strong>{host.report.verdict.summary}</strong>
        </Note>
      )}
      <Panel
        title="The host that natcheck runs on"
        actions={
          <>
            {host.report && <CopyButton text={() => JSON.stringify(host.report, null, 2)}>Copy as JSON</CopyButton>}
            <button class="primary" type="button" disabled={host.running} onClick={check}>
              {host.running ? 'Checking …' : host.report ? 'Check again' : 'Check this host'}
            </button>
          </>
        }
      >
        {host.running ? (
          <Progress host={host} />
        ) : (
          !host.report && <p>What natcheck tells on the command line, here.</p>
        )}
        {host.report && <HostReport report={host.report} />}
      </Panel>
      {host.report && <SideBySide report={host.report} browser={browser} />}
    </>
  )
}

/** The last word of each measurement, and the candidates so far. */
function Progress(props: { readonly host: HostRun }): JSX.Element {
  const { progress } = props.host
  const word = (name: string, event: Readonly<Record<string, unknown>> | undefined): string => {
    const value = event?.[name]
    return typeof value === 'string' ? value : ''
  }
  const stage = progress.findLast((event) => event['command'] === 'nat' && event['event'] === 'stage')
  const candidates = progress.flatMap((event) => {
    const { candidate } = event as { readonly candidate?: { readonly line?: unknown } }
    return event['event'] === 'candidate' && typeof candidate?.line === 'string' ? [candidate.line] : []
  })
  return (
    <div aria-live="polite">
      <p>
        NAT: {word('words', stage) || 'asking servers'} … <span class="hint">{progress.length} events</span>
      </p>
      <ol class="lines">
        {candidates.map((line) => (
          <li key={line}>
            <code>{line}</code>
          </li>
        ))}
      </ol>
    </div>
  )
}

const shown = (finding: { readonly value: string | null } | undefined): string => finding?.value ?? 'not known'

function HostReport(props: { readonly report: CheckupReport }): JSX.Element {
  const { nat, findings, durationMs } = props.report
  const family = nat.nat[nat.verdict.family ?? 'ipv4']
  return (
    <>
      <Facts
        items={[
          ['Local address', family?.local ?? 'not known'],
          ['Public address', family?.mapped ?? 'not known'],
          ['Mapping (RFC 4787)', shown(family?.mapping)],
          ['Filtering (RFC 4787)', shown(family?.filtering)],
          ['Type (RFC 3489)', shown(family?.rfc3489)],
          ['Carrier NAT', shown(family?.cgnat)],
          ['Reached directly by', nat.verdict.directWith],
          ['Took', milliseconds(durationMs)],
        ]}
      />
      {findings.length > 0 && <h3>What to change, or to know</h3>}
      <ul class="errors">
        {findings.map(({ severity, code, subject, message, fix }) => (
          <li key={`${code} ${subject} ${message}`}>
            <Note tone={findingTones[severity]}>
              <strong>{subject}:</strong> {message}.{fix === null ? '' : ` To mend it: ${fix}.`}
            </Note>
          </li>
        ))}
      </ul>
    </>
  )
}

const types = ['host', 'srflx', 'prflx', 'relay'] as const

/** One is a page's view and the other a program's: where they differ, a firewall or the configuration tells them apart. */
function SideBySide(props: { readonly report: CheckupReport; readonly browser: GatheringState | null }): JSX.Element {
  const { ice } = props.report
  const browser = props.browser?.candidates ?? []
  const list = (texts: readonly string[]): ComponentChildren =>
    texts.length === 0 ? '–' : [...new Set(texts)].map((text) => <div key={text}>{text}</div>)
  return (
    <Panel title="Browser and host, side by side">
      <div class="scroll" tabIndex={0} role="region" aria-label="Browser and host">
        <table>
          <thead>
            <tr>
              <th scope="col">Candidates</th>
              <th scope="col">This browser</th>
              <th scope="col">This host</th>
            </tr>
          </thead>
          <tbody>
            {types.map((type) => (
              <tr key={type}>
                <th scope="row">{type}</th>
                <td>
                  {list(
                    browser
                      .filter((each) => each.type === type)
                      .map(({ address, relayProtocol }) => withRelay(address, relayProtocol)),
                  )}
                </td>
                <td>
                  {list(
                    ice.candidates
                      .filter((each) => each.type === type)
                      .map(({ ip, relayProtocol }) => withRelay(ip, relayProtocol)),
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h3>Servers, as the host sees them</h3>
      <div class="scroll" tabIndex={0} role="region" aria-label="Servers">
        <table>
          <thead>
            <tr>
              <th scope="col">Server</th>
              <th scope="col">Over</th>
              <th scope="col">Works</th>
              <th scope="col" class="number">
                Round trip
              </th>
              <th scope="col">How far it got</th>
            </tr>
          </thead>
          <tbody>
            {ice.servers.map(({ uri, transport, family, ok, rttMs, stages }) => (
              <tr key={`${uri} ${transport} ${family ?? ''}`}>
                <td>{uri}</td>
                <td>
                  {transport}
                  {family === null ? '' : `, IPv${family}`}
                </td>
                <td>{ok ? '✓ yes' : '✗ no'}</td>
                <td class="number">{rttMs === null ? '–' : milliseconds(rttMs)}</td>
                <td>{stages.map((stage) => `${stage.ok ? '✓' : '✗'} ${stage.stage}`).join('  ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

const withRelay = (address: string, relayProtocol: string | null): string =>
  relayProtocol === null ? address : `${address} (by ${relayProtocol})`
