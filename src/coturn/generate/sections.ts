/** The sections that hold what differs most from plan to plan: authentication and TLS. */
import { isBefore } from '../version.ts'
import { certificateDirectory, type CoturnPlan } from './plan.ts'
import { comment, type Entry, note, option, type Section } from './text.ts'

export function accessSection(plan: CoturnPlan): Section {
  const entries: Entry[] = [
    note('Part of every key: changing it makes all stored keys worthless.', option('realm', plan.realm)),
    ...(plan.auth.kind === 'rest' ? restEntries(plan) : userEntries(plan)),
  ]
  return { title: 'Who may use it', entries }
}

function restEntries({ auth }: CoturnPlan): Entry[] {
  const secret = auth.kind === 'rest' ? auth.secret : undefined
  const why =
    'Credentials that expire, made by your application with a secret that it shares with coturn (TURN REST API).'
  if (secret !== undefined) {
    return [
      note(why, option('use-auth-secret')),
      note(
        'The secret, the same on every node of a fleet. To rotate it, add a second line with the old one for a day.',
        option('static-auth-secret', secret),
      ),
    ]
  }
  return [
    note(
      why,
      comment(['natcheck-disable-next-line secret-missing: natcheck coturn init writes one of your own below.']),
      option('use-auth-secret'),
    ),
    note('The secret: 32 random bytes, openssl rand -hex 32. This file is then for its service only, mode 0640.'),
    '#static-auth-secret=\n',
  ]
}

function userEntries({ auth, redis, realm }: CoturnPlan): Entry[] {
  const users = auth.kind === 'users' ? auth.users : []
  const entries: Entry[] = [note('Users with passwords.', option('lt-cred-mech'))]
  if (users.length > 0) {
    entries.push(
      note(
        'Keys instead of passwords, as turnadmin -k prints them: they work for this realm only. Whoever has one can log in.',
        ...users.map(({ name, key }) => option('user', `${name}:0x${key}`)),
      ),
    )
  } else {
    entries.push(
      note(`One line a user, with the key that turnadmin -k -u NAME -r ${realm} -p PASSWORD prints.`),
      '#user=NAME:0xKEY\n',
    )
  }
  if (redis !== undefined) entries.push(note('Further users.', option('redis-userdb', redis)))
  return entries
}

export function tlsSection({ tls, version }: CoturnPlan): Section {
  const title = 'TLS'
  const isOld = isBefore(version, '4.7.0')
  if (tls.kind === 'none') {
    const lines = [option('no-tls'), ...(isBefore(version, '4.17.0') ? [option('no-dtls')] : [])]
    return {
      title,
      entries: [note('None. Networks that let only TLS on port 443 pass can’t use this relay.', ...lines)],
    }
  }
  const entries: Entry[] = []
  if (tls.kind === 'letsencrypt') {
    entries.push(
      note(
        `Only root reads /etc/letsencrypt, so a deploy hook of certbot copies the files to ${certificateDirectory} ` +
          '(0640, group turnserver) and sends SIGUSR2, on which coturn reads them again. SIGHUP would only open the log anew.',
      ),
    )
  }
  entries.push(
    note('For turns: URLs.', option('tls-listening-port', '5349'), option('cert', tls.cert), option('pkey', tls.key)),
  )
  if (isOld) entries.push(note('TLS 1.0 and 1.1 are broken (RFC 8996).', option('no-tlsv1'), option('no-tlsv1_1')))
  return { title, entries }
}
