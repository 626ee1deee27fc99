/** MS-FSA 2.1.4.12, 2.1.5.18, 2.1.5.19: leases of files and directories, as scripts with their transcripts. */

import t from 'tap'
import type { Operation } from '../../../storage/sharing/caching.ts'
import { ROOT, Script, transcript } from './caching-script.ts'

t.test('leases: what is granted, by what is asked for and held', async (t) => {
  const alone = ['', 'R', 'H', 'W', 'RH', 'RW', 'WH', 'RWH'].map((wanted) => new Script().lease('A', wanted))
  t.same(alone, ['', 'R+', '', '', 'RH+', 'RW+', '', 'RWH+'])
  const folder = ['R', 'RH', 'RW', 'RWH'].map((wanted) => new Script(true).lease('A', wanted))
  t.same(folder, ['R+', 'RH+', 'R+', 'RH+'], 'of a directory nothing is written back')

  const upgrades = (held: string, beside: string): string =>
    ['', 'R', 'RH', 'RW', 'RWH']
      .map((wanted) => {
        const script = new Script()
        script.lease('A1', held)
        if (beside !== '') script.lease('B', beside)
        return script.lease('A2', wanted)
      })
      .join(' ')
  t.equal(upgrades('', ''), ' R+ RH+ RW+ RWH+', 'it grows')
  t.equal(
    upgrades('RH', ''),
    'RH RH RH RH RWH+',
    'never by a part of what is asked for, and it does not shrink',
  )
  t.equal(upgrades('RW', ''), 'RW RW RW RW RWH+')
  t.equal(upgrades('R', 'RH'), 'R R RH+ R R', 'beside another it gets what both can have, or nothing')

  const beside = (first: (script: Script) => void, wanted: string): string => {
    const script = new Script()
    first(script)
    return script.lease('B', wanted)
  }
  t.equal(
    beside((script) => script.open('A', 'none'), 'RWH'),
    'RH+',
    'no writing beside another open',
  )
  t.equal(
    beside((script) => script.open('A', 'none', { stat: true }), 'RWH'),
    'RWH+',
  )
  t.equal(
    beside((script) => script.lease('A', '', { stat: true }), 'RWH'),
    'RH+',
    'nor beside any lease',
  )
  t.equal(
    beside((script) => script.open('A', 'II'), 'RWH'),
    'R+',
    'no handles beside level II',
  )
  t.equal(
    beside((script) => script.open('A', 'exclusive', { stat: true }), 'RWH'),
    '',
  )
  const handles = new Script()
  handles.lease('A', 'RH')
  t.equal(handles.open('B', 'II'), 'none', 'no level II beside handles')
  t.throws(
    () => handles.oplocks.requestLease(handles.nodes.streamOf(handles.get('B')), handles.get('B'), 1),
    /no lease/,
  )
})

t.test('leases: what operations of others do', async (t) => {
  const table: Record<string, Record<Operation, string>> = {
    R: { open: '', overwrite: 'A>', conflict: '', change: 'A>' },
    RH: { open: '', overwrite: 'A>?', conflict: 'A>R? (A)', change: 'A>?' },
    RW: { open: 'A>R? (A)', overwrite: 'A>? (A)', conflict: '', change: 'A>? (A)' },
    RWH: { open: 'A>RH? (A)', overwrite: 'A>? (A)', conflict: 'A>RW? (A)', change: 'A>? (A)' },
  }
  for (const [held, row] of Object.entries(table)) {
    for (const [operation, expected] of Object.entries(row)) {
      const script = new Script()
      script.lease('A1', held)
      script.lease('A2', '', { stat: true })
      t.equal(script.check(operation as Operation), expected, `${operation} by another on ${held}`)
      const own = new Script()
      own.lease('A1', held)
      own.lease('A2', '')
      t.equal(own.check(operation as Operation, 'A2'), '', `${operation} by another open of it on ${held}`)
    }
  }
  const control = new Script()
  control.lease('A', 'RWH')
  control.open('B', 'none', { control: true })
  t.equal(control.check('open', 'B'), '', 'a security descriptor is read without breaking a lease')
  const oplock = new Script()
  oplock.open('A', 'batch')
  oplock.open('B', 'none', { control: true })
  t.equal(oplock.check('open', 'B'), 'A>II? (A)', 'but not without breaking an oplock')
})

