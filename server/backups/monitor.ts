/** Follows the backups in all shares: looks at a share's bundles and catalogues while clients use it, and once afterwards. */

import type { FileSystem } from '../../storage/file-system.ts'
import type { Events } from '../events.ts'
import type { BackupKind, BackupStatus } from '../status/server-status.ts'
import { type BundleFacts, listBundles, readBundle, versionOf } from './bundle.ts'
import { catalogueVersion, listHistories, listImages, readHistory, readImage } from './windows-backup.ts'

/** Between two looks at a share that is in use: a few calls for the metadata of each bundle. */
const LOOK_MILLISECONDS = 20_000
/** Of one that no client uses, for what is changed on the server itself. */
const IDLE_LOOK_MILLISECONDS = 3_600_000
/** A backup pauses between bands; so long it is still called running. */
const RUNNING_MILLISECONDS = 120_000
const MILLISECONDS_PER_SECOND = 1000
const MILLISECONDS_PER_DAY = 86_400_000

interface BackupReader {
  list(fileSystem: FileSystem): Promise<string[]>
  version(fileSystem: FileSystem, path: string): Promise<string>
  read(fileSystem: FileSystem, path: string, now: number): Promise<BundleFacts>
  /** Its files say when a backup was completed; otherwise it was when nobody writes any longer. */
  readonly saysCompletion: boolean
}

const WINDOWS = { version: catalogueVersion, saysCompletion: false }

const READERS: Readonly<Record<BackupKind, BackupReader>> = {
  'Time Machine': { list: listBundles, version: versionOf, read: readBundle, saysCompletion: true },
  'Windows image': { ...WINDOWS, list: listImages, read: readImage },
  'File History': { ...WINDOWS, list: listHistories, read: readHistory },
}

export interface MonitoredShare {
  readonly name: string
  /** Whose folder it is, below a `per_user` share. */
  readonly user?: string
  readonly fileSystem: FileSystem
  /** What is looked for. */
  readonly kinds: readonly BackupKind[]
  /** Days without a completed backup after which a Mac is pointed out. */
  readonly staleAfterDays: number
}

/** What clients do with a share at this moment. */
export interface ShareActivity {
  readonly inUse: boolean
  /** How often clients have come since the start. */
  readonly uses: number
  /** Bundles, and folders of computers, in lower case and with "/", in which a client that is there has files open for writing. */
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
  readonly kind: BackupKind
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
  uses = 0
  lastLook = 0
  /** A look that is under way: with a pool that hangs it lasts, and the other shares are looked at all the same. */
  looking: Promise<void> | undefined

  constructor(share: MonitoredShare) {
    this.share = share
  }
}

export class BackupMonitor {
  readonly #options: MonitorOptions
  #followed: Followed[] = []
  #cancel: () => void = () => undefined
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
        uses: before.uses,
      })
    })
    this.#schedule(0)
  }

  /** Looks where there may be news, but where a look is under way. */
  async look(): Promise<void> {
    await Promise.all(this.#followed.map((followed) => this.#lookUnlessLooking(followed)))
  }

  #lookUnlessLooking(followed: Followed): Promise<void> {
    followed.looking ??= this.#lookIfDue(followed).finally(() => {
      followed.looking = undefined
    })
    return followed.looking
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
    await Promise.all(this.#followed.map(({ looking }) => looking))
  }

  #schedule(milliseconds: number): void {
    this.#cancel()
    if (this.#closed || this.#followed.length === 0) return
    this.#cancel = this.#options.environment.after(milliseconds, () => {
      void this.look()
      this.#schedule(LOOK_MILLISECONDS)
    })
  }

  async #lookIfDue(followed: Followed): Promise<void> {
    if (this.#closed) return
    const now = this.#options.environment.now()
    const activity = this.#options.activity(followed.share.name)
    for (const [name, bundle] of followed.bundles) {
      if (activity.writtenBundles.has(name.toLowerCase())) bundle.written = now
    }
    const isVisited = activity.inUse || followed.wasInUse || activity.uses !== followed.uses
    // A folder that nobody has backed up to is left alone: its disk may sleep.
    const hasBackups = followed.bundles.size > 0 || followed.share.kinds.includes('Time Machine')
    const isOld = hasBackups && now - followed.lastLook >= IDLE_LOOK_MILLISECONDS
    if (followed.looked && !isVisited && !isOld) return
    followed.wasInUse = activity.inUse
    followed.uses = activity.uses
    followed.lastLook = now
    try {
      await this.#lookAt(followed, activity, now)
    } catch (error) {
      const message = 'what its backups did cannot be read'
      this.#options.log('warn', message, { share: followed.share.name, error })
    }
  }

  async #lookAt(followed: Followed, activity: ShareActivity, now: number): Promise<void> {
    const { fileSystem, kinds } = followed.share
    const there = new Set<string>()
    for (const kind of kinds) {
      for (const name of await READERS[kind].list(fileSystem)) {
        there.add(name)
        await this.#lookInto(followed, kind, name, activity, now)
      }
    }
    for (const name of followed.bundles.keys()) if (!there.has(name)) followed.bundles.delete(name)
    followed.looked = true
  }

  async #lookInto(
    { share, bundles, looked }: Followed,
    kind: BackupKind,
    name: string,
    { writtenBundles }: ShareActivity,
    now: number,
  ): Promise<void> {
    const reader = READERS[kind]
    const before = bundles.get(name)
    if (!reader.saysCompletion && writtenBundles.has(name.toLowerCase())) return
    const version = await reader.version(share.fileSystem, name)
    if (before?.version === version) return
    const facts = withKnownHistory(await reader.read(share.fileSystem, name, now), before?.facts)
    bundles.set(name, { kind, version, facts, written: before?.written })
    if (looked) this.#tell(share, name, before?.facts, facts)
  }

  #tell(
    { name: share, user }: MonitoredShare,
    bundle: string,
    before: BundleFacts | undefined,
    facts: BundleFacts,
  ): void {
    const { mac, completed, bytesCopied } = facts
    if (facts.verificationFailed && before?.verificationFailed !== true) {
      this.#options.log('warn', 'a Mac found its backup damaged', { share, mac })
    }
    if (completed === undefined || completed <= (before?.completed ?? 0)) return
    const details = { share, mac, completed: new Date(completed).toISOString(), bytesCopied }
    this.#options.log('info', 'backup completed', details)
    const whose = user === undefined ? {} : { user }
    this.#options.events.emit('backup completed', { share, ...whose, mac, bundle, completed, bytesCopied })
  }
}

/** A Mac writes its history beside the old one, deletes that and renames: for a moment there is none. */
function withKnownHistory(facts: BundleFacts, before: BundleFacts | undefined): BundleFacts {
  if (facts.completed !== undefined || before?.created !== facts.created) return facts
  return { ...facts, completed: before.completed, bytesCopied: before.bytesCopied }
}

function statusOf(share: MonitoredShare, name: string, bundle: Bundle, now: number): BackupStatus {
  const { kind, facts, written } = bundle
  const age = now - (facts.completed ?? facts.created)
  return {
    share: share.name,
    kind,
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
