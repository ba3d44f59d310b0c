/** Gathering that begins with the page, and is there for every view. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { Gathering, type GatheringState } from './gathering.ts'

export interface BrowserGathering {
  /** null: the servers are not known yet. */
  readonly state: GatheringState | null
  readonly policy: RTCIceTransportPolicy
  readonly setPolicy: (policy: RTCIceTransportPolicy) => void
  readonly again: () => void
  readonly restart: () => void
}

export function useGathering(iceServers: readonly RTCIceServer[] | undefined): BrowserGathering {
  const [policy, setPolicy] = useState<RTCIceTransportPolicy>('all')
  const [run, setRun] = useState(0)
  const [state, setState] = useState<GatheringState | null>(null)
  const gathering = useRef<Gathering | null>(null)
  useEffect(() => {
    if (!iceServers) return
    const started = new Gathering(iceServers, policy, setState)
    gathering.current = started
    return () => started.close()
  }, [iceServers, policy, run])
  return {
    state,
    policy,
    setPolicy,
    again: () => setRun(run + 1),
    restart: () => gathering.current?.restart(),
  }
}
