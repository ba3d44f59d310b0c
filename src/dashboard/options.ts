/** What the dashboard is made of. Whoever starts it hands in the parts; it only shows them. */
import type { Clock, Random, ServerCertificate, TransportAddress } from '../core/index.ts'
import type { IceServer } from '../relay/credentials.ts'
import type { RelaySource } from './relay-view.ts'

/** Servers for RTCConfiguration.iceServers. STUN servers have neither user name nor credential. */
export type PageIceServer = Pick<IceServer, 'urls'> & Partial<IceServer>

/** The check-up of the machine that natcheck runs on. */
export interface HostCheck {
  run(onProgress: (event: object) => void, signal: AbortSignal): Promise<CheckedHost>
}

/** Plain JSON, without a credential. */
export interface CheckedHost {
  readonly report: object
  /** The same with placeholders for addresses and names: for others to see. */
  readonly redacted: object
}

export interface DashboardOptions {
  /** Port 0: one that the system picks. */
  readonly listen: TransportAddress
  /** Demanded from whoever asks for data. Required unless `listen` is a loopback address. At least 16 bytes. */
  readonly token?: string | undefined
  /** Serves HTTPS. */
  readonly certificate?: ServerCertificate | undefined
  /** Credentials that expire, made anew for each page that asks. */
  readonly iceServers: () => readonly PageIceServer[]
  readonly hostCheck?: HostCheck | undefined
  readonly relay?: RelaySource | undefined
  /** Where check-ups are kept; without it they are forgotten at the end. */
  readonly dataDirectory?: string | undefined
  /** Where the built page is. Default: beside this file. */
  readonly webRoot?: string | undefined
  /** A line for the operator: what went wrong while serving. */
  readonly onLog?: ((message: string) => void) | undefined
}

export interface DashboardPorts {
  readonly clock: Clock
  readonly random: Random
}

/** A running dashboard. */
export interface Dashboard {
  readonly local: TransportAddress
  /** For a browser; without the token. */
  readonly url: string
  /** Ends every connection. */
  close(): Promise<void>
}
