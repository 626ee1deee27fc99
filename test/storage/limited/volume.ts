/** Volumes with a limit to test, over both backends. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bandSizeOf } from '../../../server/backups/band-size.ts'
import type { FileHandle, FileSystem, OpenRequest } from '../../../storage/file-system.ts'
import { LimitedFileSystem } from '../../../storage/limited/file-system.ts'
import { createMemoryFileSystem } from '../../../storage/memory/file-system.ts'
import { createPosixFileSystem } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB
/** Counting is what is tested, also on a small disk. */
export const NEVER_NATIVE = { space: async () => undefined }
export const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())

/** Timers that run when the test says so. */
export class Clock {
  #now = 0
  #timers: { at: number; run: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, run }
    this.#timers.push(timer)
    return () => (this.#timers = this.#timers.filter((other) => other !== timer))
  }

  pass(milliseconds: number): void {
    this.#now += milliseconds
    const due = this.#timers.filter(({ at }) => at <= this.#now)
    this.#timers = this.#timers.filter(({ at }) => at > this.#now)
    for (const { run } of due) run()
  }
}

export interface Volume {
  readonly fs: LimitedFileSystem
  readonly inner: FileSystem
  readonly clock: Clock
  /** '' in RAM. */
  readonly root: string
}

/** Runs a test on each backend, with a volume that has been counted. */
export async function onEach(
  name: string,
  limit: number,
  run: (t: Test, volume: Volume) => Promise<void>,
): Promise<void> {
  await t.test(`${name}, in RAM`, async (t) => {
    const [inner, clock] = [createMemoryFileSystem(), new Clock()]
    const fs = new LimitedFileSystem(inner, { clock, limit, native: NEVER_NATIVE, bandSizeOf })
    await fs.start()
    await run(t, { fs, inner, clock, root: '' })
    await fs.close()
  })
  await t.test(`${name}, on disk`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'poolhouse-limited-'))
    const [inner, clock] = [await createPosixFileSystem({ root, workers }), new Clock()]
    const fs = new LimitedFileSystem(inner, { clock, limit, native: NEVER_NATIVE, bandSizeOf })
    await fs.start()
    await run(t, { fs, inner, clock, root })
    await fs.close()
    await rm(root, { recursive: true })
  })
}

const OPEN: OpenRequest = {
  path: 'file',
  identity: undefined,
  disposition: 'open-if',
  kind: 'file',
  followLinks: true,
  read: true,
  write: true,
  create: { mode: 0o644, dosAttributes: 0 },
  wantPermissions: false,
}

export async function open(
  fs: FileSystem,
  path: string,
  request: Partial<OpenRequest> = {},
): Promise<FileHandle> {
  const outcome = await fs.open({ ...OPEN, ...request, path })
  if (!outcome.ok) throw new Error(`${path}: ${outcome.error}`)
  return outcome.handle
}

export async function remove(fs: FileSystem, path: string): Promise<void> {
  const file = await open(fs, path, { disposition: 'open', read: false, write: false })
  await file.remove()
  await file.close()
}

export const used = async ({ fs }: Volume): Promise<number> => (await fs.use()).used ?? Number.NaN
/** What a walk finds. */
export const walked = async ({ inner }: Volume): Promise<number> =>
  (await inner.occupied(() => true)) ?? Number.NaN