t.test('leases: a break that goes on after its acknowledgment', async (t) => {
  const script = new Script()
  script.lease('A', 'RWH')
  t.equal(script.check('open'), 'A>RH? (A)')
  t.equal(script.check('overwrite'), '(A)', 'one break at a time')
  t.equal(script.stateOf('A'), 'RWH>RH>')
  t.equal(script.lease('A2', 'RWH'), 'RWH>RH>', 'its own opens go on, and are told of it')
  t.equal(script.acknowledge('A', 'RW'), 'violation', 'more than it was told')
  t.equal(script.stateOf('A'), 'RWH>RH>', 'which changes nothing')
  t.equal(script.acknowledge('A', 'RH'), 'accepted A>R?')
  t.equal(script.stateOf('A'), 'RH>R>')
  t.equal(script.acknowledge('A', 'R'), 'accepted A>', 'the last needs no acknowledgment')
  t.equal(script.states, 'A= A2=')
  t.equal(script.acknowledge('A', ''), 'not-breaking')
  t.equal(script.lease('A3', 'RWH'), 'RWH+', 'and it may grow again')

  const atOnce = new Script()
  atOnce.lease('A', 'RWH')
  atOnce.check('open')
  atOnce.check('overwrite')
  t.equal(atOnce.acknowledge('A', ''), 'accepted', 'who gives up all is asked no more')

  const silent = new Script()
  silent.lease('A', 'RWH')
  silent.lease('A2', '')
  silent.check('conflict')
  silent.close('A')
  t.equal(silent.stateOf('A2'), 'RWH>RW', 'a lease ends with its last open')
  silent.expire('A2')
  t.equal(silent.check('overwrite'), '')
  t.equal(silent.stateOf('A2'), '')
})

t.test('a directory is cached until its entries change', async (t) => {
  const script = new Script(true)
  script.lease('A', 'RH')
  script.lease('B', 'R')
  const change = (path: string, by?: string): string => {
    const child = { metadataOnly: false, oplockKey: { client: 'other', key: 'X' }, parentOplockKey: by }
    return transcript(script.oplocks.checkParent({ root: ROOT, path }, child))
  }
  t.equal(change('file'), '', 'itself is no entry of it')
  t.equal(change('file/a/b'), '', 'nor is what is deeper')
  t.equal(
    transcript(script.oplocks.checkParent({ root: {}, path: 'file/a' })),
    '',
    'nor what is in another share',
  )
  t.equal(change('file/a', 'A'), 'B>', 'who holds the parent key knows')
  t.equal(change('file/a', 'B'), 'A>?', 'and no one waits for the others')
  t.equal(script.stateOf('A'), 'RH>')
  t.equal(change('file/a'), '')
  t.equal(script.acknowledge('A', ''), 'accepted')
  t.equal(script.lease('A2', 'RH'), 'RH+')

  const moved = new Script(true)
  moved.lease('A', 'R')
  const open = moved.get('A')
  Object.assign(open, { path: 'elsewhere' })
  moved.oplocks.moved(open, 'file')
  t.equal(transcript(moved.oplocks.checkParent({ root: ROOT, path: 'file/a' })), '')
  t.equal(transcript(moved.oplocks.checkParent({ root: ROOT, path: 'elsewhere/a' })), 'A>')
  moved.close('A')
  t.equal(transcript(moved.oplocks.checkParent({ root: ROOT, path: 'elsewhere/a' })), '')
})
