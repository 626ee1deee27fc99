/** What the parts of the contract have in common: short ways to open, write and look, with all handles closed at the end. */

import type { Test } from 'tap'
import type { StorageErrorCode } from '../../../storage/errors.ts'
import type {
  DirectoryEntry,
  FileHandle,
  FileSystem,
  ListRequest,
  OpenOutcome,
  OpenRequest,
} from '../../../storage/file-system.ts'

/** Makes a fresh file system for one test. */
export type Fixture = (t: Test, run: (lab: Lab) => Promise<void>) => Promise<void>

type Opened = OpenOutcome & { ok: true }

const DEFAULTS = {
  identity: undefined,
  disposition: 'open',
  kind: 'any',
  followLinks: true,
  read: true,
  write: false,
  create: { mode: 0o644, dosAttributes: 0 },
  wantPermissions: false,
} as const satisfies Omit<OpenRequest, 'path'>

const PAGE_ENTRIES = 100

export class Lab {
  readonly t: Test
  readonly fs: FileSystem
  readonly canImpersonate: boolean
  readonly #handles: FileHandle[] = []

  constructor(t: Test, fs: FileSystem, canImpersonate: boolean) {
    this.t = t
    this.fs = fs
    this.canImpersonate = canImpersonate
  }

  /** Opens what must open. */
  async open(path: string, request: Partial<OpenRequest> = {}): Promise<Opened> {
    const outcome = await this.fs.open({ ...DEFAULTS, ...request, path })
    if (!outcome.ok) throw new Error(`open of "${path}" failed: ${outcome.error}`)
    this.#handles.push(outcome.handle)
    return outcome
  }

  async handle(path: string, request: Partial<OpenRequest> = {}): Promise<FileHandle> {
    return (await this.open(path, request)).handle
  }

  /** A new file with a text in it, open for reading and writing. */
  async file(path: string, text = ''): Promise<FileHandle> {
    const { handle } = await this.open(path, { disposition: 'create', kind: 'file', write: true })
    if (text !== '') await handle.write(Buffer.from(text), 0)
    return handle
  }

  async directory(path: string): Promise<FileHandle> {
    const create = { mode: 0o755, dosAttributes: 0 }
    return await this.handle(path, { disposition: 'create', kind: 'directory', create })
  }

  /** Opens what must not open. */
  async refuses(
    path: string,
    request: Partial<OpenRequest>,
    codes: StorageErrorCode | readonly StorageErrorCode[],
    message = `open of ${JSON.stringify(path)}`,
  ): Promise<void> {
    const outcome = await this.fs.open({ ...DEFAULTS, ...request, path })
    if (outcome.ok) this.#handles.push(outcome.handle)
    const wanted: readonly string[] = typeof codes === 'string' ? [codes] : codes
    const got = outcome.ok ? 'ok' : outcome.error
    this.t.ok(wanted.includes(got), `${message}: ${wanted.join(' or ')}, got ${got}`)
  }

  /** Awaits a StorageError with one of the codes. */
  async fails(
    work: Promise<unknown>,
    codes: StorageErrorCode | readonly StorageErrorCode[],
    message: string,
  ): Promise<void> {
    const wanted: readonly string[] = typeof codes === 'string' ? [codes] : codes
    const got = await work.then(
      () => 'ok',
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    )
    this.t.ok(wanted.includes(got), `${message}: ${wanted.join(' or ')}, got ${got}`)
  }

  /** The whole content of a file or stream, as text. */
  async text(path: string, request: Partial<OpenRequest> = {}): Promise<string> {
    return await textOf(await this.handle(path, request))
  }

  async exists(path: string): Promise<boolean> {
    const outcome = await this.fs.open({ ...DEFAULTS, path, read: false, followLinks: false })
    if (outcome.ok) await outcome.handle.close()
    return outcome.ok
  }

  async list(path: string, request: Partial<ListRequest> = {}): Promise<DirectoryEntry[]> {
    const directory = await this.handle(path, { kind: 'directory' })
    const cursor = await directory.list({ pattern: '*', hideUnreadable: false, ...request })
    const entries: DirectoryEntry[] = []
    for (;;) {
      const page = await cursor.next(PAGE_ENTRIES)
      if (page.length === 0) break
      entries.push(...page)
    }
    await cursor.close()
    return entries
  }

  async names(path: string, request: Partial<ListRequest> = {}): Promise<string[]> {
    return (await this.list(path, request)).map((entry) => entry.name)
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#handles.map((handle) => handle.close()))
  }
}

/** The whole content of a handle, as text. */
export async function textOf(handle: FileHandle): Promise<string> {
  const { size } = await handle.stat()
  const buffer = Buffer.alloc(size)
  const count = await handle.read(buffer, 0)
  return buffer.toString('utf8', 0, count)
}
