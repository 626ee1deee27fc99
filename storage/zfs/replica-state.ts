/** zfs-list(8), zfs-holds(8): what is known of a dataset that is sent or received, on this machine or another. */

import { type CommandRunner, parseNumber, parseRows, runZfs, ZfsError } from './command.ts'
import type { ReplicaPoint, ReplicaSnapshot, ReplicaState } from './replication.ts'
import { SNAPSHOT_REASONS } from './snapshot.ts'

/** Exactly these questions are asked, so that another machine can allow them and nothing else. */
export const DATASET_QUESTION = [
  'list',
  '-Hp',
  '-t',
  'filesystem,volume',
  '-o',
  'name,receive_resume_token,written,readonly',
] as const
export const SNAPSHOT_QUESTION = [
  ...['list', '-Hp', '-d', '1', '-t', 'snapshot', '-s', 'createtxg'],
  ...['-o', 'name,guid,createtxg,creation,userrefs,poolhouse:reason'],
] as const
export const BOOKMARK_QUESTION = [
  ...['list', '-Hp', '-d', '1', '-t', 'bookmark', '-s', 'createtxg'],
  ...['-o', 'name,guid,createtxg,creation'],
] as const
export const HOLDS_QUESTION = ['holds', '-H'] as const

const MILLISECONDS = 1000

/** @returns undefined when there is no such dataset @throws ZfsError */
export async function readReplica(run: CommandRunner, name: string): Promise<ReplicaState | undefined> {
  const ask = async (question: readonly string[], ...of: string[]): Promise<string[][]> =>
    parseRows(await runZfs(run, 'zfs', [...question, ...of]))
  try {
    const [row] = await ask(DATASET_QUESTION, name)
    if (row === undefined) return undefined
    const [, token, written, readonly] = row
    const snapshots = await ask(SNAPSHOT_QUESTION, name)
    const held = snapshots.filter(([, , , , holds]) => holds !== '0').map(([path = '']) => path)
    const tags = held.length === 0 ? [] : await ask(HOLDS_QUESTION, ...held)
    return {
      name,
      snapshots: snapshots.map((fields) => snapshotOf(fields, tags)),
      bookmarks: (await ask(BOOKMARK_QUESTION, name)).map(pointOf),
      resumeToken: token === undefined || token === '-' || token === '' ? undefined : token,
      written: parseNumber(written) ?? 0,
      isReadOnly: readonly === 'on',
    }
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'not-found') return undefined
    throw error
  }
}

function pointOf([path = '', guid = '', createtxg, creation]: readonly string[]): ReplicaPoint {
  return {
    name: path.slice(path.search(/[@#]/) + 1),
    guid,
    createtxg: parseNumber(createtxg) ?? 0,
    created: (parseNumber(creation) ?? 0) * MILLISECONDS,
  }
}

function snapshotOf(fields: readonly string[], tags: readonly (readonly string[])[]): ReplicaSnapshot {
  const [path, , , , , reason] = fields
  return {
    ...pointOf(fields),
    holds: tags.flatMap(([of, tag]) => (of === path && tag !== undefined ? [tag] : [])),
    reason: SNAPSHOT_REASONS.find((known) => known === reason),
  }
}
