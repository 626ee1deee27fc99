/** `poolhouse status`, `session close`, `file close`: asks the running server. */

import Table from 'cli-table3'
import { formatSize } from '../config/sizes.ts'
import type { Outcome } from '../outcome.ts'
import { BACKUP_COLUMNS, backupRow } from '../status/backup-lines.ts'
import { closeFile, closeSession, fetchReport } from '../status/client.ts'
import { type StatusReport, suspendedPools } from '../status/report.ts'
import { SHARE_COLUMNS, shareRow } from '../status/share-lines.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, fail, print } from './context.ts'
import { readConfiguration } from './read-configuration.ts'

export interface StatusOptions extends CommonOptions {
  readonly json?: boolean
}

export async function showStatus(context: CommandContext, options: StatusOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const report = await fetchReport(configuration.server.stateDir)
  if (!report.ok) return fail(context, report.message)
  print(context, options.json ? JSON.stringify(report.value, undefined, 2) : describe(report.value))
  return ExitCode.done
}

export function endSession(context: CommandContext, id: string, options: CommonOptions): Promise<ExitCode> {
  return closeOne(context, options, `session ${id}`, (stateDirectory) => closeSession(stateDirectory, id))
}

export function endOpen(context: CommandContext, id: string, options: CommonOptions): Promise<ExitCode> {
  return closeOne(context, options, `file ${id}`, (stateDirectory) => closeFile(stateDirectory, id))
}

async function closeOne(
  context: CommandContext,
  options: CommonOptions,
  what: string,
  close: (stateDirectory: string) => Promise<Outcome<unknown>>,
): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const outcome = await close(configuration.server.stateDir)
  if (!outcome.ok) return fail(context, `${what}: ${outcome.message}`)
  print(context, `${what} closed`)
  return ExitCode.done
}

function describe(report: StatusReport): string {
  const { server, totals } = report
  const size = (bytes: number | undefined): string => (bytes === undefined ? '?' : formatSize(bytes))
  return [
    `${server.name}: poolhouse ${server.version}, process ${server.pid}, since ${server.started}`,
    ...server.listeners.map(({ protocol, address }) => `listening ${protocol} ${address}`),
    `read ${size(totals.bytesRead)}, written ${size(totals.bytesWritten)}, ${totals.requests} requests, ` +
      `${totals.failedLogins} failed logins`,
    ...suspendedPools(report).map((pool) => `the pool ${pool} is SUSPENDED: zpool status ${pool}`),
    table('Shares', SHARE_COLUMNS, report.shares.map(shareRow)),
    ...(report.backups.length === 0 ? [] : [table('Backups', BACKUP_COLUMNS, report.backups.map(backupRow))]),
    table(
      'Sessions',
      ['Id', 'User', 'Address', 'Protocol', 'Protection', 'Idle'],
      report.sessions.map((one) => [
        one.id,
        one.user || '(anonymous)',
        one.address,
        `${one.protocol} ${one.dialect}`,
        one.encrypted ? 'encrypted' : one.signed ? 'signed' : 'none',
        `${one.idleSeconds} s`,
      ]),
    ),
    table(
      'Shares in use',
      ['Session', 'Share', 'Since'],
      report.treeConnects.map((one) => [one.sessionId, one.share, one.since]),
    ),
    table(
      'Open files',
      ['Id', 'Session', 'Share', 'Path', 'Access', 'Caching', 'Locks'],
      report.opens.map((one) => [
        one.id,
        one.sessionId,
        one.share,
        one.path,
        one.access,
        one.caching,
        String(one.locks),
      ]),
    ),
  ].join('\n')
}

function table(title: string, head: string[], rows: readonly string[][]): string {
  if (rows.length === 0) return `${title}: none`
  const shown = new Table({ head, style: { head: [] } })
  shown.push(...rows)
  return `${title}\n${shown.toString()}`
}
