/** The page: which view is shown, and what all of them need. */
import { type JSX, render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { type Config, errorText, fetchConfig, fetchIceServers, RequestError, signIn } from './api.ts'
import { BrowserView } from './browser-view.tsx'
import { ConnectionView, roomOfHash } from './connection-view.tsx'
import { HistoryView } from './history-view.tsx'
import { HostView } from './host-view.tsx'
import { type Live, useLive } from './live.ts'
import { Note } from './parts.tsx'
import { PathView } from './path-view.tsx'
import { RelayView } from './relay-view.tsx'
import { type ServersProps, ServersView } from './servers-view.tsx'
import { type BrowserGathering, useGathering } from './use-gathering.ts'

interface Loaded {
  readonly config: Config
  readonly iceServers: readonly RTCIceServer[]
}

interface Context {
  readonly config: Config
  readonly live: Live
  readonly gathering: BrowserGathering
  readonly servers: ServersProps
}

interface View {
  readonly hash: string
  readonly name: string
  readonly show: (context: Context) => JSX.Element
}

const views: readonly [View, ...View[]] = [
  { hash: 'browser', name: 'This browser', show: ({ gathering }) => <BrowserView gathering={gathering} /> },
  {
    hash: 'host',
    name: 'This host',
    show: ({ live, gathering }) => <HostView host={live.host} browser={gathering.state} />,
  },
  {
    hash: 'path',
    name: 'Path',
    show: ({ live, gathering }) => <PathView host={live.host} browser={gathering.state} />,
  },
  {
    hash: 'connection',
    name: 'Connection',
    show: ({ config, servers }) => (
      <ConnectionView config={config} pasted={servers.isPasted ? servers.iceServers : undefined} />
    ),
  },
  {
    hash: 'relay',
    name: 'Relay',
    show: ({ config, live }) => <RelayView samples={live.relay} isWatched={config.relay} />,
  },
  { hash: 'servers', name: 'Servers', show: ({ servers }) => <ServersView {...servers} /> },
  { hash: 'history', name: 'History', show: ({ live }) => <HistoryView latest={live.host.report} /> },
]

const guest: Config = { host: false, relay: false, peer: false }

const viewOfHash = (): View => views.find(({ hash }) => location.hash.startsWith(`#${hash}`)) ?? views[0]

function App(): JSX.Element {
  const [view, setView] = useState(viewOfHash)
  const [loaded, setLoaded] = useState<Loaded | null>(null)
  const [error, setError] = useState<unknown>(null)
  const [pasted, setPasted] = useState<readonly RTCIceServer[] | undefined>(undefined)
  const iceServers = pasted ?? loaded?.iceServers
  const live = useLive(loaded !== null)
  const gathering = useGathering(iceServers)
  const load = async (): Promise<void> => {
    try {
      const token = /^#token=(.+)$/.exec(location.hash)?.[1]
      if (token !== undefined) {
        // Out of the address bar, where people copy from.
        history.replaceState(null, '', location.pathname)
        await signIn(decodeURIComponent(token))
      }
      const [config, iceServers] = await Promise.all([fetchConfig(), fetchIceServers()])
      setLoaded({ config, iceServers })
      setError(null)
    } catch (problem) {
      setError(problem)
    }
  }
  useEffect(() => {
    const onHash = (): void => setView(viewOfHash())
    addEventListener('hashchange', onHash)
    void load()
    return () => removeEventListener('hashchange', onHash)
  }, [])
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <div>
          <h1>
            natcheck <small>will it connect, and if not, why?</small>
          </h1>
          <nav aria-label="Views">
            <ul>
              {views.map(({ hash, name }) => (
                <li key={hash}>
                  <a href={`#${hash}`} aria-current={view.hash === hash ? 'page' : undefined}>
                    {name}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {!live.isConnected && <Note tone="bad">The dashboard does not answer: check that natcheck still runs.</Note>}
        {error instanceof RequestError && error.status === 401 ? (
          // A room's code is enough to be a peer in it.
          roomOfHash() === '' ? (
            <SignIn onDone={load} />
          ) : (
            <ConnectionView config={guest} pasted={undefined} />
          )
        ) : error !== null ? (
          <Note tone="bad">{errorText(error)}</Note>
        ) : (
          loaded &&
          view.show({
            config: loaded.config,
            live,
            gathering,
            servers: { iceServers: iceServers ?? [], isPasted: pasted !== undefined, use: setPasted },
          })
        )}
      </main>
    </>
  )
}

function SignIn(props: { readonly onDone: () => Promise<void> }): JSX.Element {
  const [problem, setProblem] = useState('')
  const [token, setToken] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    signIn(token).then(props.onDone, (error: unknown) => setProblem(errorText(error)))
  }
  return (
    <form class="panel" onSubmit={submit}>
      <h2>This dashboard needs its token</h2>
      <p>It stands in the URL that natcheck printed when it started, or in the file of --token-file.</p>
      <label>
        Token{' '}
        <input
          type="password"
          autocomplete="off"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>{' '}
      <button class="primary" type="submit">
        Open
      </button>
      {problem !== '' && <Note tone="bad">{problem}</Note>}
    </form>
  )
}

const root = document.getElementById('app')
if (root) render(<App />, root)
