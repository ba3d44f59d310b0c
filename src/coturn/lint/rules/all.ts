/** All rules. */
import type { Rule } from '../rule.ts'
import { addressRules } from './addresses.ts'
import { adminRules } from './admin.ts'
import { argumentRules } from './arguments.ts'
import { authRules } from './auth.ts'
import { containerRules } from './containers.ts'
import { limitRules } from './limits.ts'
import { parserRules } from './parser.ts'
import { peerRules } from './peers.ts'
import { rangeRules } from './ranges.ts'
import { secretRules } from './secrets.ts'
import { tlsRules } from './tls.ts'
import { valueRules } from './values.ts'
import { versionRules } from './versions.ts'

export const allRules: readonly Rule[] = [
  ...parserRules,
  ...valueRules,
  ...argumentRules,
  ...authRules,
  ...secretRules,
  ...peerRules,
  ...rangeRules,
  ...addressRules,
  ...limitRules,
  ...tlsRules,
  ...versionRules,
  ...adminRules,
  ...containerRules,
]
