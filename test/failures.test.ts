/** Failures told again in the end: which lines are kept. */

import { test } from 'tap'
import { Failures } from './failures.ts'

test('a failure is kept with what belongs to it', (t) => {
  const failures = new Failures()
  const [one, other] = [failures.reader(), failures.reader()]
  one('ok   mac: mounts (0.1 s)')
  one('     | a note')
  one('FAIL mac: writes')
  other('ok   zfs: makes a pool')
  other('FAIL zfs: fills it')
  one('     | expected 2')
  one('     | found 3')
  other('zfs:      | no room')
  one('ok   mac: reads (0.1 s)')
  one('     | another note')
  t.same(failures.lines(), [
    'FAIL mac: writes',
    '     | expected 2',
    '     | found 3',
    'FAIL zfs: fills it',
    'zfs:      | no room',
  ])
  t.end()
})

test('a long message is cut', (t) => {
  const failures = new Failures()
  const take = failures.reader()
  take('FAIL dist/test/x.test.js (1.0 s)')
  for (let line = 0; line < 100; line += 1) take(`     | line ${line}`)
  t.equal(failures.lines().length, 9)
  t.equal(failures.lines().at(-1), '     | line 7')
  t.end()
})

test('passing steps leave nothing', (t) => {
  const failures = new Failures()
  failures.reader()('ok   mac: mounts (0.1 s)')
  t.same(failures.lines(), [])
  t.end()
})
