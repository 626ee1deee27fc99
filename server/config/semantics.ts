/** Rules of the configuration that no single value shows. They look at the file's raw data, so that they report beside wrong values. */

import { relative, resolve } from 'node:path'
import type { KeyPath } from './locate.ts'
import { PLAIN_DATASET } from './places.ts'
import { parseSize } from './sizes.ts'

export interface Finding {
  readonly path: KeyPath
  readonly message: string
}

type Table = Readonly<Record<string, unknown>>

/** Names with a meaning of their own in SMB. */
const RESERVED_SHARES = ['ipc$', 'admin$']
const DIALECTS = ['2.0.2', '2.1', '3.0', '3.0.2', '3.1.1']
export const DEFAULT_STATE_DIRECTORY = '/var/lib/poolhouse'

/**
 * Checks what concerns several values at once.
 *
 * @param baseDirectory what relative paths count from
 */
export function checkSemantics(data: unknown, baseDirectory: string): Finding[] {
  const root = asTable(data) ?? {}
  const shares = asTables(root['share'])
  const targets = asTables(root['target'])
  return [
    ...checkProtocolRange(asTable(root['smb']) ?? {}),
    ...checkDuplicates(shares, 'share', 'name'),
    ...shares.flatMap((share, index) => checkShare(share, ['share', index])),
    ...checkStateDirectory(root, shares, baseDirectory),
    ...asTables(root['replicate']).flatMap((one, index) =>
      checkReplication(one, shares, ['replicate', index]),
    ),
    ...checkDuplicates(targets, 'target', 'name'),
    ...targets.flatMap((target, index) => checkTarget(target, ['target', index])),
  ]
}

function checkProtocolRange(smb: Table): Finding[] {
  const lowest = DIALECTS.indexOf(String(smb['min_protocol'] ?? '3.0'))
  const highest = DIALECTS.indexOf(String(smb['max_protocol'] ?? '3.1.1'))
  if (lowest < 0 || highest < 0 || lowest <= highest) return []
  const key = 'max_protocol' in smb ? 'max_protocol' : 'min_protocol'
  return [
    {
      path: ['smb', key],
      message: `max_protocol ("${DIALECTS[highest]}") is below min_protocol ("${DIALECTS[lowest]}"); no client could connect`,
    },
  ]
}

/** Share and target names are told apart without regard to case. */
function checkDuplicates(tables: readonly Table[], kind: string, key: string): Finding[] {
  const seen = new Map<string, string>()
  return tables.flatMap((table, index) => {
    const name = table[key]
    if (typeof name !== 'string') return []
    const first = seen.get(name.toLowerCase())
    seen.set(name.toLowerCase(), first ?? name)
    if (first === undefined) return []
    return [
      {
        path: [kind, index, key],
        message: `"${name}" names a ${kind} a second time (the first is "${first}"); choose another name`,
      },
    ]
  })
}

function checkShare(share: Table, path: KeyPath): Finding[] {
  const findings: Finding[] = []
  const name = share['name']
  if (typeof name === 'string' && RESERVED_SHARES.includes(name.toLowerCase())) {
    findings.push({
      path: [...path, 'name'],
      message: `"${name}" is reserved by the protocol; choose another name`,
    })
  }
  findings.push(...exactlyOne(share, path, ['path', 'dataset'], 'what the share serves'))
  if ('dataset' in share && 'snapshot_folder' in share) {
    findings.push({
      path: [...path, 'snapshot_folder'],
      message: 'goes not together with dataset, whose snapshots are shown by themselves; remove it',
    })
  }
  if (Array.isArray(share['protocols']) && share['protocols'].length === 0) {
    findings.push({
      path: [...path, 'protocols'],
      message: 'is empty, so nobody could reach the share; use ["smb"]',
    })
  }
  return findings
}

function checkReplication(table: Table, shares: readonly Table[], path: KeyPath): Finding[] {
  const findings = exactlyOne(table, path, ['share', 'dataset'], 'what is replicated')
  const { share: name, dataset, to } = table
  const share = shares.find((each) => typeof name === 'string' && sameName(each['name'], name))
  if (typeof name === 'string' && share?.['dataset'] === undefined) {
    const fault = share === undefined ? `there is no share "${name}"` : `share "${name}" is a folder`
    findings.push({
      path: [...path, 'share'],
      message: `${fault}; use the name of a share with "dataset", or set dataset here`,
    })
  }
  const source = dataset ?? share?.['dataset']
  if (typeof source === 'string' && !PLAIN_DATASET.test(source)) {
    const key = dataset === undefined ? 'share' : 'dataset'
    findings.push({
      path: [...path, key],
      message: `"${source}" has a space in its name and cannot be replicated; rename it: zfs rename`,
    })
  }
  if (source !== undefined && source === to) {
    findings.push({ path: [...path, 'to'], message: `"${to}" is the source itself; use another dataset` })
  }
  return findings
}

