/** `poolhouse check`: what would go wrong, before it does. One line per finding. */

import { userInfo } from 'node:os'
import type { Identity } from '../../storage/file-system.ts'
import type { Delegate } from '../../storage/zfs/delegation.ts'
import type { Account } from '../accounts/account.ts'
import { accountKey } from '../accounts/account.ts'
import type { ForcedIdentity } from '../accounts/identity.ts'
import {
  forcedIdentity,
  identityOf,
  isListed,
  mayUse,
  referencedNames,
  unixUserOf,
} from '../accounts/identity.ts'
import { readAccounts } from '../accounts/store.ts'
import { SystemUsers } from '../accounts/system-users.ts'
import type { Configuration, ShareConfiguration } from '../config/types.ts'
import { probeDiscovery } from '../probe/discovery-probe.ts'
import { limitFindings } from '../probe/limits.ts'
import { type LunFault, probeLun, probeNumbers } from '../probe/lun-probe.ts'
import { describeFault, probeAs, probeFolder } from '../probe/share-probe.ts'
import { backupSpaceFault, macConsequence, timeMachineFaults } from '../probe/time-machine.ts'
import { missingRights } from '../probe/zfs-rights.ts'
import { notBuilt, servedShares } from '../serve/not-built.ts'
import { prepareDatasets } from '../zfs/dataset-shares.ts'
import { createCommandRunner } from '../zfs/run-command.ts'
import { whyUnusable } from '../zfs/volume-targets.ts'
import type { CommandContext, CommonOptions } from './context.ts'
import { ExitCode, print } from './context.ts'
import { readConfiguration } from './read-configuration.ts'

export interface CheckOptions extends CommonOptions {
  readonly json?: boolean
}

export interface CheckFinding {
  /** A note does not fail the check. */
  readonly severity: 'error' | 'warning' | 'note'
  /** Absent: the server as a whole. */
  readonly share?: string
  readonly message: string
}

export async function check(context: CommandContext, options: CheckOptions): Promise<ExitCode> {
  const configuration = await readConfiguration(context, options)
  if (!configuration) return ExitCode.usage
  const findings = await examine(configuration, context.isRoot)
  const failing = findings.filter((finding) => finding.severity !== 'note')
  if (options.json) {
    print(context, JSON.stringify({ source: configuration.source ?? null, findings }, undefined, 2))
  } else {
    for (const { severity, share, message } of findings) {
      print(
        context,
        share === undefined ? `${severity}: ${message}` : `${severity}: share "${share}": ${message}`,
      )
    }
    if (failing.length === 0)
      print(context, `${configuration.source ?? 'built-in configuration'}: no problems found`)
  }
  return failing.length === 0 ? ExitCode.done : ExitCode.failed
}

/** Examines accounts, names and every share that is served. */
export async function examine(
  written: Configuration,
  isRoot: boolean,
  zfs = createCommandRunner(),
): Promise<CheckFinding[]> {
  const { configuration, failures } = await prepareDatasets(written, zfs, 'none')
  const findings: CheckFinding[] = notBuilt(configuration).map(({ missing, message }) => ({
    severity: missing ? 'warning' : 'note',
    message,
  }))
  findings.push(
    ...failures.map(({ share, message }): CheckFinding => ({ severity: 'warning', share, message })),
  )
  const read = readAccounts(configuration.server.stateDir)
  if (!read.ok) findings.push({ severity: 'error', message: read.message })
  const accounts = read.ok ? read.value : []
  const users = new SystemUsers()
  const names = referencedNames(configuration.shares, accounts)
  await users.prepare(names.users, names.groups)
  if (!isRoot) {
    findings.push({ severity: 'note', message: 'not run as root: all clients act as the current user' })
    for (const message of await missingRights(configuration, currentDelegate(users), zfs)) {
      findings.push({ severity: 'warning', message })
    }
  }
  if (configuration.shares.length === 0 && configuration.targets.length === 0) {
    findings.push({ severity: 'warning', message: 'there is no [[share]]; nothing is served' })
  }
  if (read.ok && accounts.length === 0 && configuration.source !== undefined && !configuration.smb.guest) {
    findings.push({ severity: 'warning', message: 'there are no accounts; add one: poolhouse user add NAME' })
  }
  findings.push(...probeDiscovery(configuration))
  for (const target of configuration.targets) {
    for (const { severity, message } of probeNumbers(target.lun)) {
      findings.push({ severity, message: `target "${target.name}": ${message}` })
    }
    for (const lun of target.lun) {
      const reason = await whyUnusable(lun, zfs).catch((error: Error) => error.message)
      const faults: readonly LunFault[] =
        reason === undefined ? await probeLun(lun) : [{ severity: 'warning', message: reason }]
      for (const { severity, message } of faults) {
        findings.push({ severity, message: `target "${target.name}", LUN ${lun.id}: ${message}` })
      }
    }
  }
  const served = servedShares(configuration)
  for (const share of served) {
    const allowed = accounts.filter((account) => !account.disabled && mayUse(share, account, users))
    for (const finding of await limitFindings(share, served, allowed.length)) {
      findings.push({ ...finding, share: share.name })
    }
    for (const finding of await backupFindings(share, configuration)) {
      findings.push({ ...finding, share: share.name })
    }
    for (const finding of await examineShare(share, accounts, users, isRoot)) {
      findings.push({ ...finding, share: share.name })
    }
  }
  return findings
}

