/** MS-FSA 2.1.4.12, 2.1.5.18, 2.1.5.19: who may cache a stream, as scripts with their transcripts, and for any sequence of events. */

import fc from 'fast-check'
import t from 'tap'
import { NodeTable } from '../../../storage/sharing/node-table.ts'
import {
  type CachingOpen,
  type Check,
  type Operation,
  type OplockLevel,
  type OplockState,
  Oplocks,
  stateAfter,
} from '../../../storage/sharing/oplocks.ts'
import { GrantedAccess, ShareMode } from '../../../storage/sharing/share-access.ts'

const ROOT = {}
const TARGET = { volumeId: 1n, fileId: 1n }
const SHARE_ALL = ShareMode.read | ShareMode.write | ShareMode.delete

interface NamedOpen extends CachingOpen {
  readonly name: string
}

/** A file and those who open it by letters; what happens is kept as a transcript. */
class Script {
  readonly oplocks = new Oplocks<NamedOpen>()
  readonly nodes = new NodeTable<NamedOpen>([this.oplocks])
  readonly opens = new Map<string, NamedOpen>()

  /** `stat`: attributes only. */
  open(name: string, wanted: OplockLevel, kind: 'data' | 'stat' = 'data', stream?: string): OplockLevel {
    const attributesOnly = kind === 'stat'
    const access = attributesOnly ? 0 : GrantedAccess.read | GrantedAccess.write
    const open = { name, attributesOnly, access, share: SHARE_ALL, root: ROOT, path: 'file' }
    const node = this.nodes.attach({ ...TARGET, ...(stream !== undefined && { stream }) }, open)
    this.opens.set(name, open)
    return this.oplocks.request(node, open, wanted)
  }

  /** "A>II? B>none": A is asked for an acknowledgment, B is told; "(A)": it waits for A. */
  check(operation: Operation, by?: string): string {
    const stream = this.nodes.findStream(TARGET)
    if (stream === undefined) throw new Error('nothing is open')
    return transcript(this.oplocks.check(stream, operation, by === undefined ? undefined : this.get(by)))
  }

  acknowledge(name: string, level: OplockLevel): string {
    return this.oplocks.acknowledge(this.get(name), level)
  }

  close(name: string): void {
    this.nodes.detach(this.get(name))
    this.opens.delete(name)
  }

  get(name: string): NamedOpen {
    const open = this.opens.get(name)
    if (open === undefined) throw new Error(`${name} is not open`)
    return open
  }

  /** "A=batch B=none" */
  get states(): string {
    return [...this.opens.values()].map((open) => `${open.name}=${this.oplocks.stateOf(open)}`).join(' ')
  }
}

function transcript({ breaks, waitFor }: Check<NamedOpen>): string {
  const told = breaks.map(({ open, to, acknowledges }) => `${open.name}>${to}${acknowledges ? '?' : ''}`)
  return [...told, ...waitFor.map(({ name }) => `(${name})`)].join(' ')
}

t.test('grants', async (t) => {
  for (const level of ['none', 'II', 'exclusive', 'batch'] as const) {
    t.equal(new Script().open('A', level), level, `alone: ${level}`)
  }
  const behind = (first: OplockLevel, kind: 'data' | 'stat', second: OplockLevel) => {
    const script = new Script()
    script.open('A', first, kind)
    return script.open('B', second)
  }
  t.equal(behind('none', 'data', 'batch'), 'II', 'another open without an oplock leaves level II')
  t.equal(behind('II', 'data', 'exclusive'), 'II')
  t.equal(behind('none', 'stat', 'batch'), 'batch', 'one of attributes only takes no part')
  t.equal(behind('II', 'stat', 'batch'), 'II', 'unless it caches')

  const beside = new Script()
  beside.open('A', 'batch')
  t.equal(beside.open('B', 'batch', 'stat'), 'none', 'nothing beside a batch oplock')
  t.equal(beside.open('C', 'batch', 'data', 'stream'), 'batch', 'streams are apart')

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
  t.equal(script.acknowledge('A', 'II'), 'accepted')
  t.equal(script.states, 'A=II')
  t.equal(script.check('open'), '', 'the first goes on')
  t.equal(script.open('B', 'batch'), 'II')
  t.equal(script.check('overwrite'), 'A>none B>none', 'the other breaks level II, for which no one waits')
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
      const expectedOfOwn = level === 'II' ? expected : ''
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
  const rows: [OplockLevel, Operation | undefined, OplockLevel, string, OplockState][] = [
    ['batch', 'open', 'II', 'accepted', 'II'],
    ['batch', 'open', 'none', 'accepted', 'none'],
    ['exclusive', 'overwrite', 'none', 'accepted', 'none'],
    ['exclusive', 'overwrite', 'II', 'violation', 'none'],
    ['batch', 'open', 'batch', 'violation', 'none'],
    ['batch', undefined, 'II', 'not-breaking', 'batch'],
    ['batch', undefined, 'exclusive', 'violation', 'batch'],
    ['II', undefined, 'none', 'not-breaking', 'II'],
    ['II', undefined, 'II', 'violation', 'II'],
    ['II', 'change', 'none', 'not-held', 'none'],
    ['none', undefined, 'none', 'not-held', 'none'],
  ]
  for (const [level, operation, acknowledged, expected, after] of rows) {
    const script = new Script()
    script.open('A', level)
    if (operation !== undefined) script.check(operation)
    const name = `${level}, ${operation ?? 'nothing'}, acknowledges ${acknowledged}`
    t.equal(script.acknowledge('A', acknowledged), expected, name)
    t.equal(script.oplocks.stateOf(script.get('A')), after, name)
  }
})

