/** Keys of long-term credentials, as `turnadmin -k` makes them. */
import { createHash } from 'node:crypto'

/** MD5(name ":" realm ":" password) in hexadecimal: what stands behind 0x. It works for this realm only. RFC 8489 §9.2.2 */
export const userKey = (name: string, realm: string, password: string): string =>
  createHash('md5').update(`${name}:${realm}:${password}`).digest('hex')
