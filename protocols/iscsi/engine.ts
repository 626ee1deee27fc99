/** RFC 7143: the engine of an iSCSI target, which takes frames and gives back values; it knows no socket and no clock. */

import type { ConnectionEngine, Effect, Engine, Peer } from '../transport/engine.ts'
import { IscsiConnection } from './connection.ts'
import type { IscsiServer } from './session/server.ts'

/** An engine for one server. */
export function createIscsiEngine(server: IscsiServer): Engine {
  return {
    connect(peer: Peer, sink: (effect: Effect) => void): ConnectionEngine {
      server.counters.connections++
      const apply = (effect: Effect): void => {
        sink(effect)
        // What the initiator holds must not wait until it hangs up too.
        if (effect.kind === 'disconnect') connection.ended(effect.reason)
      }
      const connection = new IscsiConnection(server, peer, apply)
      return connection
    },
  }
}
