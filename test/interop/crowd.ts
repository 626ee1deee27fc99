/** Ten thousand opens of one client, a thousand clients at once: the others are served, and nothing stays behind. */

import { readdir } from 'node:fs/promises'
import { alice } from './environment.ts'
import { FuzzSession } from './fuzz/session.ts'
import { CheckError, expect, type Report } from './report.ts'
import { against } from './server.ts'
import { delay } from './server-process.ts'
import { type Ground, onGround, type Suite } from './suite.ts'

const opens = 10_000
const connections = 1000
/** Requests under way at a time: the server grants more credits. */
const batch = 100
/** Clients that log on at a time. */
const arriving = 20
/** Half of the opens are of one file. */
const sharedFile = 'crowd.bin'
/** What a server that has nothing open may still have of descriptors beyond what it had before. */
const spareDescriptors = 64
const silenceMilliseconds = 30_000
const settleMilliseconds = 20_000
const pollMilliseconds = 200

export const crowdSuite: Suite = {
  name: 'crowd',
  about: `${opens} opens of one client and ${connections} connections leave the others served`,
  needs: [],
  limitSeconds: 300,
  run: (report, directory) =>
    onGround(report, directory, (ground) => crowd(report, ground), {
      max_connections: connections + 100,
      max_connections_per_address: connections + 100,
    }),
}

async function crowd(report: Report, ground: Ground): Promise<void> {
  if (against !== 'poolhouse') {
    report.note('for this server alone: smbd has a process for each connection')
    return
  }
  const before = await descriptors(ground)
  const [greedy] = await arrive(ground, 1)
  await report.check(`one client opens ${opens} files`, async () => {
    for (let from = 0; from < opens; from += batch) {
      const statuses = (await greedy?.openAtOnce(namesFrom(from))) ?? []
      const failed = statuses.find((status) => status !== 0)
      expect(failed === undefined, `an open failed with 0x${failed?.toString(16)} after ${from}`)
      expect(statuses.length === batch, `${statuses.length} answers`)
    }
  })
  const crowded: FuzzSession[] = []
  await report.check(`${connections} clients log on, open a file and stay`, async () => {
    while (crowded.length < connections) crowded.push(...(await arrive(ground, arriving)))
  })
  await report.check('all of them are served', async () => {
    const answers = await Promise.all(crowded.map((client) => client.answersOrCloses(silenceMilliseconds)))
    const closed = crowded.filter((client) => client.connection.isClosed).length
    expect(closed === 0, `${closed} were disconnected`)
    expect(answers.every(Boolean), `${answers.filter((answered) => !answered).length} got no answer`)
  })
  await report.check('so is one who comes late', async () => {
    const [late] = await arrive(ground, 1)
    const statuses = await late?.openAtOnce([sharedFile, 'late.bin'])
    expect(statuses?.every((status) => status === 0) === true, `opens failed: ${statuses}`)
    late?.connection.close()
  })
  for (const client of [...crowded, ...(greedy === undefined ? [] : [greedy])]) client.connection.close()
  await report.check('nothing of them stays open', () => settles(ground, before + spareDescriptors))
}

function namesFrom(from: number): string[] {
  return Array.from({ length: batch }, (_, index) =>
    index % 2 === 0 ? sharedFile : `crowd-${from + index}.bin`,
  )
}

/** @throws Error when one of them is not served */
function arrive(ground: Ground, count: number): Promise<FuzzSession[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = new FuzzSession(ground.server.port)
      await client.open(alice, ground.share)
      return client
    }),
  )
}

async function descriptors({ server }: Ground): Promise<number> {
  return (await readdir(`/proc/${server.pid}/fd`)).length
}

async function settles(ground: Ground, most: number): Promise<void> {
  for (let waited = 0; ; waited += pollMilliseconds) {
    const open = await descriptors(ground)
    if (open <= most) return
    if (waited >= settleMilliseconds) throw new CheckError(`${open} descriptors are open, ${most} may be`)
    await delay(pollMilliseconds, undefined)
  }
}
