/** Secrets that are weak, public or in the wrong place. */
import type { Rule } from '../rule.ts'
import { beyond0640, holdsSecret, sample, userName } from '../problems.ts'

/** Fewer bytes than these, and a secret can be guessed from one pair of credentials. */
const shortestSecret = 32

/** Random text of that length never has fewer different characters. */
const fewCharacters = 7

const textbook =
  /^(?:north|logen|logen2?|openrelayproject(?:secret)?|my-?(?:static-?)?(?:auth-?)?secret|static-?auth-?secret|your[-_ ]?(?:static[-_ ]?)?(?:auth[-_ ]?)?(?:secret|password)(?:[-_ ]?(?:key|here))?|(?:super|very)?-?secret(?:key)?|change[-_]?me!?|change[-_]?this|replace[-_ ]?(?:me|this).*|qwerty(?:\d+)?|pass(?:word)?\d*|admin|root|test(?:ing)?\d*|turn(?:server|user|pass(?:word)?)?\d*|coturn|guest|example|youhavetoberealistic|letmein|\d{1,8}|a+|x+|<.*>|\{\{.*\}\}|\$\{.*\})$/i

const secretNames = ['static-auth-secret', 'stateless-nonce-secret'] as const

export const secretRules: readonly Rule[] = [
  {
    id: 'secret-short',
    severity: 'error',
    why: 'Who has one pair of credentials can try secrets offline: HMAC-SHA1 takes billions of guesses a second.',
    fix: 'make one of 32 random bytes: openssl rand -hex 32',
    reference: 'draft-uberti-behave-turn-rest-00 §5',
    *check(conf) {
      for (const name of secretNames) {
        for (const at of conf.all(name)) {
          const bytes = Buffer.byteLength(at.value)
          if (bytes < shortestSecret) yield { at, message: `${name} has ${bytes} bytes, fewer than ${shortestSecret}` }
        }
      }
    },
    bad: sample('static-auth-secret=correct-horse\n'),
    good: sample('static-auth-secret=f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6\n'),
  },
  {
    id: 'secret-sample',
    severity: 'error',
    why: 'This secret stands in manuals and tutorials: everybody can make credentials.',
    fix: 'make your own: openssl rand -hex 32',
    reference: 'CWE-798',
    *check(conf) {
      for (const name of secretNames)
        for (const at of conf.all(name)) if (textbook.test(at.value)) yield { at, message: `${name} is a textbook's` }
    },
    bad: sample('static-auth-secret=north\n'),
    good: sample('static-auth-secret=f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6\n'),
  },
  {
    id: 'secret-not-random',
    severity: 'error',
    why: 'Words and repetitions are guessed long before 32 random bytes are.',
    fix: 'make one of 32 random bytes: openssl rand -hex 32',
    reference: 'NIST SP 800-63B §5.1.1.2',
    *check(conf) {
      for (const name of secretNames) {
        for (const at of conf.all(name)) {
          const isLong = Buffer.byteLength(at.value) >= shortestSecret
          const isPlain =
            new Set(at.value).size < fewCharacters || /secret|passw|change|replace|example|qwert|12345/i.test(at.value)
          if (isLong && isPlain) yield { at, message: `${name} is long, but not random` }
        }
      }
    },
    bad: sample('static-auth-secret=this-is-the-secret-of-our-turn-server\n'),
    good: sample('static-auth-secret=f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6\n'),
  },
  {
    id: 'user-password-sample',
    severity: 'error',
    why: 'This password is among the first that anybody tries.',
    fix: 'make a random one, and store its key: turnadmin -k',
    reference: 'CWE-521',
    *check(conf) {
      for (const at of conf.all('user')) {
        const name = userName(at.value)
        const password = at.value.slice(name.length + 1).trim()
        if (textbook.test(password) || (password !== '' && password === name))
          yield { at, message: `the password of ${name} is easily guessed` }
      }
    },
    bad: sample('user=guest:somepassword\nuser=test:test123\n'),
    good: sample('user=alice:kX9-vq2_LmPd70aZ\n'),
  },
  {
    id: 'user-password-plain',
    severity: 'hint',
    why: 'A password in clear is everybody’s who reads the file. A key works for this realm only.',
    fix: 'store the key that turnadmin -k prints: user=NAME:0xKEY',
    reference: 'RFC 8489 §9.2.2',
    *check(conf) {
      for (const at of conf.all('user'))
        if (/^[^:]+:\s*(?!0x)\S/.test(at.value))
          yield { at, message: `the password of ${userName(at.value)} stands in clear` }
    },
    bad: sample('user=alice:wonderland\n'),
    good: sample('user=alice:0xbf9bd0d3c1d1b8ac3b9e2ab8e6b1d9c4\n'),
  },
  {
    id: 'secret-on-command-line',
    severity: 'error',
    why: 'Everybody on the machine reads command lines (ps), and shells keep them.',
    fix: 'put it in the configuration file, mode 0640',
    reference: 'CWE-214',
    *check(conf) {
      for (const at of conf.settings)
        if (at.written !== undefined && holdsSecret(at))
          yield { at, message: `${at.written} shows its secret to everybody on the machine` }
    },
    bad: sample('', { command: 'turnserver --user=alice:wonderland -r example.org' }),
    good: sample('user=alice:wonderland\n', { command: 'turnserver -r example.org' }),
  },
  {
    id: 'file-mode',
    severity: 'error',
    why: 'The file holds secrets, and others than coturn may read or change it.',
    fix: 'chmod 0640, and chgrp to the group that coturn runs as',
    reference: 'CWE-732',
    *check(conf, { mode }) {
      const secret = conf.settings.find((setting) => setting.line && holdsSecret(setting))
      if (secret && mode !== undefined && beyond0640(mode))
        yield { at: secret, message: `${secret.spec.name} in a file of mode 0${(mode & 0o777).toString(8)}` }
    },
    bad: sample('static-auth-secret=x\n', { observed: { mode: 0o644 } }),
    good: sample('static-auth-secret=x\n', { observed: { mode: 0o640 } }),
  },
  {
    id: 'cli-password-sample',
    severity: 'error',
    why: 'Who reaches the console with this password reads users and ends sessions.',
    fix: 'switch the console off, or hash a random password with turnadmin -P',
    reference: 'CWE-798',
    *check(conf) {
      const at = conf.last('cli-password')
      if (at && textbook.test(at.value)) yield { at, message: 'the password of the console is a textbook’s' }
    },
    bad: sample('cli-password=qwerty\n'),
    good: sample('cli-password=$5$79a316b350311570$81df9cfb9af7f5e5a76eada31e7097b663a0670f99a3c07ded3f1c8e59c5658a\n'),
  },
  {
    id: 'cli-password-plain',
    severity: 'warning',
    why: 'The console’s password stands in clear.',
    fix: 'hash it: turnadmin -P -p PASSWORD',
    reference: 'turnserver(1), cli-password',
    *check(conf) {
      const at = conf.last('cli-password')
      if (at && at.value !== '' && !at.value.startsWith('$5$')) yield { at, message: 'cli-password is not hashed' }
    },
    bad: sample('cli-password=kX9-vq2_LmPd70aZ\n'),
    good: sample('cli-password=$5$79a316b350311570$81df9cfb9af7f5e5a76eada31e7097b663a0670f99a3c07ded3f1c8e59c5658a\n'),
  },
  {
    id: 'key-password-in-file',
    severity: 'hint',
    why: 'A key and its password on the same disk protect nothing.',
    fix: 'store the key unencrypted, mode 0640, and drop pkey-pwd',
    reference: 'CWE-312',
    *check(conf) {
      const at = conf.last('pkey-pwd')
      if (at && at.value !== '') yield { at, message: 'the password of the key lies next to it' }
    },
    bad: sample('pkey-pwd=x\n'),
    good: sample('pkey=/etc/turnserver/key.pem\n'),
  },
]
