/** [[target]] sections as target nodes: secrets are read, disks opened, and both follow a reload. */

import { readFile } from 'node:fs/promises'
import type { ChapCredentials } from '../../protocols/auth/chap.ts'
import type { ChangingTarget } from '../../protocols/iscsi/scsi/target.ts'
import type { ScsiTarget } from '../../protocols/iscsi/scsi/task.ts'
import type { IscsiServer, TargetNode } from '../../protocols/iscsi/session/server.ts'
import type { Session } from '../../protocols/iscsi/session/session.ts'
import { addressAllowed } from '../config/addresses.ts'
import type { TargetConfiguration } from '../config/types.ts'
import { type LunChange, lunChange } from './iscsi-lun-change.ts'
import { openScsiTarget, type ScsiTargetSettings } from './iscsi-luns.ts'

/** RFC 7143 12.1.3 wants 96 bits at least; Windows takes no more than 16 bytes. */
const SHORTEST_SECRET_BYTES = 12
const LONGEST_SECRET_BYTES = 16

interface Served {
  readonly configuration: TargetConfiguration
  readonly scsi: ChangingTarget
}

/** The targets of a server, by what the configuration says of them. */
export class IscsiTargets {
  readonly #server: IscsiServer
  readonly #settings: ScsiTargetSettings
  #served = new Map<string, Served>()

  constructor(server: IscsiServer, settings: ScsiTargetSettings) {
    this.#server = server
    this.#settings = settings
  }

  /**
   * Takes over a list of targets. Disks come, go and grow under the sessions of a target; one that becomes another ends them.
   * @throws Error in words for the owner: then all is as it was
   */
  async follow(targets: readonly TargetConfiguration[]): Promise<void> {
    const credentials = new Map<string, ChapCredentials | undefined>()
    for (const target of targets) credentials.set(target.name, await readChap(target))
    const before = this.#served
    const after = new Map<string, Served>()
    const opened: Served[] = []
    const closed: Served[] = []
    const changed: LunChange[] = []
    try {
      // First what goes: its disks may come back elsewhere.
      for (const served of before.values()) {
        const stays = targets.find(({ name }) => name === served.configuration.name)
        const change = stays && lunChange(served.scsi, served.configuration, stays)
        if (change === undefined) await this.#close(served, closed)
        else changed.push(change)
      }
      for (const change of changed) await change.remove()
      for (const configuration of targets) {
        const kept = before.get(configuration.name)
        const isKept = kept !== undefined && !closed.includes(kept)
        const scsi = isKept ? kept.scsi : await this.#open(configuration, opened)
        after.set(configuration.name, { configuration, scsi })
      }
      for (const change of changed) await change.open(this.#settings)
    } catch (error) {
      await Promise.all(opened.map(({ scsi }) => scsi.close()))
      for (const change of changed) await change.undo(this.#settings)
      await this.#reopen(closed)
      throw error
    }
    for (const change of changed) change.add()
    this.#served = after
    this.#server.targets = new Map(
      Array.from(after.values(), ({ configuration, scsi }) => {
        const node = targetNode(configuration, scsi, credentials.get(configuration.name))
        return [configuration.name.toLowerCase(), node]
      }),
    )
  }

  /** Syncs and closes all disks. */
  async close(): Promise<void> {
    const all = [...this.#served.values()]
    this.#served.clear()
    this.#server.targets = new Map()
    await Promise.all(all.map((served) => this.#close(served, [])))
  }

  async #open(configuration: TargetConfiguration, opened: Served[]): Promise<ChangingTarget> {
    const scsi = await openScsiTarget(configuration, this.#settings)
    scsi.onAbort = (lun, nexus) => {
      for (const session of this.#sessionsOf(scsi)) {
        if (session.nexus.initiatorPort !== nexus.initiatorPort) continue
        void session.tasks.abort((command) => command.lun === lun)
      }
    }
    opened.push({ configuration, scsi })
    return scsi
  }

  /** Nobody may log in any more, and nobody is logged in, before the disks are closed. */
  async #close(served: Served, closed: Served[]): Promise<void> {
    const { configuration, scsi } = served
    const targets = new Map(this.#server.targets)
    targets.delete(configuration.name.toLowerCase())
    this.#server.targets = targets
    const why = 'the target is no longer served'
    await Promise.all(this.#sessionsOf(scsi).map((session) => session.dismiss(why)))
    await scsi.close()
    closed.push(served)
  }

  #sessionsOf(scsi: ScsiTarget): Session[] {
    return [...this.#server.sessions.values()].filter(({ target }) => target.scsi === scsi)
  }

  /** After a reload that failed: what cannot be had again is told in the log. */
  async #reopen(closed: readonly Served[]): Promise<void> {
    for (const { configuration } of closed) {
      try {
        const scsi = await this.#open(configuration, [])
        const node = targetNode(configuration, scsi, await readChap(configuration))
        this.#served.set(configuration.name, { configuration, scsi })
        this.#server.targets = new Map([...this.#server.targets, [configuration.name.toLowerCase(), node]])
      } catch (error) {
        this.#served.delete(configuration.name)
        this.#settings.log(
          'error',
          `target "${configuration.name}" is not served: ${(error as Error).message}`,
        )
      }
    }
  }
}

function targetNode(
  configuration: TargetConfiguration,
  scsi: ScsiTarget,
  chap: ChapCredentials | undefined,
): TargetNode {
  const { name, hostsAllow, hostsDeny, headerDigest, dataDigest } = configuration
  const initiators = new Set(configuration.initiators.map((initiator) => initiator.toLowerCase()))
  return {
    name,
    scsi,
    chap,
    digests: { header: headerDigest, data: dataDigest },
    admits: (initiatorName, peer) =>
      (initiators.size === 0 || initiators.has(initiatorName)) &&
      addressAllowed(peer.remoteAddress, hostsAllow, hostsDeny),
  }
}

/** @throws Error in words for the owner */
async function readChap({ name, chap }: TargetConfiguration): Promise<ChapCredentials | undefined> {
  if (chap === undefined) return undefined
  const secret = await readSecret(name, chap.secretFile)
  const { mutualUser, mutualSecretFile } = chap
  if (mutualUser === undefined || mutualSecretFile === undefined) {
    return { user: chap.user, secret, mutual: undefined }
  }
  const mutualSecret = await readSecret(name, mutualSecretFile)
  if (mutualSecret.equals(secret)) {
    throw new Error(
      `target "${name}": ${chap.secretFile} and ${mutualSecretFile} hold the same secret; initiators want two`,
    )
  }
  return { user: chap.user, secret, mutual: { user: mutualUser, secret: mutualSecret } }
}

/** A line end at the end of the file does not count. */
async function readSecret(target: string, file: string): Promise<Buffer> {
  const content = await readFile(file).catch((error: Error) => {
    throw new Error(`target "${target}": cannot read the CHAP secret: ${error.message}`, { cause: error })
  })
  const secret = Buffer.from(content.toString('latin1').replace(/\r?\n$/, ''), 'latin1')
  if (secret.length < SHORTEST_SECRET_BYTES || secret.length > LONGEST_SECRET_BYTES) {
    throw new Error(
      `target "${target}": the CHAP secret in ${file} has ${secret.length} bytes; ` +
        `use ${SHORTEST_SECRET_BYTES} to ${LONGEST_SECRET_BYTES}, as initiators do`,
    )
  }
  return secret
}
