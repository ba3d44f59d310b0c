/** What an `icecandidateerror` of a browser means: W3C WebRTC §4.8.3, RTCPeerConnectionIceErrorEvent. */
import type { Explanation } from './causes.ts'

/** `text` is the browser's own, which is all that tells one 701 from another. */
export function explainGatheringError(code: number, text: string, url: string): Explanation {
  return (
    responses[code] ??
    (code === 701
      ? unreached(text, url)
      : { message: `the server answers ${code} ${text}`.trim(), fix: "look in the server's log for the reason" })
  )
}

/** Error responses of STUN and TURN. RFC 8489 §14.8, RFC 8656 §18.13 */
const responses: Readonly<Record<number, Explanation>> = {
  300: {
    message: 'the server sends clients elsewhere, and browsers do not follow',
    fix: 'name the other server in iceServers',
  },
  400: { message: 'the server calls the request malformed', fix: 'check that it is a TURN server of today (RFC 8656)' },
  401: {
    message: 'the server refuses the user name or password',
    fix: 'check both, and for credentials that expire the clocks and the shared secret',
  },
  403: { message: 'the server forbids it', fix: 'check its rules on users, addresses and peers' },
  437: { message: 'the server believes that this address has an allocation already', fix: 'try again in ten minutes' },
  438: { message: 'the server calls every nonce stale', fix: 'give servers behind one address the same nonce key' },
  441: { message: 'the allocation belongs to other credentials', fix: 'restart ICE with the new credentials' },
  442: { message: 'the server does not relay over this transport', fix: 'relay over UDP' },
  486: { message: 'the quota of this user is used up', fix: 'end other connections, or raise the quota' },
  500: { message: 'the server had an internal error', fix: "look in the server's log" },
  508: { message: 'the server has no relay address left', fix: 'widen its port range' },
}

function unreached(text: string, url: string): Explanation {
  if (/lookup|resolv|dns/i.test(text)) {
    return {
      message: 'the name of the server can not be looked up',
      fix: 'check the spelling, and that it exists in DNS',
    }
  }
  if (url.startsWith('turns:') || url.startsWith('stuns:')) {
    return {
      message: 'no TLS connection to the server',
      fix: 'check that it listens there, that a firewall lets the port through, and its certificate: name, chain, date',
    }
  }
  if (url.includes('transport=tcp')) {
    return {
      message: 'no TCP connection to the server',
      fix: 'check that it listens there, and that a firewall lets the port through',
    }
  }
  return {
    message: 'the server does not answer over UDP',
    fix: 'check that it runs, and that UDP to its port is let through; offer it over TLS on port 443 too',
  }
}
