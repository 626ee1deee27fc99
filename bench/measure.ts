/** Measures a workload: ours and the peer in turns, so that what else the machine does falls on both alike. */

import { setTimeout as delay } from 'node:timers/promises'
import type { RunningServer } from './peers/peer.ts'
import { processorSeconds, processTree, resetPeak, watchPeak } from './process-tree.ts'
import type { Row, Sample } from './report/row.ts'
import type { Ground, Workload } from './workloads/workload.ts'

/** A process per connection ends after its client: what it has used counts when it was waited for. */
const SETTLE_MILLISECONDS = 2000
const SETTLE_POLL_MILLISECONDS = 10

export interface Contestants {
  readonly ours: RunningServer
  readonly peer: RunningServer | undefined
}

export async function measure(
  workload: Workload,
  ground: Ground,
  { ours, peer }: Contestants,
  pairs: number,
): Promise<Row> {
  const servers = peer === undefined ? [ours] : [ours, peer]
  const whose = (server: RunningServer) => (server === ours ? 'with ours' : 'with the peer')
  for (const server of servers) {
    await told(whose(server), workload.verify(ground, server))
    resetPeak(server.pid)
  }
  const samples = new Map<RunningServer, Sample[]>(servers.map((server) => [server, []]))
  for (let pair = 0; pair < Math.min(pairs, workload.mostPairs ?? pairs); pair++) {
    // Each goes first every other time.
    for (const server of pair % 2 === 0 ? servers : servers.toReversed()) {
      samples.get(server)?.push(await told(whose(server), sample(workload, ground, server)))
    }
  }
  const of = (server: RunningServer | undefined) => (server === undefined ? [] : (samples.get(server) ?? []))
  const { name, unit, mark } = workload
  return { name, unit, mark, ours: of(ours), peer: of(peer) }
}

/** Says with which server it was that something failed. */
async function told<T>(whose: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new Error(`${whose}: ${(error as Error).message}`, { cause: error })
  }
}

async function sample(workload: Workload, ground: Ground, server: RunningServer): Promise<Sample> {
  const processesBefore = await settled(server.pid)
  const before = processorSeconds(server.pid)
  const { result, peakBytes } = await watchPeak(server.pid, () => workload.run(ground, server))
  await settled(server.pid, processesBefore)
  return { ...result, processorSeconds: processorSeconds(server.pid) - before, peakBytes }
}

/** Waits, with a limit, until the server has no more processes than this. @returns how many it has */
async function settled(pid: number, atMost = 0): Promise<number> {
  const deadline = performance.now() + (atMost === 0 ? 0 : SETTLE_MILLISECONDS)
  for (;;) {
    const count = processTree(pid).length
    if (count <= atMost || performance.now() >= deadline) return count
    await delay(SETTLE_POLL_MILLISECONDS)
  }
}
