/** Replication of datasets: what is sent next, what is held and released afterwards, what the target keeps. */

import t from 'tap'
import {
  bookmarkPrefix,
  markReasons,
  planReplication,
  type ReplicaSnapshot,
  type ReplicaState,
  sendArguments,
  settle,
  thinReplica,
} from '../../../storage/zfs/replication.ts'

const HOUR = 3_600_000

/** Words are snapshots, `name` or `name=guid`, of which every one is an hour younger than the one before; `#` marks bookmarks. */
function state(name: string, points: string, more: Partial<ReplicaState> = {}): ReplicaState {
  const all = points
    .split(' ')
    .filter((word) => word !== '')
    .map((word, index) => {
      const [, mark = '', called = '', guid = called] = /^(#?)([^=]+)(?:=(.*))?$/.exec(word) ?? []
      return { mark, name: called, guid, createtxg: index + 1, created: index * HOUR }
    })
  return {
    name,
    snapshots: all
      .filter(({ mark }) => mark === '')
      .map(({ mark: _, ...point }) => ({ ...point, holds: [], reason: 'manual' })),
    bookmarks: all.filter(({ mark }) => mark === '#').map(({ mark: _, ...point }) => point),
    resumeToken: undefined,
    written: 0,
    isReadOnly: true,
    ...more,
  }
}

function held(replica: ReplicaState, tag: string, ...names: string[]): ReplicaState {
  const mark = (each: ReplicaSnapshot) => (names.includes(each.name) ? { ...each, holds: [tag] } : each)
  return { ...replica, snapshots: replica.snapshots.map(mark) }
}

const ID = 'backup@box:dst/b_1'
const TAG = `poolhouse:${ID}`

t.test('what is sent next', async (t) => {
  const at = (points: string, more: Partial<ReplicaState> = {}) => state('dst/a', points, more)
  const cases: readonly (readonly [string, string, ReplicaState | undefined, string | RegExp])[] = [
    ['no target: the oldest', 'a b c', undefined, '-w src/a@a'],
    ['nothing to send', '#a', undefined, /no snapshot to send; take one: zfs snapshot src\/a@first/],
    ['all that is newer', 'a b c', at('a'), '-w -I src/a@a src/a@c'],
    ['the target keeps fewer', 'a b c d', at('b'), '-w -I src/a@b src/a@d'],
    ['the source keeps fewer', 'c d', at('a b c'), '-w -I src/a@c src/a@d'],
    ['nothing is new', 'a b', at('a b'), 'up-to-date b'],
    ['from a bookmark one at a time', '#m=a b c', at('a'), '-w -i src/a#m src/a@b'],
    ['nothing is newer than the bookmark', 'a #m=b', at('a b'), 'up-to-date m'],
    ['a snapshot before its bookmark', 'a #m=a b', at('a'), '-w -I src/a@a src/a@b'],
    ['renamed on one side', 'x=a b', at('y=a'), '-w -I src/a@x src/a@b'],
    ['another of the same name', 'a b', at('a=other'), /is unknown to "src\/a", and so are its others/],
    ['an interrupted stream', 'a b', at('a', { resumeToken: '1-ab' }), '-t 1-ab'],
    ['an interrupted first one', 'a b', at('', { resumeToken: '1-ab' }), '-t 1-ab'],
    [
      'a snapshot of its own',
      'a b',
      at('a own'),
      /dst\/a@own, is unknown to "src\/a".*zfs rollback -r dst\/a@a/,
    ],
    ['gone at the source, without a bookmark', 'a c', at('a b'), /dst\/a@b, is unknown.*both have is a/],
    ['changed since', 'a b', at('a', { written: 512 }), /changed by 512 bytes since its snapshot a/],
    ['another dataset, empty', 'a b', at(''), /holds no snapshot, so it is no copy/],
  ]
  for (const [title, source, target, expected] of cases) {
    const plan = planReplication(state('src/a', source), target)
    if (plan.kind === 'refused') t.match(plan.reason, expected, title)
    else if (plan.kind === 'up-to-date') t.equal(`up-to-date ${plan.common}`, expected, title)
    else t.equal(sendArguments('src/a', plan).join(' '), expected, title)
  }
})

t.test('held and released', async (t) => {
  const shown = (source: ReplicaState, target: ReplicaState) =>
    settle(source, target, ID).map(({ side, args }) => `${side}: ${args.join(' ')}`)
  const prefix = bookmarkPrefix(ID)
  t.equal(prefix, 'poolhouse:backup_40box:dst_2fb_5f1:')
  t.not(bookmarkPrefix('a_2fb'), bookmarkPrefix('a/b'), 'no two targets share a prefix')
  const source = held(state('src/a', `a #${prefix}a=a b`), TAG, 'a', 'b')
  const target = held(state('dst/a', 'a y=b'), TAG, 'a')
  t.same(shown(source, target), [
    `target: hold ${TAG} dst/a@y`,
    `source: bookmark src/a@b src/a#${prefix}b`,
    `target: release ${TAG} dst/a@a`,
    `source: release ${TAG} src/a@a`,
    `source: destroy src/a#${prefix}a`,
  ])
  const settled = held(state('src/a', `a b #${prefix}b=b #mine=a #poolhouse:other:x=a`), TAG, 'b')
  t.same(shown(settled, held(state('dst/a', 'a b'), TAG, 'b')), [], 'once is enough; what is of others stays')
  const gone = state('src/a', `a #${prefix}b=b`)
  t.same(shown(gone, held(state('dst/a', 'a b'), TAG, 'b')), [], 'its bookmark stays when the snapshot went')
  t.same(shown(source, state('dst/a', '')), [])
})

t.test('retention of the target', async (t) => {
  const policy = { keepAllFor: 0, hourly: 2, daily: 0, weekly: 0, monthly: 0, yearly: 0, maximum: undefined }
  const names = (replica: ReplicaState, now: number) =>
    thinReplica(replica, policy, now).map(({ name }) => name)
  t.same(names(state('dst/a', 'a b c d e'), 4 * HOUR), ['a', 'b', 'c'])
  t.same(
    names(state('dst/a', 'a b c d e'), 400 * HOUR),
    ['a', 'b', 'c', 'd'],
    'the newest stays, however old',
  )
  t.same(names(held(state('dst/a', 'a b c'), 'anyone', 'a'), 400 * HOUR), ['b'], 'what is held stays')
  const target = state('dst/a', 'a y=b c')
  const unmarked = target.snapshots.map((each) => ({ ...each, reason: undefined }))
  t.same(thinReplica({ ...target, snapshots: unmarked }, policy, 400 * HOUR), [], 'what is not ours stays')
  t.same(
    markReasons(state('src/a', 'b c=other'), { ...target, snapshots: unmarked }).map(({ args }) => args),
    [['set', 'poolhouse:reason=manual', 'dst/a@y']],
  )
})