/** This process, as zfs-allow(8) names it. */
function currentDelegate(users: SystemUsers): Delegate {
  const { username } = userInfo()
  const groups = process.getgroups?.() ?? []
  return { user: username, groups: groups.flatMap((gid) => users.groupNameOf(gid) ?? []) }
}

type ServedShare = ShareConfiguration & { readonly path: string }

/** Why Macs would refuse it for backups. Little space may be enough for a small Mac: a note. */
async function backupFindings(share: ServedShare, { smb }: Configuration): Promise<CheckFinding[]> {
  if (!share.timeMachine) return []
  const space = await backupSpaceFault(share.path)
  const findings: CheckFinding[] = timeMachineFaults(share, smb).map((message) => ({
    severity: 'error',
    message,
  }))
  return space === undefined ? findings : [...findings, { severity: 'note', message: space }]
}

async function examineShare(
  share: ServedShare,
  accounts: readonly Account[],
  users: SystemUsers,
  isRoot: boolean,
): Promise<CheckFinding[]> {
  const error = (message: string): CheckFinding => ({ severity: 'error', message })
  const findings = unknownNames(share, accounts, users)
  const folder = await probeFolder(share.path)
  findings.push(...folder.faults.map(error))
  if (!folder.usable) return findings
  const forced = forcedIdentity(share, users)
  if (!forced.ok) return [...findings, error(forced.message)]
  const allowed = accounts.filter((account) => !account.disabled && mayUse(share, account, users))
  if (isRoot && !forced.value.user) {
    for (const account of allowed) {
      const identity = identityOf(account, users, isRoot)
      if (!identity.ok) findings.push(error(identity.message))
    }
  }
  for (const [who, identity] of actors(share, allowed, users, isRoot, forced.value)) {
    for (const fault of await probeAs({ path: share.path, identity, readOnly: share.readOnly })) {
      const severity = fault.probe === 'punch' ? 'warning' : 'error'
      const consequence = share.timeMachine ? macConsequence(fault) : ''
      findings.push({ severity, message: describeFault(who, share.path, fault) + consequence })
    }
  }
  return findings
}

/** Who will use the share, each identity once: the forced user, or each account, or the server's own user. */
function actors(
  share: ServedShare,
  allowed: readonly Account[],
  users: SystemUsers,
  isRoot: boolean,
  forced: ForcedIdentity,
): Map<string, Identity | undefined> {
  const own = new Map([['the current user', undefined]])
  if (!isRoot) return own
  const withGroup = (identity: Identity): Identity => ({ ...identity, gid: forced.gid ?? identity.gid })
  if (forced.user) return new Map([[`user "${share.forceUser}"`, withGroup(forced.user)]])
  const byUid = new Map<number, [string, Identity]>()
  for (const account of allowed) {
    const identity = users.user(unixUserOf(account))
    if (!identity || byUid.has(identity.uid)) continue
    byUid.set(identity.uid, [`user "${account.name}"`, withGroup(identity)])
  }
  return byUid.size > 0 ? new Map(byUid.values()) : own
}

/** Names in the user lists that mean nobody. */
function unknownNames(share: ServedShare, accounts: readonly Account[], users: SystemUsers): CheckFinding[] {
  const findings: CheckFinding[] = []
  const lists = { valid_users: share.validUsers, admin_users: share.adminUsers }
  for (const [key, list] of Object.entries(lists)) {
    for (const entry of list) {
      const message = whyUnknown(entry, accounts, users)
      if (message !== undefined) findings.push({ severity: 'warning', message: `${key}: ${message}` })
    }
  }
  if (
    accounts.length > 0 &&
    share.validUsers.length > 0 &&
    !accounts.some((one) => isListed(share.validUsers, one, users))
  ) {
    findings.push({
      severity: 'warning',
      message: 'valid_users names none of the accounts; nobody can use it',
    })
  }
  return findings
}

function whyUnknown(entry: string, accounts: readonly Account[], users: SystemUsers): string | undefined {
  if (entry.startsWith('@')) {
    const group = entry.slice(1)
    return users.group(group) === undefined
      ? `there is no system group "${group}"; make it: groupadd ${group}`
      : undefined
  }
  const known = accounts.some((account) => accountKey(account.name) === accountKey(entry))
  return known ? undefined : `there is no account "${entry}"; add it: poolhouse user add ${entry}`
}
