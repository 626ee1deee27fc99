/** zfs-allow(8): rights as OpenZFS 2.1 prints them, and what the server finds missing. */

import t from 'tap'
import { parsePlace } from '../../../server/config/places.ts'
import type { Configuration } from '../../../server/config/types.ts'
import { missingRights, neededRights } from '../../../server/probe/zfs-rights.ts'
import type { CommandRunner } from '../../../storage/zfs/command.ts'
import { rightsIn } from '../../../storage/zfs/delegation.ts'

const ALLOWED = `---- Permissions on tank/backups/mac -----------------------------------
Permission sets:
\t@keep hold,release
\t@snap @keep,snapshot
Local permissions:
\tuser poolhouse destroy
\tgroup staff diff
Descendent permissions:
\tuser poolhouse rename
Local+Descendent permissions:
\tuser ann rollback
\tuser poolhouse @snap,userprop
---- Permissions on tank -----------------------------------------------
Local permissions:
\tuser poolhouse create
Descendent permissions:
\teveryone mount
`
const poolhouse = { user: 'poolhouse', groups: ['staff', 'nogroup'] }

t.test('rights of a user', async (t) => {
  const on = (dataset: string, delegate = poolhouse) =>
    [...rightsIn(ALLOWED, dataset, delegate)].filter((right) => !right.startsWith('@')).sort()
  t.same(on('tank/backups/mac'), ['destroy', 'diff', 'hold', 'mount', 'release', 'snapshot', 'userprop'])
  t.same(on('tank/backups/mac/child'), ['hold', 'mount', 'release', 'rename', 'snapshot', 'userprop'])
  t.same(on('tank/backups/mac', { user: 'bert', groups: [] }), ['mount'])
  t.same([...rightsIn('', 'tank', poolhouse)], [])
})

t.test('what is missing', async (t) => {
  const configuration = {
    shares: [
      { name: 'mac', dataset: 'tank/backups/mac', maxSize: 1 },
      { name: 'srv', path: '/srv' },
      { name: 'new', dataset: 'tank/new' },
      { name: 'hangs', dataset: 'tank/hangs' },
    ],
    iscsi: { enabled: true },
    targets: [
      {
        lun: [
          { zvol: 'tank/vol' },
          { path: '/x' },
          { zvol: 'tank/one', size: 1 },
          { zvol: 'tank/new/two', size: 1 },
          { zvol: 'tank/old', size: 1, readOnly: true },
          { zvol: 'tank/long', size: 4096 },
          { zvol: 'tank/short', size: 8192 },
          { zvol: 'tank/thick', size: 8192 },
        ],
      },
    ],
    replicate: [
      { dataset: 'tank/backups/mac', to: parsePlace('box:pool/a') },
      { dataset: 'tank/b', to: parsePlace('pool/copies/b') },
    ],
  } as unknown as Configuration
  const run: CommandRunner = async (_program, args) => {
    const dataset = args.at(-1) ?? ''
    if (args[0] === 'list') {
      const reserved = { 'tank/long': 0, 'tank/short': 0, 'tank/thick': 4128 }[dataset]
      if (reserved === undefined) return { code: 1, stdout: '', stderr: 'dataset does not exist' }
      return { code: 0, stdout: `${dataset}\t4096\t4096\t-\t${reserved}\n`, stderr: '' }
    }
    if (dataset === 'tank/new') return { code: 1, stdout: '', stderr: 'dataset does not exist' }
    if (dataset === 'tank/hangs') return { code: undefined, stdout: '', stderr: '' }
    const all = '\tuser poolhouse send,hold,release,bookmark,snapshot,destroy,mount,create,receive,readonly\n'
    const whole = `---- Permissions on ${dataset} ---\nLocal+Descendent permissions:\n${all}`
    return { code: 0, stdout: dataset === 'tank/backups/mac' ? ALLOWED : whole, stderr: '' }
  }
  const needed = await neededRights(configuration, run)
  const volumes = ['tank', 'tank/short', 'tank/thick']
  t.same(
    [...needed.keys()],
    [...['tank/backups/mac', 'tank/new', 'tank/hangs', 'tank/b', 'pool/copies'], ...volumes],
    'a zvol that is long enough is opened, and never changed',
  )
  t.same(
    volumes.map((name) => needed.get(name)),
    [['create', 'mount', 'compression'], ['volsize'], ['volsize', 'refreservation']],
  )
  const messages = await missingRights(configuration, poolhouse, run)
  t.equal(messages.length, 6)
  t.match(messages[0], /zfs allow poolhouse refquota,send,bookmark tank\/backups\/mac$/)
  t.match(messages[1], /no dataset "tank\/new".*as root: zfs create -p tank\/new$/)
  t.match(messages[2], /rights on "tank\/hangs" are not known.*suspended/)
  t.match(messages.slice(3), [
    /zfs allow poolhouse compression tank$/,
    /zfs allow poolhouse volsize tank\/short$/,
    /zfs allow poolhouse volsize,refreservation tank\/thick$/,
  ])
})
