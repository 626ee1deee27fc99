/** What the tests of the posix backend share: a directory, the file system on it, and the opens that they make. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { StorageErrorCode } from '../../../storage/errors.ts'
import { StorageError } from '../../../storage/errors.ts'
import type { FileHandle, FileSystem, OpenOutcome, OpenRequest } from '../../../storage/file-system.ts'
import { createPosixFileSystem, type PosixFileSystemOptions } from '../../../storage/posix/file-system.ts'
import type { WorkerPool } from '../../../storage/posix/worker-pool.ts'

type Opened = Extract<OpenOutcome, { ok: true }>

export const IS_ROOT = process.geteuid?.() === 0
/** Why a test that needs root is left out, or false. */
export const WITHOUT_ROOT = IS_ROOT ? false : 'needs root'

/** An open that reads attributes alone; each field may be given anew. */
export function request(path: string, extra: Partial<OpenRequest> = {}): OpenRequest {
  return {
    path,
    identity: undefined,
    disposition: 'open',
    kind: 'any',
    followLinks: true,
    read: false,
    write: false,
    create: { mode: 0o644, dosAttributes: 0 },
    wantPermissions: false,
    ...extra,
  }
}

/** A new directory below the system's for temporary files, removed when the test ends. */
export async function temporaryDirectory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'poolhouse-posix-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

export class PosixLab {
  readonly t: Test
  readonly root: string
  readonly fs: FileSystem

  constructor(t: Test, root: string, fs: FileSystem) {
    this.t = t
    this.root = root
    this.fs = fs
  }

  /** Path of the machine for a path of the share. */
  disk(path: string): string {
    return join(this.root, path)
  }

  async open(path: string, extra: Partial<OpenRequest> = {}): Promise<Opened> {
    const outcome = await this.fs.open(request(path, { read: true, ...extra }))
    if (!outcome.ok) throw new StorageError(outcome.error, `${path}: ${outcome.error}`)
    return outcome
  }

  async handle(path: string, extra: Partial<OpenRequest> = {}): Promise<FileHandle> {
    return (await this.open(path, extra)).handle
  }

  /** Creates a file with a text. */
  async file(path: string, text = '', extra: Partial<OpenRequest> = {}): Promise<FileHandle> {
    const handle = await this.handle(path, { disposition: 'create', write: true, ...extra })
    if (text !== '') await handle.write(Buffer.from(text), 0)
    return handle
  }

  async text(handle: FileHandle): Promise<string> {
    const bytes = Buffer.alloc((await handle.stat()).size)
    return bytes.toString('utf8', 0, await handle.read(bytes, 0))
  }

  async refuses(
    path: string,
    extra: Partial<OpenRequest>,
    code: StorageErrorCode,
    message?: string,
  ): Promise<void> {
    const outcome = await this.fs.open(request(path, { read: true, ...extra }))
    if (outcome.ok) await outcome.handle.close()
    this.t.equal(outcome.ok ? 'opened' : outcome.error, code, message ?? `${path}: ${code}`)
  }

  async rejects(action: Promise<unknown>, code: StorageErrorCode, message?: string): Promise<void> {
    await this.t.rejects(action, { name: 'StorageError', code }, message ?? code)
  }

  async names(path: string, pattern = '*', extra: Partial<OpenRequest> = {}): Promise<readonly string[]> {
    const handle = await this.handle(path, extra)
    const cursor = await handle.list({ pattern, hideUnreadable: false })
    const names: string[] = []
    for (let page = await cursor.next(100); page.length > 0; page = await cursor.next(100)) {
      names.push(...page.map((entry) => entry.name))
    }
    await handle.close()
    return names.filter((name) => name !== '.' && name !== '..').sort()
  }
}

/** A file system on a directory for the length of a test; without `root` on a new one. */
export async function withLab(
  t: Test,
  workers: WorkerPool,
  options: Partial<PosixFileSystemOptions>,
  run: (lab: PosixLab) => Promise<void>,
): Promise<void> {
  const root = options.root ?? (await temporaryDirectory(t))
  const fs = await createPosixFileSystem({ ...options, root, workers })
  try {
    await run(new PosixLab(t, root, fs))
  } finally {
    await fs.close()
  }
}
