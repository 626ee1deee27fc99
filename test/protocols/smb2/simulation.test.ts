/** MS-SMB2 3.3: a thousand seeds of clients that cache, lose their connections and come back; nothing that must hold is ever violated. */

import t from 'tap'
import { play } from '../../sim/world/world.ts'

const SEEDS = 1000
/** One seed alone, as a failure names it; or how many from the first on. */
const only = process.env['POOLHOUSE_SIM_SEED']
const seeds = Number(process.env['POOLHOUSE_SIM_SEEDS'] ?? SEEDS)
/** Failures after which the rest is no news. */
const MAXIMUM_FAILURES = 5

/** What must have happened often, or the simulation shows nothing. */
const MUST_HAPPEN = [
  ...['opens', 'durable opens', 'reads', 'writes', 'cached reads', 'cached writes', 'breaks', 'locks'],
  ...['connections', 'dropped', 'silent', 'reclaimed', 'handles lost', 'replays'],
]

// A thousand seeds take as long as they take.
t.setTimeout(0)
t.test('many clients, one server, a bad network', { timeout: 0 }, async (t) => {
  const chosen = only === undefined ? Array.from({ length: seeds }, (_, index) => index + 1) : [Number(only)]
  const totals = new Map<string, number>()
  let failures = 0
  for (const seed of chosen) {
    const { violations, counts, story } = await play(seed)
    for (const [what, count] of counts) totals.set(what, (totals.get(what) ?? 0) + count)
    if (violations.length === 0) continue
    t.same(violations, [], `seed ${seed} (POOLHOUSE_SIM_SEED=${seed} plays it alone)`)
    if (only !== undefined) for (const line of story) t.comment(line)
    failures++
    if (failures >= MAXIMUM_FAILURES) break
  }
  t.equal(failures, 0, `${chosen.length} seeds without a violation`)
  t.comment([...totals].map(([what, count]) => `${count} ${what}`).join(', '))
  if (only !== undefined || failures > 0) return
  for (const what of MUST_HAPPEN)
    t.ok((totals.get(what) ?? 0) >= chosen.length / 10, `${what} happened often enough`)
})
