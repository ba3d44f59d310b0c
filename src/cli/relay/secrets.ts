/** Users, secrets, keys and certificates as files hold them. What is wrong is said without the secret itself. */
import { readFileSync } from 'node:fs'
import { NatcheckError, type ServerCertificate } from '../../core/index.ts'
import { shortestSecretBytes } from '../../relay/credentials.ts'
import type { RelayUser } from '../../relay/options.ts'
import { usage } from '../io.ts'

/** Throws BAD_FILE. `what` completes "the … can't be read". */
export function readTextFile(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw bad(`the ${what} ${path} can't be read`, 'check that it is there, and that this user may read it', cause)
  }
}

/** `NAME:PASSWORD`; the password may hold colons. */
export function parseUser(text: string, where: string): RelayUser {
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) throw usage(`${where} is not NAME:PASSWORD`, 'write alice:her-password')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** One NAME:PASSWORD a line; empty lines and lines that begin with # don't count. */
export function readUsersFile(path: string): RelayUser[] {
  const users = linesOf(readTextFile(path, 'users file')).map(({ line, number }) => {
    const colon = line.indexOf(':')
    if (colon < 1 || colon === line.length - 1) {
      throw bad(`line ${number} of the users file ${path} is not NAME:PASSWORD`, 'write alice:her-password')
    }
    return { username: line.slice(0, colon), password: line.slice(colon + 1), number }
  })
  const seen = new Set<string>()
  for (const { username, number } of users) {
    if (seen.has(username)) throw bad(`line ${number} of the users file ${path} names ${username} again`, 'keep one')
    seen.add(username)
  }
  return users.map(({ username, password }) => ({ username, password }))
}

/** One secret a line: the first is the one to mint with, all are accepted. */
export function readSecretFile(path: string): string[] {
  const secrets = linesOf(readTextFile(path, 'secret file'))
  for (const { line, number } of secrets) checkSecret(line, `the secret in line ${number} of ${path}`)
  if (secrets.length === 0) throw bad(`the secret file ${path} holds no secret`, makeOne(path))
  return secrets.map(({ line }) => line)
}

/** Throws USAGE for a secret that could be guessed. */
export function checkSecret(secret: string, where: string): void {
  const length = Buffer.byteLength(secret)
  if (length >= shortestSecretBytes) return
  throw usage(`${where} has ${length} bytes; it needs ${shortestSecretBytes}`, makeOne('FILE'))
}

/** At least 16 bytes of any kind. */
export function readNonceKey(path: string): Uint8Array {
  const key = Buffer.from(readTextFile(path, 'nonce key file').trim(), 'utf8')
  if (key.length < shortestSecretBytes) {
    throw usage(`the nonce key in ${path} has ${key.length} bytes; it needs ${shortestSecretBytes}`, makeOne(path))
  }
  return key
}

export const readCertificate = (cert: string, key: string): ServerCertificate => ({
  cert: readTextFile(cert, 'certificate'),
  key: readTextFile(key, 'key'),
})

const makeOne = (path: string): string => `make one: openssl rand -hex 32 > ${path}`

function linesOf(text: string): { line: string; number: number }[] {
  return text
    .split('\n')
    .map((line, index) => ({ line: line.replace(/\r$/, '').trim(), number: index + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
}

const bad = (message: string, fix: string, cause?: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', message, { fix, cause })
