/** Samba's rpcclient and smbcacls: names of accounts over lsarpc, and access lists read and written by name. */

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, createServer, type Server as TcpServer } from 'node:net'
import { join } from 'node:path'
import { alice, bob } from './environment.ts'
import { needs } from './needs.ts'
import { run, succeed } from './process.ts'
import { expect, type Report } from './report.ts'
import { type Ground, onGround, type Suite } from './suite.ts'

const shortSeconds = 60
/** smbcacls takes no port: at this address, which is nobody else's, the server can be had at the usual one. */
const aclAddress = '127.0.0.145'
const smbPort = 445
const fileName = 'with an access list.txt'

export const namesSuite: Suite = {
  name: 'names',
  about: "Samba's rpcclient and smbcacls: names for SIDs, access lists by name",
  needs: [needs.rpcclient, needs.smbcacls, needs.root],
  limitSeconds: 120,
  run: (report, directory) =>
    onGround(report, directory, async (ground) => {
      await report.group('rpcclient', () => translation(report, ground))
      await report.group('smbcacls', () => accessLists(report, ground))
    }),
}

/** What is said about a name: the SID, and the name that the SID leads back to. */
async function translation(report: Report, ground: Ground): Promise<void> {
  const call = rpcclientOf(ground)
  await report.check('lsaquery tells the account domain', async () => {
    const output = await call('lsaquery 5')
    expect(/^Domain Sid: S-1-5-21-\d+-\d+-\d+$/m.test(output), output)
  })
  await report.check('getusername tells who calls', async () => {
    const output = await call('getusername')
    expect(output.includes(`Account Name: ${alice.name}, Authority Name: `), output)
  })
  await report.check('names lead to SIDs, and these back', async () => {
    const names = [alice.name, bob.name, 'nasusers', 'Everyone', 'Administrators', 'SYSTEM']
    const sids = sidsIn(await call(`lookupnames ${names.join(' ')}`))
    expect(sids.length === names.length, `${sids.length} SIDs`)
    const output = await call(`lookupsids ${sids.join(' ')}`)
    for (const name of names) expect(output.includes(`\\${name} (`), `no ${name} in:\n${output}`)
  })
  await report.check('nobody has other names and SIDs', async () => {
    const output = await call('lookupnames nosuchname')
    expect(output.includes('NT_STATUS_NONE_MAPPED'), output)
    const unknown = await call('lookupsids S-1-5-21-1-2-3-500')
    expect(unknown.includes('*unknown*\\*unknown* (8)'), unknown)
  })
  await report.check('many SIDs take many fragments', async () => {
    const wanted = Array.from({ length: 1000 }, (_, index) => `S-1-5-21-1-2-3-${index + 1000}`)
    const output = await call(`lookupsids ${wanted.join(' ')} S-1-1-0`)
    expect(output.split('*unknown*\\*unknown*').length === wanted.length + 1, output.slice(0, 1000))
    expect(output.includes('\\Everyone (5)'), output.slice(-1000))
  })
}

function sidsIn(output: string): string[] {
  return [...output.matchAll(/ (S-1-[-\d]+) \(/g)].map((match) => match[1] ?? '')
}

/** Runs commands of rpcclient, which ends with 1 when one of them gets an error for an answer. */
function rpcclientOf(ground: Ground): (commands: string) => Promise<string> {
  const credentials = ['-U', `${alice.name}%${alice.password}`]
  const args = ['-s', '/dev/null', '-p', String(ground.server.port), ...credentials, '127.0.0.1']
  return async (commands) => {
    const result = await run('rpcclient', [...args, '-c', commands], { seconds: shortSeconds })
    return `${result.stdout}${result.stderr}`
  }
}

async function accessLists(report: Report, ground: Ground): Promise<void> {
  const forwarder = await forward(ground.server.port)
  try {
    await changeAccessList(report, ground)
  } finally {
    forwarder.close()
  }
}

async function changeAccessList(report: Report, ground: Ground): Promise<void> {
  const local = join(ground.local, 'file')
  await writeFile(local, 'content')
  const base = ['-s', '/dev/null', '-U', `${alice.name}%${alice.password}`]
  const share = `//${aclAddress}/${ground.share}`
  await succeed('smbclient', [...base, share, '-c', `put "${local}" "${fileName}"`], {
    seconds: shortSeconds,
  })
  const smbcacls = (...args: string[]): Promise<string> =>
    succeed('smbcacls', [...base, share, fileName, ...args], { seconds: shortSeconds })
  await report.check('shows names', async () => {
    const output = await smbcacls()
    expect(new RegExp(`^OWNER:[^\\n]+\\\\${alice.name}$`, 'm').test(output), output)
    expect(!output.includes('S-1-'), `a bare SID in:\n${output}`)
  })
  const entry = new RegExp(`^ACL:[^\\n]+\\\\${bob.name}:ALLOWED/0x0/READ$`, 'm')
  await report.check('adds an entry by name', async () => {
    await smbcacls('-a', `ACL:${bob.name}:ALLOWED/0x0/READ`)
    const output = await smbcacls()
    expect(entry.test(output), output)
  })
  await report.check('removes it by name', async () => {
    await smbcacls('-D', `ACL:${bob.name}:ALLOWED/0x0/READ`)
    const output = await smbcacls()
    expect(!entry.test(output), output)
  })
  await report.check('an unknown name is refused', async () => {
    const args = [...base, share, fileName, '-a', 'ACL:nosuchname:ALLOWED/0x0/READ']
    const result = await run('smbcacls', args, { seconds: shortSeconds })
    expect(result.code !== 0, result.stdout)
  })
}

/** Listens at the usual port of `aclAddress` and passes everything on. */
async function forward(port: number): Promise<TcpServer> {
  const forwarder = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    for (const socket of [client, server]) socket.on('error', () => socket.destroy())
    client.pipe(server).pipe(client)
  })
  forwarder.listen(smbPort, aclAddress)
  await once(forwarder, 'listening')
  return forwarder
}
