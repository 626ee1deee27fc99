/** rclone's smb backend (go-smb2): copies the tree, checks it by download, renames, truncates, deletes. */

import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { needs } from './needs.ts'
import { describe, run, succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, removeAll, type Suite } from './suite.ts'
import {
  expectSame,
  fingerprint,
  makeTree,
  manyFiles,
  manyFolder,
  noise,
  unicodeFolder,
  unicodeNames,
} from './tree.ts'

const transferSeconds = 400
const shortSeconds = 60

export const rcloneSuite: Suite = {
  name: 'rclone',
  about: "rclone's smb backend",
  needs: [needs.rclone],
  bearsCompany: true,
  limitSeconds: 900,
  run: (report, directory) => onGround(report, directory, (ground) => tree(report, ground)),
}

async function tree(report: Report, ground: Ground): Promise<void> {
  const rclone = await clientOf(ground)
  const source = join(ground.local, 'tree')
  await makeTree(source, { small: manyFiles, large: true })
  const expected = await fingerprint(source)
  const remote = `nas:${ground.share}/tree`
  const onServer = join(ground.sharePath, 'tree')

  await report.check('lists the shares', async () => {
    const output = await rclone(['lsd', 'nas:'])
    expect(output.includes(ground.share), `no share in:\n${output}`)
  })
  const written = await report.check(`writes ${expected.size} files`, async () => {
    await rclone(['copy', source, remote], transferSeconds)
    expectSame(await fingerprint(onServer), expected)
  })
  if (!written) {
    return
  }
  await report.check('reads them back', async () => {
    const back = join(ground.local, 'back')
    await rclone(['copy', remote, back], transferSeconds)
    expectSame(await fingerprint(back), expected)
    await removeAll(back)
  })
  await report.check('check --download finds no difference', async () => {
    await rclone(['check', '--download', '--exclude', `/${manyFolder}/**`, source, remote], transferSeconds)
  })
  await report.check('sync finds nothing to do: sizes and times are kept', async () => {
    const output = await rclone(
      ['sync', '--dry-run', '--stats-one-line', source, remote, '-v'],
      transferSeconds,
    )
    expect(!/Skipped (copy|delete)/.test(output), output.slice(-2000))
  })
  await changes(report, rclone, ground, onServer)
  await report.check('deletes everything', async () => {
    await rclone(['purge', remote], transferSeconds)
    const left = await readdir(ground.sharePath)
    expect(left.length === 0, `left: ${left.join(', ')}`)
  })
}

/** @returns what rclone printed, its log (standard error) included */
type Rclone = (args: readonly string[], seconds?: number) => Promise<string>

async function changes(report: Report, rclone: Rclone, ground: Ground, onServer: string): Promise<void> {
  const [first = ''] = unicodeNames
  const remote = `nas:${ground.share}/tree`
  await report.check('renames a file and a folder', async () => {
    const renamed = 'renamed \u00e9.txt'
    await rclone(['moveto', `${remote}/${unicodeFolder}/${first}`, `${remote}/${unicodeFolder}/${renamed}`])
    await rclone(['moveto', `${remote}/${unicodeFolder}`, `${remote}/moved`])
    const names = await readdir(join(onServer, 'moved'))
    expect(names.includes(renamed) && !names.includes(first), `after the renames: ${names.join(', ')}`)
  })
  await report.check('truncates a file by writing a shorter one', async () => {
    const short = join(ground.local, 'short.bin')
    await writeFile(short, noise(10, 7))
    await rclone(['copyto', short, `${remote}/above-64k.bin`])
    const { size } = await stat(join(onServer, 'above-64k.bin'))
    expect(size === 10, `the file has ${size} bytes instead of 10`)
  })
  await report.check('deletes a file', async () => {
    await rclone(['deletefile', `${remote}/one-byte.bin`])
    expect(!(await readdir(onServer)).includes('one-byte.bin'), 'it is still there')
  })
}

/** rclone with its remote `nas` made of environment variables, and no configuration file. */
async function clientOf(ground: Ground): Promise<Rclone> {
  const password = (await succeed('rclone', ['obscure', alice.password], { seconds: shortSeconds })).trim()
  const cache = join(ground.local, 'rclone-cache')
  await mkdir(cache)
  const env = {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CACHE_DIR: cache,
    RCLONE_CONFIG_NAS_TYPE: 'smb',
    RCLONE_CONFIG_NAS_HOST: '127.0.0.1',
    RCLONE_CONFIG_NAS_PORT: String(ground.server.port),
    RCLONE_CONFIG_NAS_USER: alice.name,
    RCLONE_CONFIG_NAS_PASS: password,
  }
  return async (args, seconds = shortSeconds) => {
    const result = await run('rclone', args, { seconds, env })
    expect(result.code === 0, describe('rclone', args, result, seconds))
    return result.stdout + result.stderr
  }
}
