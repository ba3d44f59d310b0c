/** What `natcheck compare` does: reads two saved reports, reasons, prints. */
import { resolve } from 'node:path'
import { analyseFamily } from '../../probe/nat/index.ts'
import { type ComparedReport, compareReports, peerNetwork, renderCompare } from '../../report/index.ts'
import { colorLevel } from '../color.ts'
import { type CliIo, type ExitCode, exitCodes } from '../io.ts'
import { readSavedReport } from '../nat/saved.ts'

/** Throws BAD_FILE. */
export async function compareCommand(
  [fileA, fileB]: readonly [string, string],
  flags: Readonly<Record<string, unknown>>,
  io: CliIo,
): Promise<ExitCode> {
  const [a, b] = [await read(fileA, io), await read(fileB, io)]
  const report = compareReports(a, b, { relay: flags['relay'] !== false })
  const style = { level: colorLevel(flags['color'] as boolean | undefined, io), width: Math.min(80, io.columns ?? 80) }
  await io.out(flags['json'] === true ? `${JSON.stringify(report, null, 2)}\n` : renderCompare(report, style))
  const { connects } = report.verdict
  return connects === null ? exitCodes.unmeasured : connects ? exitCodes.ok : exitCodes.failed
}

async function read(file: string, io: CliIo): Promise<ComparedReport> {
  const { nat, ice } = await readSavedReport(resolve(io.cwd, file))
  const { startedAt, observations, redacted } = nat
  const families = observations.map((family) => ({ observations: family, finding: analyseFamily(family) }))
  return { file, startedAt, network: peerNetwork(families, redacted, ice) }
}
