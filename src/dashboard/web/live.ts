/** What the dashboard pushes: the relay's samples, and the check-up of the host. */
import { useEffect, useState } from 'preact/hooks'
import type { CheckupReport } from '../../report/checkup.ts'
import type { RelaySample } from '../relay-watch.ts'

export interface HostRun {
  readonly running: boolean
  readonly progress: readonly Readonly<Record<string, unknown>>[]
  readonly report: CheckupReport | null
  readonly error: string | null
}

export interface Live {
  readonly isConnected: boolean
  /** Oldest first, one a second. */
  readonly relay: readonly RelaySample[]
  readonly host: HostRun
}

const keptSamples = 120

const nothing: Live = {
  isConnected: true,
  relay: [],
  host: { running: false, progress: [], report: null, error: null },
}

/** One stream for all views, and none for tabs that nobody sees: browsers open only six connections to a host. */
export function useLive(isActive: boolean): Live {
  const [live, setLive] = useState(nothing)
  const isVisible = useVisible()
  useEffect(() => {
    if (!isActive || !isVisible) return
    const source = new EventSource('api/live')
    const on = (event: string, change: (live: Live, data: unknown) => Partial<Live>): void =>
      source.addEventListener(event, ({ data }) => {
        const value: unknown = JSON.parse(String(data))
        setLive((before) => ({ ...before, ...change(before, value) }))
      })
    on('relay-history', (_, data) => ({ relay: data as readonly RelaySample[] }))
    on('relay', ({ relay }, data) => ({ relay: [...relay, data as RelaySample].slice(-keptSamples) }))
    on('host', (_, data) => ({ host: data as HostRun }))
    on('host-progress', ({ host }, data) => ({
      host: { ...host, progress: [...host.progress, data as Readonly<Record<string, unknown>>] },
    }))
    source.addEventListener('open', () => setLive((before) => ({ ...before, isConnected: true })))
    source.addEventListener('error', () => setLive((before) => ({ ...before, isConnected: false })))
    return () => source.close()
  }, [isActive, isVisible])
  return live
}

function useVisible(): boolean {
  const [isVisible, setVisible] = useState(!document.hidden)
  useEffect(() => {
    const look = (): void => setVisible(!document.hidden)
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return isVisible
}
