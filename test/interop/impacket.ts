/** impacket, an independent client in Python: its smbclient shell on the whole tree, its library in each dialect it speaks. */

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { alice } from './environment.ts'
import { needs, python } from './needs.ts'
import { interopFile } from './paths.ts'
import { succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, removeAll, type Suite, sealedShareName } from './suite.ts'
import {
  expectSame,
  fingerprint,
  makeTree,
  manyFiles,
  manyFolder,
  namesFor,
  smallName,
  unicodeFolder,
} from './tree.ts'

/** impacket counts characters where MS-SMB2 2.2.13 counts bytes, and cuts such names short. */
const beyondBmp = false
const shellSeconds = 600
const librarySeconds = 180

/**
 * What impacket 0.10 can do: in dialect 3.1.1 a TREE_CONNECT must be signed or encrypted (MS-SMB2 3.3.5.7), and
 * neither Samba nor we accept what it sends there.
 */
const dialects = ['0x0202', '0x0210', '0x0300']

export const impacketSuite: Suite = {
  name: 'impacket',
  about: "impacket's smbclient shell and its library",
  needs: [needs.impacket],
  bearsCompany: true,
  limitSeconds: 1200,
  run: (report, directory) =>
    onGround(report, directory, async (ground) => {
      await report.group('shell', () => shell(report, ground))
      const source = join(ground.local, 'small')
      await makeTree(source, { small: 100, large: true, beyondBmp })
      for (const dialect of dialects) {
        await report.group(`library ${dialect}`, () => library(report, ground, dialect, ground.share, source))
      }
      await report.group('library 0x0300 encrypted', () =>
        library(report, ground, '0x0300', sealedShareName, source),
      )
    }),
}

async function shell(report: Report, ground: Ground): Promise<void> {
  const source = join(ground.local, 'tree')
  await makeTree(source, { small: manyFiles, large: true, beyondBmp })
  const expected = await fingerprint(source)
  const onServer = join(ground.sharePath, 'tree')
  const folders = ['', unicodeFolder, manyFolder]
  const written = await report.check(`writes ${expected.size} files`, async () => {
    const commands = ['mkdir tree', ...folders.slice(1).map((folder) => `mkdir tree/${folder}`)]
    for (const folder of folders) {
      commands.push(`cd \\tree\\${folder}`, `lcd ${join(source, folder)}`)
      const names = [...expected.keys()].filter((path) => folderOf(path) === folder)
      commands.push(...names.map((path) => `put ${path.slice(path.lastIndexOf('/') + 1)}`))
    }
    await runShell(ground, commands)
    expectSame(await fingerprint(onServer), expected)
  })
  if (!written) {
    return
  }
  const back = join(ground.local, 'back')
  await report.check('reads them back', async () => {
    const commands: string[] = []
    for (const folder of folders) {
      await mkdir(join(back, folder), { recursive: true })
      commands.push(`cd \\tree\\${folder}`, `lcd ${join(back, folder)}`, 'mget *')
    }
    await runShell(ground, commands)
    expectSame(await fingerprint(back), expected)
  })
  await removeAll(back)
  await report.check('lists shares and deletes everything', async () => {
    const commands = [
      'shares',
      `cd \\tree\\${unicodeFolder}`,
      ...namesFor({ beyondBmp }).map((name) => `rm ${name}`),
    ]
    commands.push(`cd \\tree\\${manyFolder}`)
    for (let index = 0; index < manyFiles; index += 1) {
      commands.push(`rm ${smallName(index)}`)
    }
    const rest = [...expected.keys()].filter((path) => folderOf(path) === '')
    commands.push('cd \\tree', ...rest.map((name) => `rm ${name}`))
    commands.push(`rmdir ${unicodeFolder}`, `rmdir ${manyFolder}`, 'cd \\', 'rmdir tree')
    const output = await runShell(ground, commands)
    expect(output.split('\n').includes(ground.share), `no share in:\n${output.slice(0, 1000)}`)
    await expectEmpty(ground.sharePath)
  })
}

async function library(
  report: Report,
  ground: Ground,
  dialect: string,
  share: string,
  source: string,
): Promise<void> {
  const expected = await fingerprint(source)
  const remote = 'library'
  const sharePath = ground.pathOf(share)
  const step = (name: string, local: string) =>
    succeed(
      python,
      [
        interopFile('impacket', 'library.py'),
        ...[String(ground.server.port), alice.name, alice.password, share, dialect, name, local, remote],
      ],
      { seconds: librarySeconds },
    )
  const written = await report.check(`writes ${expected.size} files`, async () => {
    await step('write', source)
    expectSame(await fingerprint(join(sharePath, remote)), expected)
  })
  if (!written) {
    return
  }
  await report.check('reads them back', async () => {
    const back = join(ground.local, 'back')
    await step('read', back)
    expectSame(await fingerprint(back), expected)
    await removeAll(back)
  })
  await report.check('renames, truncates, deletes', async () => {
    await step('change', '-')
  })
  await report.check('deletes everything', async () => {
    await step('remove', '-')
    await expectEmpty(sharePath)
  })
}

function runShell(ground: Ground, commands: readonly string[]): Promise<string> {
  const args = [interopFile('impacket', 'shell.py'), String(ground.server.port), alice.name, alice.password]
  const input = [`use ${ground.share}`, ...commands, ''].join('\n')
  return succeed(python, args, { seconds: shellSeconds, input, cwd: ground.local })
}

async function expectEmpty(directory: string): Promise<void> {
  const left = await readdir(directory)
  expect(left.length === 0, `left: ${left.join(', ')}`)
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}