t.test('a break ends with the holder or with time', async (t) => {
  const closing = new Script()
  closing.open('S', 'none', 'stat')
  closing.open('A', 'batch')
  closing.check('open')
  closing.close('A')
  t.equal(closing.check('open'), '')
  t.equal(closing.open('B', 'batch'), 'batch', 'nothing of the closed one is left')
  const silent = new Script()
  silent.open('A', 'exclusive')
  silent.check('open')
  silent.oplocks.expire(silent.get('A'))
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
      readonly wanted: OplockLevel
      readonly stat: boolean
      readonly overwrites: boolean
    }
  | { readonly kind: 'change' | 'close' | 'expire'; readonly which: number }
  | { readonly kind: 'acknowledge'; readonly which: number; readonly level: OplockLevel }

const levels = fc.constantFrom<OplockLevel>('none', 'II', 'exclusive', 'batch')
const events: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    wanted: levels,
    stat: fc.boolean(),
    overwrites: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom('change' as const, 'close' as const, 'expire' as const),
    which: fc.nat(9),
  }),
  fc.record({ kind: fc.constant('acknowledge' as const), which: fc.nat(9), level: levels }),
)

/** Opens as the protocol does: checks first, and comes in only when there is nothing to wait for. */
function happen(script: Script, event: Event, name: string): void {
  if (event.kind === 'open') {
    const stream = script.nodes.findStream(TARGET)
    const breaks = event.overwrites || !event.stat
    if (stream !== undefined && breaks) {
      const { waitFor } = script.oplocks.check(stream, event.overwrites ? 'overwrite' : 'open')
      if (waitFor.length > 0) return
    }
    script.open(name, event.wanted, event.stat ? 'stat' : 'data')
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
      script.oplocks.expire(open)
      break
    case 'acknowledge':
      script.acknowledge(chosen, event.level)
  }
}

function change(script: Script, open: NamedOpen): void {
  const stream = script.nodes.streamOf(open)
  const { waitFor } = script.oplocks.beginChange(stream, open)
  if (waitFor.length > 0) throw new Error('a writer beside an exclusive holder')
  for (const other of script.opens.values()) {
    if (script.oplocks.stateOf(other) !== 'none' && other !== open)
      throw new Error('a copy outlives a change')
  }
  script.oplocks.endChange(stream)
}

t.test('for any sequence: one exclusive holder at most, and no reader or writer beside it', async () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 40 }), (sequence) => {
      const script = new Script()
      sequence.forEach((event, index) => {
        happen(script, event, `${index}`)
        const opens = [...script.opens.values()]
        const holders = opens.filter((open) => /exclusive|batch/.test(script.oplocks.stateOf(open)))
        if (holders.length > 1) throw new Error(`two exclusive holders: ${script.states}`)
        const beside = opens.filter((open) => holders.length > 0 && !holders.includes(open))
        if (beside.some((open) => !open.attributesOnly || script.oplocks.stateOf(open) !== 'none')) {
          throw new Error(`someone beside an exclusive holder: ${script.states}`)
        }
      })
    }),
    { numRuns: 3000 },
  )
})

t.test('no operation raises a state, or breaks without a break', async (t) => {
  const rank: Record<string, number> = { none: 0, II: 1, exclusive: 2, batch: 3 }
  const states: OplockState[] = [
    ...(['none', 'II', 'exclusive', 'batch'] as const),
    ...(['exclusive>II', 'exclusive>none', 'batch>II', 'batch>none'] as const),
  ]
  for (const state of states) {
    for (const operation of ['open', 'overwrite', 'conflict', 'change'] as const) {
      for (const own of [false, true]) {
        const after = stateAfter(state, operation, own)
        const name = `${state}, ${operation}${own ? ' of its own' : ''}: ${after.state}`
        const [before = '', now = ''] = [state.split('>')[0], after.state.split('>')[0]]
        t.ok((rank[now] ?? 0) <= (rank[before] ?? 0), name)
        t.ok(!after.waits || after.state.includes('>'), name)
      }
    }
  }
})
