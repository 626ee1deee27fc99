/** MS-SMB2 3.3.7.1: tests of durable opens, each with a server of its own that has nothing left in the end. */

import t, { type Test } from 'tap'
import { MINUTE } from './durable.ts'
import { isClean } from './sim-checks.ts'
import { createSimServer, type SimServer, type SimServerOptions } from './sim-server.ts'

/** No durable open is kept for longer. */
const LONGEST_MINUTES = 17

export function durableTest(
  name: string,
  play: (t: Test, sim: SimServer) => Promise<void>,
  options?: SimServerOptions,
): void {
  t.test(name, async (t) => {
    const sim = createSimServer(options)
    await play(t, sim)
    t.same(sim.complaints, [])
    // Nobody comes back for what is left.
    for (const connection of [...sim.server.connectionList]) connection.disconnect('the test ends')
    await sim.environment.advance(LONGEST_MINUTES * MINUTE)
    await isClean(t, sim)
  })
}
