/** MS-FSA 2.1.4.12, 2.1.5.18, 2.1.5.19: who may cache a stream, as scripts with their transcripts, and for any sequence of events. */

import fc from 'fast-check'
import t from 'tap'
import {
  afterAcknowledgment,
  afterOperation,
  Caching,
  type CachingState,
  type Operation,
  type OplockLevel,
} from '../../../storage/sharing/caching.ts'
import { bits, type NamedOpen, Script, TARGET, text, transcript } from './caching-script.ts'

t.test('grants', async (t) => {
  for (const level of ['none', 'II', 'exclusive', 'batch'] as const) {
    t.equal(new Script().open('A', level), level, `alone: ${level}`)
  }
  const behind = (first: OplockLevel, kind: 'data' | 'stat', second: OplockLevel) => {
    const script = new Script()
    script.open('A', first, { stat: kind === 'stat' })
    return script.open('B', second)
  }
  t.equal(behind('none', 'data', 'batch'), 'II', 'another open without an oplock leaves level II')
  t.equal(behind('II', 'data', 'exclusive'), 'II')
  t.equal(behind('none', 'stat', 'batch'), 'batch', 'one of attributes only takes no part')
  t.equal(behind('II', 'stat', 'batch'), 'II', 'unless it caches')

  const beside = new Script()
  beside.open('A', 'batch')
  t.equal(beside.open('B', 'batch', { stat: true }), 'none', 'nothing beside a batch oplock')
  t.equal(beside.open('C', 'batch', { stream: 'stream' }), 'batch', 'streams are apart')

  const locked = new Script()
  locked.open('A', 'none')
  const { locks } = locked.nodes.streamOf(locked.get('A'))
  locks.lock({ owner: locked.get('A'), key: 0, offset: 0n, length: 1n, exclusive: true })
  t.equal(locked.open('B', 'II'), 'none', 'nothing beside byte-range locks')

  const twice = new Script()
  twice.open('A', 'II')
  const stream = twice.nodes.streamOf(twice.get('A'))
  t.throws(() => twice.oplocks.request(stream, twice.get('A'), 'II'), /holds an oplock already/)
})

t.test('an open breaks a batch oplock to level II, the acknowledgment lets it on', async (t) => {
  const script = new Script()
  script.open('A', 'batch')
  t.equal(script.check('open'), 'A>II? (A)')
  t.equal(script.states, 'A=batch>II')
  t.equal(script.check('open'), '(A)', 'one more waits for the same break')
  t.equal(script.check('overwrite'), '(A)', 'and so does one that wants more')
  t.equal(
    script.acknowledge('A', 'II'),
    'accepted A>none',
    'and level II is gone at once, as the other needs',
  )
  t.equal(script.states, 'A=none')
  t.equal(script.check('open'), '', 'the first goes on')
  t.equal(script.open('B', 'batch'), 'II')
  t.equal(script.check('overwrite'), 'B>none', 'level II is broken, for which no one waits')
  t.equal(script.states, 'A=none B=none')
  t.equal(script.open('C', 'batch'), 'II')
})

t.test('what operations do to whom', async (t) => {
  const table: Record<OplockLevel, Record<Operation, string>> = {
    none: { open: '', overwrite: '', conflict: '', change: '' },
    II: { open: '', overwrite: 'A>none', conflict: '', change: 'A>none' },
    exclusive: { open: 'A>II? (A)', overwrite: 'A>none? (A)', conflict: '', change: 'A>none? (A)' },
    batch: { open: 'A>II? (A)', overwrite: 'A>none? (A)', conflict: 'A>II? (A)', change: 'A>none? (A)' },
  }
  for (const [level, row] of Object.entries(table)) {
    for (const [operation, expected] of Object.entries(row)) {
      const script = new Script()
      script.open('A', level as OplockLevel)
      t.equal(script.check(operation as Operation), expected, `${operation} by another on ${level}`)
      const own = new Script()
      own.open('A', level as OplockLevel)
      const expectedOfOwn = level === 'II' && operation === 'change' ? expected : ''
      t.equal(own.check(operation as Operation, 'A'), expectedOfOwn, `${operation} by the holder on ${level}`)
    }
  }
  const held = new Script()
  held.open('A', 'exclusive')
  held.check('open')
  t.equal(held.check('change', 'A'), '', 'the holder writes back amid a break')
  t.equal(held.check('conflict'), '', 'an exclusive one being broken holds up no refused open')
})

