/** A folder of many files, listed as a Mac does and by the same client that is none, for what each kind of metadata costs. */

import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunningServer } from '../peers/peer.ts'
import type { Ground } from '../workloads/workload.ts'
import type { Comparison, Way } from './comparison.ts'
import { ListingClient } from './listing-client.ts'

/** Listings in a run, so that the clock's steps and the CREATE count little. */
const LISTINGS = 5
/** '.' and '..', which servers list as well. */
const DOTS = 2

/** AFP_AfpInfo of a text file: signature, version, backup time "never", type and creator. */
const AFP_INFO = Buffer.concat([
  Buffer.from('41465000000001000000000000000080', 'hex'),
  Buffer.from('TEXTttxt', 'latin1'),
  Buffer.alloc(36),
])

export interface Metadata {
  /** All files are made through the server, which stores DOS attributes and creation time of them. */
  readonly attributes?: boolean
  /** One file in so many has Finder information. */
  readonly finderInfoEvery?: number
}

export function listAsMac(name: string, metadata: Metadata = {}): Comparison {
  const folder = name.replaceAll(' ', '-')
  const files = (ground: Ground) => Array.from({ length: ground.entries }, (_, index) => `file-${index}.txt`)
  return {
    name,
    async prepare(ground, ours) {
      const path = join(ground.data, folder)
      await mkdir(path, { recursive: true })
      const known = new Set(await readdir(path))
      const missing = files(ground).filter((file) => !known.has(file))
      const client = await ListingClient.connect(ours, ground, true)
      for (const [index, file] of missing.entries()) {
        if (metadata.attributes === true) await client.close(await client.open(`${folder}\\${file}`, false))
        else await writeFile(join(path, file), '')
        if (metadata.finderInfoEvery !== undefined && index % metadata.finderInfoEvery === 0) {
          await client.store(`${folder}\\${file}:AFP_AfpInfo`, AFP_INFO)
        }
      }
      client.connection.close()
    },
    async begin(ground, ours, peer) {
      const clients: ListingClient[] = []
      const way = async (server: RunningServer, mac: boolean): Promise<Way> => {
        const client = await ListingClient.connect(server, ground, mac)
        clients.push(client)
        return () => listRepeatedly(client, folder, ground.entries)
      }
      return {
        plain: await way(ours, false),
        special: await way(ours, true),
        peer: peer === undefined ? undefined : await way(peer, false),
        end: () => {
          for (const { connection } of clients) connection.close()
        },
      }
    },
  }
}

/** @throws Error when other entries are listed than there are */
async function listRepeatedly(client: ListingClient, folder: string, expected: number) {
  let [amount, requests] = [0, 0]
  const started = performance.now()
  for (let listing = 0; listing < LISTINGS; listing++) {
    const listed = await client.list(folder)
    if (listed.entries !== expected + DOTS)
      throw new Error(`${listed.entries} entries, not ${expected + DOTS}`)
    amount += listed.entries
    requests += listed.requests
  }
  return { amount, requests, seconds: (performance.now() - started) / 1000 }
}
