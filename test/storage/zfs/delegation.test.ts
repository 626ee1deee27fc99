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
    targets: [{ lun: [{ zvol: 'tank/vol' }, { path: '/x' }] }],
    replicate: [
      { dataset: 'tank/backups/mac', to: parsePlace('box:pool/a') },
      { dataset: 'tank/b', to: parsePlace('pool/copies/b') },
    ],
  } as unknown as Configuration
  t.same(
    [...neededRights(configuration).keys()],
    [...['tank/backups/mac', 'tank/new', 'tank/hangs', 'tank/b', 'pool/copies']],
    'a zvol is opened, and never changed',
  )
  const run: CommandRunner = async (_program, [, dataset]) => {
    if (dataset === 'tank/new') return { code: 1, stdout: '', stderr: 'dataset does not exist' }
    if (dataset === 'tank/hangs') return { code: undefined, stdout: '', stderr: '' }
    const all = '\tuser poolhouse send,hold,release,bookmark,snapshot,destroy,mount,create,receive,readonly\n'
    const whole = `---- Permissions on ${dataset} ---\nLocal+Descendent permissions:\n${all}`
    return { code: 0, stdout: dataset === 'tank/backups/mac' ? ALLOWED : whole, stderr: '' }
  }
  const messages = await missingRights(configuration, poolhouse, run)
  t.equal(messages.length, 2)
  t.match(messages[0], /zfs allow poolhouse refquota,send,bookmark tank\/backups\/mac$/)
  t.match(messages[1], /rights on "tank\/hangs" are not known.*suspended/)
})
