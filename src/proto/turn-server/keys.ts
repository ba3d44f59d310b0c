/** Addresses as keys of Maps: numbers for IPv4, which hash several times faster than text. */
import type { IpAddress, TransportAddress } from '../../core/index.ts'

/** `ip * 65536 + port` for IPv4 (48 bits fit a double), `ip port` for IPv6. Equal exactly when the addresses are. */
export type AddressKey = number | string

/** An IPv4 address as an unsigned number, IPv6 as its canonical text. */
export type IpKey = number | string

export const ipKey = (ip: IpAddress): IpKey => ipv4Number(ip) ?? ip

export const addressKey = ({ ip, port }: TransportAddress): AddressKey => {
  const number = ipv4Number(ip)
  return number === undefined ? `${ip} ${port}` : number * 65536 + port
}

/** The 32 bits of a canonical IPv4 address; undefined for IPv6. */
export function ipv4Number(ip: IpAddress): number | undefined {
  let value = 0
  let part = 0
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i)
    if (code === 0x2e) {
      value = value * 256 + part
      part = 0
    } else if (code >= 0x30 && code <= 0x39) part = part * 10 + code - 0x30
    else return undefined
  }
  return value * 256 + part
}
