/** Follows the backups of all Time Machine shares: looks at a share's bundles while clients use it, and once afterwards. */

import type { FileSystem } from '../../storage/file-system.ts'
import type { Events } from '../events.ts'
import type { BackupStatus } from '../status/server-status.ts'
import { type BundleFacts, listBundles, readBundle, versionOf } from './bundle.ts'

/** Between two looks at a share that is in use: a few calls for the metadata of each bundle. */
const LOOK_MILLISECONDS = 20_000
/** Of one that no client uses, for what is changed on the server itself. */
const IDLE_LOOK_MILLISECONDS = 3_600_000
/** A backup pauses between bands; so long it is still called running. */
const RUNNING_MILLISECONDS = 120_000
const MILLISECONDS_PER_SECOND = 1000
const MILLISECONDS_PER_DAY = 86_400_000

export interface MonitoredShare {
  readonly name: string
  readonly fileSystem: FileSystem
  /** Days without a completed backup after which a Mac is pointed out. */
  readonly staleAfterDays: number
}

/** What clients do with a share at this moment. */
export interface ShareActivity {
  readonly inUse: boolean
  /** Bundles, in lower case, of which a client that is there has bands open for writing. */
  readonly writtenBundles: ReadonlySet<string>
}

export interface MonitorOptions {
  readonly environment: {
    now(): number
    after(milliseconds: number, run: () => void): () => void
  }
  readonly events: Events
  activity(share: string): ShareActivity
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void
}

interface Bundle {
  version: string
  facts: BundleFacts
  /** When bands were last seen open. */
  written: number | undefined
}

class Followed {
  readonly share: MonitoredShare
  readonly bundles = new Map<string, Bundle>()
  /** The first look tells what was there before, and is no news. */
  looked = false
  wasInUse = false
  lastLook = 0

  constructor(share: MonitoredShare) {
    this.share = share
  }
}

export class BackupMonitor {
  readonly #options: MonitorOptions
  #followed: Followed[] = []
  #cancel: () => void = () => undefined
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: MonitorOptions) {
    this.#options = options
  }

  /** Follows these shares from now on; what is known of those that stay is kept. */
  follow(shares: readonly MonitoredShare[]): void {
    const followed = this.#followed
    this.#followed = shares.map((share) => {
      const next = new Followed(share)
      const before = followed.find(({ share: { name, fileSystem } }) => {
        return name === share.name && fileSystem === share.fileSystem
      })
      if (before === undefined) return next
      for (const [name, bundle] of before.bundles) next.bundles.set(name, bundle)
      return Object.assign(next, {
        looked: before.looked,
        lastLook: before.lastLook,
        wasInUse: before.wasInUse,
      })
    })
    this.#schedule(0)
  }

  /** Looks where there may be news; a look that is under way is waited for first. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookAtAll())
    return this.#looking
  }

  statuses(): BackupStatus[] {
    const now = this.#options.environment.now()
    return this.#followed.flatMap(({ share, bundles }) =>
      Array.from(bundles, ([name, bundle]) => statusOf(share, name, bundle, now)),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
    await this.#looking
  }

  #schedule(milliseconds: number): void {
    this.#cancel()
    if (this.#closed || this.#followed.length === 0) return
    this.#cancel = this.#options.environment.after(milliseconds, () => {
      void this.look().then(() => this.#schedule(LOOK_MILLISECONDS))
    })
  }

  async #lookAtAll(): Promise<void> {
    for (const followed of this.#followed) {
      if (this.#closed) return
      const now = this.#options.environment.now()
      const activity = this.#options.activity(followed.share.name)
      for (const [name, bundle] of followed.bundles) {
        if (activity.writtenBundles.has(name.toLowerCase())) bundle.written = now
      }
      const isDue = activity.inUse || followed.wasInUse || now - followed.lastLook >= IDLE_LOOK_MILLISECONDS
      if (followed.looked && !isDue) continue
      followed.wasInUse = activity.inUse
      followed.lastLook = now
      try {
        await this.#lookAt(followed, now)
      } catch (error) {
        const message = 'what its backups did cannot be read'
        this.#options.log('warn', message, { share: followed.share.name, error })
      }
    }
  }

  async #lookAt(followed: Followed, now: number): Promise<void> {
    const { share, bundles } = followed
    const names = await listBundles(share.fileSystem)
    for (const name of bundles.keys()) if (!names.includes(name)) bundles.delete(name)
    for (const name of names) {
      const before = bundles.get(name)
      const version = await versionOf(share.fileSystem, name)
      if (before?.version === version) continue
      const facts = withKnownHistory(await readBundle(share.fileSystem, name, now), before?.facts)
      bundles.set(name, { version, facts, written: before?.written })
      if (followed.looked) this.#tell(share.name, name, before?.facts, facts)
    }
    followed.looked = true
  }

  #tell(share: string, bundle: string, before: BundleFacts | undefined, facts: BundleFacts): void {
    const { mac, completed, bytesCopied } = facts
    if (facts.verificationFailed && before?.verificationFailed !== true) {
      this.#options.log('warn', 'a Mac found its backup damaged', { share, mac })
    }
    if (completed === undefined || completed <= (before?.completed ?? 0)) return
    const details = { share, mac, completed: new Date(completed).toISOString(), bytesCopied }
    this.#options.log('info', 'backup completed', details)
    this.#options.events.emit('backup completed', { share, mac, bundle, completed, bytesCopied })
  }
}

/** A Mac writes its history beside the old one, deletes that and renames: for a moment there is none. */
function withKnownHistory(facts: BundleFacts, before: BundleFacts | undefined): BundleFacts {
  if (facts.completed !== undefined || before?.created !== facts.created) return facts
  return { ...facts, completed: before.completed, bytesCopied: before.bytesCopied }
}

function statusOf(share: MonitoredShare, name: string, bundle: Bundle, now: number): BackupStatus {
  const { facts, written } = bundle
  const age = now - (facts.completed ?? facts.created)
  return {
    share: share.name,
    mac: facts.mac,
    bundle: name,
    model: facts.model,
    lastCompleted: facts.completed === undefined ? undefined : new Date(facts.completed).toISOString(),
    secondsSinceCompleted:
      facts.completed === undefined ? undefined : Math.max(0, Math.floor(age / MILLISECONDS_PER_SECOND)),
    bytesCopied: facts.bytesCopied,
    bytesUsed: facts.bytesUsed,
    imageBytes: facts.imageBytes,
    running: written !== undefined && now - written <= RUNNING_MILLISECONDS,
    verificationFailed: facts.verificationFailed,
    stale: age > share.staleAfterDays * MILLISECONDS_PER_DAY,
    unreadable: facts.unreadable,
  }
}
