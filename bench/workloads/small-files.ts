/** Thousands of files of 4 KiB: made, read, looked at, renamed and deleted, by one or several clients at a time. */

import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunningServer } from '../peers/peer.ts'
import { requireCount } from './bands.ts'
import { PLAIN } from './protection.ts'
import { makeRandomFile, requireSame } from './random-file.ts'
import { smbclientFed, smbclients } from './smbclient.ts'
import { FILES, type Ground, type Run, type Workload } from './workload.ts'

const MARK = 1.5
const FILE_BYTES = 4096
const FOLDER = 'small'
const PATTERN_FILE = 'small.bin'

/** What is done with the files of one client; `names` are in its folder, which smbclient has gone to. */
interface Operation {
  readonly name: string
  /** Whether the files are there before it. */
  readonly needsFiles: boolean
  commands(names: readonly string[], source: string): string[]
  /** smbclient's line for each file; undefined: it says nothing. */
  readonly line?: RegExp
  /** Looks at a client's folder. @throws Error when it is not done */
  check(folder: string, names: readonly string[]): Promise<void>
}

const RENAMED = '.renamed'

const operations: readonly Operation[] = [
  {
    ...{ name: 'create-write-close', needsFiles: false, line: /putting file /g },
    commands: (names, source) => names.map((name) => `put ${source} ${name}`),
    async check(folder, names) {
      await requireNames(folder, names)
      for (const name of names) {
        const { size } = await stat(join(folder, name))
        if (size !== FILE_BYTES) throw new Error(`${name} has ${size} bytes, not ${FILE_BYTES}`)
      }
    },
  },
  {
    ...{ name: 'open-read-close', needsFiles: true, line: /getting file \S+ of size 4096 /g },
    commands: (names) => names.map((name) => `get ${name} /dev/null`),
    check: requireNames,
  },
  {
    ...{ name: 'stat', needsFiles: true, line: /^(?:smb: \S+ )?create_time:/gm },
    commands: (names) => names.map((name) => `allinfo ${name}`),
    check: requireNames,
  },
  {
    ...{ name: 'rename', needsFiles: true },
    commands: (names) => names.map((name) => `rename ${name} ${name}${RENAMED}`),
    async check(folder, names) {
      const renamed = names.map((name) => `${name}${RENAMED}`)
      await requireNames(folder, renamed)
      for (const name of names) await rename(join(folder, `${name}${RENAMED}`), join(folder, name))
    },
  },
  {
    ...{ name: 'delete', needsFiles: true },
    // One listing, then CREATE, SET_INFO and CLOSE for each.
    commands: () => ['del *'],
    check: (folder) => requireNames(folder, []),
  },
]

export function smallFiles(clients: number): Workload[] {
  return operations.map((operation) => workload(operation, clients))
}

function workload(operation: Operation, clients: number): Workload {
  return {
    name: `small ${operation.name}${clients === 1 ? '' : `, ${clients} clients`}`,
    ...{ mark: MARK, unit: FILES },
    prepare: (ground) => makeRandomFile(source(ground), FILE_BYTES),
    async verify(ground, server) {
      await perform(operation, clients, ground, server)
      if (operation.name === 'create-write-close') await requireContent(ground, server)
    },
    run: (ground, server) => perform(operation, clients, ground, server),
  }
}

/** Only what the clients do is timed; the files before it and the look after it are made on the disk. */
async function perform(
  operation: Operation,
  clients: number,
  ground: Ground,
  server: RunningServer,
): Promise<Run> {
  const all = Array.from({ length: clients }, (_, client) => ({
    folder: `${FOLDER}-${client}`,
    names: namesOf(ground, client, clients),
  }))
  for (const { folder, names } of all) {
    await setOut(join(ground.data, folder), operation.needsFiles ? names : [])
  }
  const commands = all.map(({ folder, names }) => [
    ...[`cd ${folder}`, 'prompt off'],
    ...operation.commands(names, source(ground)),
  ])
  const { outputs, seconds } = await smbclients(ground, server, PLAIN, commands)
  if (operation.line !== undefined) requireCount(outputs, operation.line, ground.files)
  for (const { folder, names } of all) await operation.check(join(ground.data, folder), names)
  return { amount: ground.files, seconds }
}

function source(ground: Ground): string {
  return join(ground.local, PATTERN_FILE)
}

function namesOf(ground: Ground, client: number, clients: number): string[] {
  return Array.from({ length: ground.files }, (_, index) => `file-${index}.dat`).filter(
    (_, index) => index % clients === client,
  )
}

/** A folder with just these files. */
async function setOut(folder: string, names: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  const wanted = new Set(names)
  const known = new Set(await readdir(folder))
  for (const name of known) if (!wanted.has(name)) await rm(join(folder, name))
  const content = Buffer.alloc(FILE_BYTES, 'small')
  for (const name of names) if (!known.has(name)) await writeFile(join(folder, name), content)
}

async function requireNames(folder: string, names: readonly string[]): Promise<void> {
  const found = new Set(await readdir(folder))
  const missing = names.filter((name) => !found.has(name))
  if (missing.length === 0 && found.size === names.length) return
  throw new Error(`${folder} has ${found.size} files of ${names.length}, ${missing.length} of them missing`)
}

/** One of the files comes back as it was sent. */
async function requireContent(ground: Ground, server: RunningServer): Promise<void> {
  const copy = join(ground.local, 'small.copy')
  await smbclientFed(ground, server, PLAIN, [`get ${FOLDER}-0\\file-0.dat ${copy}`])
  await requireSame(source(ground), copy)
  await rm(copy)
}
