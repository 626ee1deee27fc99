/** Shares that are not served for a while, so that what is below them can be exchanged: nothing of theirs stays open. */

import { sep } from 'node:path'
import type { Configuration } from '../config/types.ts'
import { done, failed, type Outcome } from '../outcome.ts'
import type { RunningServer, RunningShare } from './running-server.ts'

/** `reload` serves what `without` leaves. @returns why it could not */
export type Reload = () => Promise<string | undefined>

export class SharePauses {
  /** The folders that are paused, with all shares at or below them. */
  readonly #folders = new Map<string, readonly string[]>()

  /** What is served meanwhile; nobody looks at the datasets of the others, or makes them. */
  without(configuration: Configuration): Configuration {
    const paused = new Set([...this.#folders.values()].flat())
    if (paused.size === 0) return configuration
    return { ...configuration, shares: configuration.shares.filter(({ name }) => !paused.has(name)) }
  }

  /**
   * Stops serving a share and all that serve the same folder or one below it.
   * @param force clients that have something open lose it; else they are a reason to refuse
   * @returns their names
   */
  async pause(
    running: RunningServer,
    reload: Reload,
    name: string,
    force: boolean,
  ): Promise<Outcome<readonly string[]>> {
    const wanted = name.toLowerCase()
    // By a command that was killed; who comes next ends what it began.
    const paused = [...this.#folders.values()].find((names) =>
      names.some((each) => each.toLowerCase() === wanted),
    )
    if (paused !== undefined) return done(paused)
    const share = running.shares().find((each) => each.name.toLowerCase() === wanted)
    if (share === undefined) return failed(`share "${name}" is not served`)
    const affected = running.shares().filter((each) => isWithin(each, share.path))
    const names = affected.map((each) => each.name)
    const open = running.status().opens.filter((each) => names.includes(each.share))
    if (open.length > 0 && !force) {
      const shown = open.slice(0, MOST_SHOWN).map((each) => `${each.share}/${each.path}`)
      return failed(`clients have ${open.length} files or folders open: ${shown.join(', ')}`)
    }
    this.#folders.set(share.path, names)
    const reason = await reload()
    if (reason !== undefined) {
      this.#folders.delete(share.path)
      return failed(reason)
    }
    await running.releaseShares(affected)
    return done(names)
  }

  /** Serves again what was paused with this share. @returns their names */
  async resume(reload: Reload, name: string): Promise<Outcome<readonly string[]>> {
    const wanted = name.toLowerCase()
    const entry = [...this.#folders].find(([, names]) => names.some((each) => each.toLowerCase() === wanted))
    if (entry === undefined) return failed(`share "${name}" is not paused`)
    const [folder, names] = entry
    this.#folders.delete(folder)
    const reason = await reload()
    return reason === undefined ? done(names) : failed(reason)
  }
}

const MOST_SHOWN = 5

function isWithin({ path }: RunningShare, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}
