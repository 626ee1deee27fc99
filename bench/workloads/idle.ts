/** Many sessions that do nothing: how long it takes to connect them, and what memory the server has for them. */

import { setTimeout as delay } from 'node:timers/promises'
import { ListingClient } from '../comparisons/listing-client.ts'
import type { RunningServer } from '../peers/peer.ts'
import { residentBytes } from '../process-tree.ts'
import { type Ground, MEMORY, type Run, SESSIONS, type Workload } from './workload.ts'

const MEMORY_MARK = 0.25
const CONNECT_MARK = 1.5
/** What was needed to connect is given back by then, as far as it ever is: ours waits until it has been quiet for 5 to 10 seconds. */
const REST_MILLISECONDS = 12_000
/** So many sessions take long, and their sum is steady. */
const MANY = 1000
const PAIRS_OF_MANY = 3

/** Negotiation, login and tree connect, one session after the other. */
export function connectSessions(sessions: number): Workload {
  return {
    ...{ name: `connect ${sessions} sessions`, mark: CONNECT_MARK, unit: SESSIONS },
    ...basics(sessions),
    run: (ground, server) =>
      hold(ground, server, sessions, async (seconds) => ({ amount: sessions, seconds })),
  }
}

/** A session is a connection, a login and a tree connect, with nothing open. */
export function idleSessions(sessions: number): Workload {
  return {
    ...{ name: `memory of ${sessions} idle sessions`, mark: MEMORY_MARK, unit: MEMORY },
    ...basics(sessions),
    run: (ground, server) =>
      hold(ground, server, sessions, async (seconds) => {
        await delay(REST_MILLISECONDS)
        return { amount: residentBytes(server.pid), seconds }
      }),
  }
}

function basics(sessions: number): Pick<Workload, 'mostPairs' | 'prepare' | 'verify'> {
  return {
    ...(sessions >= MANY ? { mostPairs: PAIRS_OF_MANY } : {}),
    prepare: async () => {},
    verify: async (ground, server) => {
      await hold(ground, server, 1, async () => ({ amount: 1, seconds: 0 }))
    },
  }
}

async function hold(
  ground: Ground,
  server: RunningServer,
  sessions: number,
  look: (seconds: number) => Promise<Run>,
): Promise<Run> {
  const clients: ListingClient[] = []
  try {
    const started = performance.now()
    for (let session = 0; session < sessions; session++) {
      clients.push(await ListingClient.connect(server, ground, false))
    }
    const result = await look((performance.now() - started) / 1000)
    // Each is still there and answers.
    for (const client of clients) await client.close(await client.open('', true))
    return result
  } finally {
    for (const { connection } of clients) connection.close()
  }
}