t.test('acknowledgments', async (t) => {
  const rows: [OplockLevel, Operation | undefined, OplockLevel, string, OplockLevel][] = [
    ['batch', 'open', 'II', 'accepted', 'II'],
    ['batch', 'open', 'none', 'accepted', 'none'],
    ['exclusive', 'overwrite', 'none', 'accepted', 'none'],
    ['exclusive', 'overwrite', 'II', 'violation', 'none'],
    ['batch', 'open', 'batch', 'violation', 'none'],
    ['batch', undefined, 'II', 'not-breaking', 'batch'],
    ['batch', undefined, 'exclusive', 'violation', 'batch'],
    ['II', undefined, 'II', 'violation', 'II'],
    ['II', undefined, 'none', 'not-breaking', 'II'],
    ['II', 'change', 'none', 'not-held', 'none'],
    ['none', undefined, 'none', 'not-held', 'none'],
  ]
  for (const [level, operation, acknowledged, expected, after] of rows) {
    const script = new Script()
    script.open('A', level)
    if (operation !== undefined) script.check(operation)
    const name = `${level}, ${operation ?? 'nothing'}, acknowledges ${acknowledged}`
    t.equal(script.acknowledge('A', acknowledged), expected, name)
    t.equal(script.stateOf('A'), after, name)
  }
})

t.test('a break ends with the holder or with time', async (t) => {
  const closing = new Script()
  closing.open('S', 'none', { stat: true })
  closing.open('A', 'batch')
  closing.check('open')
  closing.close('A')
  t.equal(closing.check('open'), '')
  t.equal(closing.open('B', 'batch'), 'batch', 'nothing of the closed one is left')
  const silent = new Script()
  silent.open('A', 'exclusive')
  silent.check('open')
  silent.expire('A')
  t.equal(silent.check('overwrite'), '')
  t.equal(silent.open('B', 'exclusive'), 'II')
})

t.test('no one is allowed to keep what is being changed', async (t) => {
  const script = new Script()
  script.open('A', 'II')
  script.open('B', 'II')
  const stream = script.nodes.streamOf(script.get('A'))
  const mark = script.oplocks.mark()
  t.notOk(script.oplocks.changedSince(stream, mark))
  t.equal(transcript(script.oplocks.beginChange(stream, script.get('A'))), 'A>none B>none')
  t.ok(script.oplocks.changedSince(stream, mark))
  t.equal(script.open('C', 'batch'), 'none', 'amid the change')
  const amid = script.oplocks.mark()
  script.oplocks.endChange(stream)
  t.ok(script.oplocks.changedSince(stream, amid), 'what was known amid the change may be old')
  t.equal(script.open('D', 'batch'), 'II', 'after it')
  t.throws(() => script.oplocks.endChange(stream), /no change has begun/)
})

type Event =
  | {
      readonly kind: 'open'
      /** An oplock's level, or "A:RWH". */
      readonly wanted: string
      readonly stat: boolean
      readonly overwrites: boolean
    }
  | { readonly kind: 'change' | 'close' | 'expire'; readonly which: number }
  | { readonly kind: 'acknowledge'; readonly which: number; readonly level: string }

const LEVELS: readonly string[] = ['none', 'II', 'exclusive', 'batch']
const levels = fc.constantFrom(...LEVELS)
const states = fc.constantFrom('', 'R', 'RH', 'RW', 'RWH')
const events: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    wanted: fc.oneof(
      levels,
      fc.tuple(fc.constantFrom('A', 'B', 'C'), states).map((lease) => lease.join(':')),
    ),
    stat: fc.boolean(),
    overwrites: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('change' as const, 'close' as const, 'expire' as const),
    which: fc.nat(9),
  }),
  fc.record({ kind: fc.constant('acknowledge' as const), which: fc.nat(9), level: fc.oneof(levels, states) }),
)

