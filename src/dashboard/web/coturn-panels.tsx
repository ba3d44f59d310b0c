/** turnserver.conf: dropped here to be linted, or made by a form. The server does both, with the code of the command line. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { errorText, type Finding, generateConf, lintConf } from './api.ts'
import { CopyButton, Note, Panel, type Tone } from './parts.tsx'

const tones: Readonly<Record<string, Tone>> = { error: 'bad', warning: 'warn' }

export function LintPanel(): JSX.Element {
  const [text, setText] = useState('')
  const [version, setVersion] = useState('')
  const [findings, setFindings] = useState<readonly Finding[] | null>(null)
  const [problem, setProblem] = useState('')
  const lint = async (conf: string): Promise<void> => {
    try {
      setFindings(await lintConf(conf, version))
      setProblem('')
    } catch (error) {
      setProblem(errorText(error))
    }
  }
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return
    const conf = await file.text()
    setText(conf)
    await lint(conf)
  }
  const submit = (event: Event): void => {
    event.preventDefault()
    void lint(text)
  }
  return (
    <Panel title="Lint a turnserver.conf">
      <form
        onSubmit={submit}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault()
          void read(event.dataTransfer?.files[0])
        }}
      >
        <label for="conf">Drop the file here, or paste it</label>
        <textarea
          id="conf"
          rows={8}
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <div class="table-tools">
          <label>
            or choose it <input type="file" onChange={({ currentTarget }) => void read(currentTarget.files?.[0])} />
          </label>
          <label>
            coturn's version{' '}
            <input
              size={8}
              value={version}
              placeholder="4.17.2"
              onInput={({ currentTarget }) => setVersion(currentTarget.value)}
            />
          </label>
          <button class="primary" type="submit">
            Lint
          </button>
        </div>
      </form>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
      {findings && <Findings findings={findings} />}
    </Panel>
  )
}

function Findings(props: { readonly findings: readonly Finding[] }): JSX.Element {
  const { findings } = props
  if (findings.length === 0) return <Note tone="good">Nothing to complain of.</Note>
  return (
    <>
      <p role="status">{findings.length} findings</p>
      <ul class="errors">
        {findings.map(({ rule, severity, line, message, why, fix }) => (
          <li key={`${rule} ${line ?? ''} ${message}`}>
            <Note tone={tones[severity] ?? 'idle'}>
              <strong>
                {line === undefined ? '' : `Line ${line}: `}
                {message}
              </strong>
              <p>{why}</p>
              <p>
                {fix} <code>{rule}</code>
              </p>
            </Note>
          </li>
        ))}
      </ul>
    </>
  )
}

export function GeneratePanel(): JSX.Element {
  const [plan, setPlan] = useState({
    profile: 'public',
    realm: '',
    externalIp: '',
    tls: true,
    minPort: 49_152,
    maxPort: 65_535,
  })
  const [conf, setConf] = useState('')
  const [problem, setProblem] = useState('')
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    try {
      setConf(await generateConf(plan))
      setProblem('')
    } catch (error) {
      setProblem(errorText(error))
    }
  }
  return (
    <Panel title="Generate a turnserver.conf" actions={conf !== '' && <CopyButton text={() => conf}>Copy</CopyButton>}>
      <form class="table-tools" onSubmit={(event) => void submit(event)}>
        <label>
          Domain{' '}
          <input
            required
            pattern="[A-Za-z0-9.\-]+"
            placeholder="turn.example.org"
            value={plan.realm}
            onInput={({ currentTarget }) => setPlan({ ...plan, realm: currentTarget.value })}
          />
        </label>
        <label>
          For{' '}
          <select
            value={plan.profile}
            onChange={({ currentTarget }) => setPlan({ ...plan, profile: currentTarget.value })}
          >
            <option value="public">the internet</option>
            <option value="internal">a company's own network</option>
            <option value="lab">a lab, with NAT tests</option>
          </select>
        </label>
        <label>
          Public address behind 1:1 NAT{' '}
          <input
            size={16}
            value={plan.externalIp}
            onInput={({ currentTarget }) => setPlan({ ...plan, externalIp: currentTarget.value })}
          />
        </label>
        <label>
          Ports{' '}
          <input
            type="number"
            min={1024}
            max={65_535}
            value={plan.minPort}
            onInput={({ currentTarget }) => setPlan({ ...plan, minPort: Number(currentTarget.value) })}
          />
        </label>
        <label>
          to{' '}
          <input
            type="number"
            min={1024}
            max={65_535}
            value={plan.maxPort}
            onInput={({ currentTarget }) => setPlan({ ...plan, maxPort: Number(currentTarget.value) })}
          />
        </label>
        <label>
          <input
            type="checkbox"
            checked={plan.tls}
            onChange={({ currentTarget }) => setPlan({ ...plan, tls: currentTarget.checked })}
          />{' '}
          TLS
        </label>
        <button class="primary" type="submit">
          Generate
        </button>
      </form>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
      {conf !== '' && (
        <pre class="scroll" tabIndex={0} role="region" aria-label="turnserver.conf">
          {conf}
        </pre>
      )}
    </Panel>
  )
}