function sameName(one: unknown, other: string): boolean {
  return typeof one === 'string' && one.toLowerCase() === other.toLowerCase()
}

function exactlyOne(table: Table, path: KeyPath, keys: readonly string[], purpose: string): Finding[] {
  const present = keys.filter((key) => key in table)
  const choices = keys.join(' or ')
  if (present.length === 0)
    return [{ path: [...path, keys[0] ?? ''], message: `is missing; set ${choices}, ${purpose}` }]
  if (present.length === 1) return []
  return [
    {
      path: [...path, present[1] ?? ''],
      message: `goes not together with ${present[0]}; set ${choices}, not both`,
    },
  ]
}

/** Accounts and keys must not be reachable through a share. */
function checkStateDirectory(root: Table, shares: readonly Table[], baseDirectory: string): Finding[] {
  const configured = asTable(root['server'])?.['state_dir'] ?? DEFAULT_STATE_DIRECTORY
  if (typeof configured !== 'string') return []
  const state = resolve(baseDirectory, configured)
  return shares.flatMap((share, index) => {
    if (typeof share['path'] !== 'string') return []
    const served = resolve(baseDirectory, share['path'])
    if (!isWithin(state, served) && !isWithin(served, state)) return []
    const message = `${served} overlaps the state directory ${state}, which holds accounts and keys; move one of them`
    return [{ path: ['share', index, 'path'], message }]
  })
}

/** Whether `inner` is `outer` or lies below it, by their names. */
export function isWithin(inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path === '' || (path !== '..' && !path.startsWith('../'))
}

function checkTarget(target: Table, path: KeyPath): Finding[] {
  const findings: Finding[] = []
  const seen = new Set<unknown>()
  asTables(target['lun']).forEach((lun, index) => {
    const lunPath = [...path, 'lun', index]
    findings.push(...exactlyOne(lun, lunPath, ['path', 'zvol', 'extents'], 'what the LUN stores on'))
    if (seen.has(lun['id']))
      findings.push({ path: [...lunPath, 'id'], message: `${lun['id']} is a second time in this target` })
    seen.add(lun['id'])
    if ('block_size' in lun && lun['block_size'] !== 512 && lun['block_size'] !== 4096) {
      findings.push({
        path: [...lunPath, 'block_size'],
        message: `${lun['block_size']} is not allowed; use 512 or 4096`,
      })
    }
    findings.push(...checkPhysicalBlockSize(lun, lunPath), ...checkVolblocksize(lun, lunPath))
  })
  const chap = asTable(target['chap'])
  if (chap && 'mutual_user' in chap !== 'mutual_secret_file' in chap) {
    const present = 'mutual_user' in chap ? 'mutual_user' : 'mutual_secret_file'
    findings.push({
      path: [...path, 'chap', present],
      message: 'stands alone; set mutual_user and mutual_secret_file together',
    })
  }
  return findings
}

function checkPhysicalBlockSize(lun: Table, path: KeyPath): Finding[] {
  const physical = lun['physical_block_size']
  const logical = lun['block_size'] ?? 512
  if (typeof physical !== 'number' || typeof logical !== 'number') return []
  if (physical >= logical && Number.isInteger(Math.log2(physical))) return []
  const message = `${physical} is not allowed; use a power of two that is not below block_size (${logical})`
  return [{ path: [...path, 'physical_block_size'], message }]
}

const VOLBLOCKSIZE_MINIMUM = 512
const VOLBLOCKSIZE_MAXIMUM = 131_072

/** zfsprops(7): from a sector to 128 KiB. */
function checkVolblocksize(lun: Table, path: KeyPath): Finding[] {
  const bytes = parseSize(lun['volblocksize'])
  if (bytes === undefined) return []
  const at = [...path, 'volblocksize']
  if (!('zvol' in lun)) return [{ path: at, message: 'is for a zvol; remove it' }]
  const isAllowed =
    bytes >= VOLBLOCKSIZE_MINIMUM && bytes <= VOLBLOCKSIZE_MAXIMUM && Number.isInteger(Math.log2(bytes))
  return isAllowed
    ? []
    : [{ path: at, message: `${bytes} is not allowed; use a power of two up to "128KiB"` }]
}

function asTable(value: unknown): Table | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Table) : undefined
}

/** The items that are tables; others keep their position as empty ones. */
function asTables(value: unknown): Table[] {
  return Array.isArray(value) ? value.map((item) => asTable(item) ?? {}) : []
}