/** Opens as the protocol does: checks first, and comes in only when there is nothing to wait for. */
function happen(script: Script, event: Event, name: string): void {
  if (event.kind === 'open') {
    const [key, wanted] = event.wanted.includes(':') ? event.wanted.split(':') : [undefined, event.wanted]
    const stream = script.nodes.findStream(TARGET)
    const by = {
      metadataOnly: event.stat,
      oplockKey: key === undefined ? undefined : { client: 'one', key },
      parentOplockKey: undefined,
    }
    if (stream !== undefined && (event.overwrites || !event.stat)) {
      const { waitFor } = script.oplocks.check(stream, event.overwrites ? 'overwrite' : 'open', by)
      if (waitFor.length > 0) return
    }
    if (key === undefined) script.open(name, wanted as OplockLevel, { stat: event.stat })
    else script.lease(`${key}${name}`, wanted ?? '', { stat: event.stat })
    return
  }
  const names = [...script.opens.keys()]
  const chosen = names[event.which % names.length]
  if (chosen === undefined) return
  const open = script.get(chosen)
  switch (event.kind) {
    case 'change':
      if (!open.attributesOnly) change(script, open)
      break
    case 'close':
      script.close(chosen)
      break
    case 'expire':
      script.expire(chosen)
      break
    case 'acknowledge':
      // Leases are acknowledged in letters.
      if (LEVELS.includes(event.level) !== (open.oplockKey !== undefined))
        script.acknowledge(chosen, event.level)
  }
}

function change(script: Script, open: NamedOpen): void {
  const stream = script.nodes.streamOf(open)
  const { waitFor } = script.oplocks.beginChange(stream, open)
  if (waitFor.length > 0) throw new Error('a writer beside an exclusive holder')
  for (const other of script.opens.values()) {
    const oplock = script.oplocks.oplockOf(other)
    const isOwn =
      other === open || (open.oplockKey !== undefined && other.oplockKey?.key === open.oplockKey.key)
    // One that is told to forget it, but need not be waited for, is as good as one that has.
    if (oplock !== undefined && !isOwn && (oplock.state.breaking?.required ?? oplock.state.held) !== 0)
      throw new Error('a copy outlives a change')
  }
  script.oplocks.endChange(stream)
}

/** Whether two opens may know of each other's changes: they share a lease. */
function together(one: NamedOpen, other: NamedOpen): boolean {
  return one === other || (one.oplockKey !== undefined && one.oplockKey.key === other.oplockKey?.key)
}

t.test(
  'for any sequence: one may keep what it wrote at most, and no reader or writer beside it',
  async () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 40 }), (sequence) => {
        const script = new Script()
        sequence.forEach((event, index) => {
          happen(script, event, `${index}`)
          const opens = [...script.opens.values()]
          const holder = opens.find((open) => (script.heldBy(open) & Caching.write) !== 0)
          if (holder === undefined) return
          const beside = opens.filter((open) => !together(open, holder))
          if (
            beside.some((open) => !(open.attributesOnly || open.metadataOnly) || script.heldBy(open) !== 0)
          ) {
            throw new Error(`someone beside an exclusive holder: ${script.states}`)
          }
        })
      }),
      { numRuns: 3000 },
    )
  },
)

t.test('no operation gives, takes without a word, or waits for nothing; breaks come to an end', async (t) => {
  const all = ['', 'R', 'RH', 'RW', 'RWH'].map(bits)
  const subset = (one: number, other: number): boolean => (one & ~other) === 0
  const states: CachingState[] = all.flatMap((held) => [
    { held, breaking: undefined },
    ...all.flatMap((to) =>
      all
        .filter((required) => subset(required, to) && subset(to, held) && to !== held)
        .map((required) => ({ held, breaking: { to, required } })),
    ),
  ])
  for (const kind of ['oplock', 'lease'] as const) {
    for (const state of states) {
      for (const operation of ['open', 'overwrite', 'conflict', 'change'] as const) {
        const { state: next, waits, notice } = afterOperation(state, operation, kind)
        const name = `${text('lease', state)}, ${operation}: ${text('lease', next)}`
        t.ok(subset(next.held, state.held), name)
        t.ok(!waits || next.breaking !== undefined, name)
        t.ok(next.held === state.held || notice !== undefined, name)
        let [steps, after] = [0, next]
        for (; after.breaking !== undefined && steps < all.length; steps++) {
          after = afterAcknowledgment(after, after.breaking.to).state
        }
        t.equal(after.breaking, undefined, name)
        t.ok(next.breaking === undefined || after.held === next.breaking.required, name)
      }
    }
  }
})
