/** MS-SMB2 3.3.5: the engine, which takes frames and gives back values; it knows no socket and no clock. */

import type { ConnectionEngine, Effect, Engine, Peer } from '../transport/engine.ts'
import { COMMAND_TABLE } from './command-table.ts'
import { ConnectionProcessor } from './connection-processor.ts'
import { Connection } from './state/connection.ts'
import type { Server } from './state/server.ts'

/**
 * An engine for one server.
 * @param mayConnect hosts_allow and hosts_deny
 */
export function createSmb2Engine(server: Server, mayConnect: (peer: Peer) => boolean): Engine {
  return {
    connect(peer: Peer, sink: (effect: Effect) => void): ConnectionEngine | undefined {
      if (!mayConnect(peer)) {
        server.log('warn', 'connection refused by hosts_allow or hosts_deny', { peer: peer.remoteAddress })
        return undefined
      }
      const apply = (effect: Effect): void => {
        sink(effect)
        // What the client had open must not wait until it hangs up too.
        if (effect.kind === 'disconnect') processor.closed()
      }
      const connection = new Connection(peer, server.environment.now(), server.limits.bytesInFlight, apply)
      const processor = new ConnectionProcessor(server, connection, COMMAND_TABLE)
      server.connectionList.add(connection)
      server.counters.connections++
      return processor
    },
  }
}
