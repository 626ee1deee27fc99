/** What holds of a simulated server at the end of every test, and the usual questions to a client. */

import type { Test } from 'tap'
import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import { Status } from '../../protocols/smb2/status.ts'
import { settled } from './sim-environment.ts'
import type { SimServer } from './sim-server.ts'
import type { SimClient } from './smb2-client.ts'
import { type LogOnOptions, type LogOnResult, logOn } from './smb2-session.ts'

const NOTHING = { sessions: 0, opens: 0, connections: 0, nodes: 0, locks: 0, pendingRequests: 0 }

/** Hangs up on all clients; then nothing may be left of them, and all memory must have been given back. */
export async function isClean(t: Test, { server, leases }: SimServer): Promise<void> {
  await settled()
  for (const connection of [...server.connectionList]) connection.disconnect('the test ends')
  await settled()
  t.same(leases, { frames: 0, payloads: 0 }, 'all memory was given back')
  const left = {
    sessions: server.globalSessionTable.size,
    opens: server.globalOpenTable.size,
    connections: server.connectionList.size,
    nodes: [...server.nodes.opens()].length,
    locks: server.usage.locks,
    pendingRequests: server.usage.pendingRequests,
  }
  t.same(left, NOTHING, 'nothing is left of those who are gone')
}

/** Whether a client can open the root of its share. */
export async function works(client: SimClient): Promise<boolean> {
  const { status, response } = await client.create({ name: '', desiredAccess: FileAccess.READ_ATTRIBUTES })
  return (
    status === Status.SUCCESS &&
    response !== undefined &&
    (await client.close(response.fileId)) === Status.SUCCESS
  )
}

/** A log-on that may be refused: that is answered only when the clock moves. */
export async function tryLogOn(client: SimClient, options: LogOnOptions): Promise<LogOnResult> {
  const result = logOn(client, options)
  await client.sim.environment.advance(0)
  return result
}

/** Whether a promise has an answer yet. */
export function watch(promise: Promise<unknown>): { readonly done: boolean } {
  const state = { done: false }
  promise.then(() => {
    state.done = true
  })
  return state
}
