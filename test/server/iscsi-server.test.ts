/** The iSCSI service as the server runs it: listeners, secrets, reload, status, sessions over sockets. */

import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  decodeLoginResponse,
  encodeLoginRequest,
  type LoginResponse,
} from '../../protocols/iscsi/pdu/login.ts'
import { joinPdu, NO_DIGESTS, splitPdu } from '../../protocols/iscsi/pdu/segments.ts'
import { encodeTextKeys } from '../../protocols/iscsi/pdu/text-keys.ts'
import { BufferPool } from '../../protocols/transport/buffer-pool.ts'
import { createEnvironment } from '../../protocols/transport/environment.ts'
import type { Configuration } from '../../server/config/types.ts'
import { type IscsiService, startIscsi } from '../../server/serve/iscsi-server.ts'
import { Lane } from '../../storage/lane.ts'
import { parsed } from './parsed.ts'

const folder = await mkdtemp(join(tmpdir(), 'poolhouse-iscsi-'))
t.teardown(() => rm(folder, { recursive: true }))

const LUN = (file: string): string => `[[target.lun]]\nid = 0\npath = "${file}"\nsize = "1MiB"\n`
const target = (name: string, keys = '', lun = LUN(`${name}.img`)): string =>
  `[[target]]\nname = "iqn.2026-11.test:${name}"\n${keys}\n${lun}`

function configured(text: string, listen = '127.0.0.1:0'): Configuration {
  const whole = `[server]\nstate_dir = "${folder}"\n[iscsi]\nlisten = ["${listen}"]\n${text}`
  return parsed(whole, folder)
}

const log: string[] = []

async function start(t: Test, configuration: Configuration): Promise<IscsiService> {
  log.length = 0
  const service = await startIscsi({
    configuration,
    environment: createEnvironment(),
    pool: new BufferPool(),
    laneFor: async () => new Lane(),
    log: (level, message) => void log.push(`${level}: ${message}`),
  })
  t.teardown(() => service.close())
  return service
}

interface Client {
  readonly response: LoginResponse
  /** Resolves when the server has hung up. */
  readonly closed: Promise<void>
}

/** Logs in to a target over a socket of its own. */
async function login(t: Test, { addresses: [address = ''] }: IscsiService, name: string): Promise<Client> {
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) })
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const bhs = encodeLoginRequest({
    ...{ transit: true, continues: false, currentStage: 1, nextStage: 3, versionMax: 0, versionMin: 0 },
    ...{ isid: Buffer.alloc(6, 1), tsih: 0, initiatorTaskTag: 1, cid: 0, cmdSN: 1, expStatSN: 0 },
  })
  const keys = encodeTextKeys([
    ['InitiatorName', 'iqn.2026-11.test:host'],
    ['TargetName', `iqn.2026-11.test:${name}`],
  ])
  for (const chunk of joinPdu(bhs, [keys], NO_DIGESTS)) socket.write(chunk)
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  return { response: decodeLoginResponse(splitPdu(answer, NO_DIGESTS)), closed }
}

t.test('a server without targets does not listen; a reload brings targets and takes them away', async (t) => {
  const service = await start(t, configured(''))
  t.same(service.addresses, [])
  await service.reload(configured(target('a') + target('b')))
  t.match(service.addresses[0], /^127\.0\.0\.1:\d+$/)
  const one = await login(t, service, 'a')
  const two = await login(t, service, 'b')
  t.same([one.response.status, two.response.status], [0, 0])
  const { sessions, treeConnects } = service.status()
  t.match(sessions[0], { protocol: 'iscsi', user: 'iqn.2026-11.test:host', address: '127.0.0.1' })
  t.same(
    treeConnects.map(({ share }) => share),
    ['iqn.2026-11.test:a', 'iqn.2026-11.test:b'],
  )
  t.equal(service.usage().limits.find(({ what }) => what === 'iscsi_sessions')?.used, 2)

  await service.reload(configured(target('a', 'initiators = ["iqn.2026-11.test:other"]')))
  await two.closed
  t.equal(service.status().sessions.length, 1, 'the session of a target whose disks stay the same stays')
  t.equal((await login(t, service, 'a')).response.status, 0x0202, 'and nobody new is admitted')
  t.equal((await login(t, service, 'b')).response.status, 0x0203)

  const id = sessions[0]?.id ?? ''
  t.equal(service.closeSession(id), true)
  t.equal(service.closeSession(id), false)
  await one.closed
})

t.test('a reload that fails changes nothing', async (t) => {
  const service = await start(t, configured(target('c') + target('d')))
  await login(t, service, 'c')
  const missing = '[[target.lun]]\nid = 0\npath = "missing.img"\n'
  await t.rejects(
    service.reload(configured(target('c') + target('e', '', missing))),
    /missing\.img does not exist/,
  )
  t.equal(service.status().sessions.length, 1)
  t.equal((await login(t, service, 'd')).response.status, 0, 'closed for the reload, and open again')
})

t.test('a target whose disk has changed begins anew', async (t) => {
  const service = await start(t, configured(target('f')))
  const before = await login(t, service, 'f')
  await service.reload(configured(target('f', '', LUN('f2.img'))))
  await before.closed
  t.same(service.status().sessions, [])
  t.equal((await login(t, service, 'f')).response.status, 0)
})

t.test('disks of a target come, go and grow under its sessions', async (t) => {
  const lun = (id: number, file: string, size = '1MiB') =>
    `[[target.lun]]\nid = ${id}\npath = "${file}.img"\nsize = "${size}"\n`
  const service = await start(t, configured(target('k', '', lun(0, 'k0'))))
  await login(t, service, 'k')
  const size = async (file: string) => (await stat(join(folder, `${file}.img`))).size / 1024 ** 2
  await service.reload(configured(target('k', '', lun(0, 'k0', '3MiB') + lun(5, 'k5'))))
  t.same([await size('k0'), await size('k5')], [3, 1])
  await service.reload(configured(target('k', '', lun(0, 'k0'))))
  t.equal(await size('k0'), 3, 'none shrinks')
  const other = target('l', '', lun(0, 'k5'))
  await service.reload(configured(target('k', '', lun(0, 'k0')) + other))
  t.equal((await login(t, service, 'l')).response.status, 0, 'a disk that was given up is free for another')

  const missing = '[[target.lun]]\nid = 7\npath = "missing.img"\n'
  await t.rejects(service.reload(configured(target('k', '', lun(1, 'k1') + missing) + other)), /missing\.img/)
  await t.rejects(start(t, configured(target('m', '', lun(0, 'k0')))), /in use by another LUN/, 'it is back')
  await start(t, configured(target('m', '', lun(0, 'k1'))))
  t.equal(service.status().sessions.length, 2, 'the sessions never ended')
})

t.test('CHAP secrets', async (t) => {
  const chap = (secret: string, mutual = ''): string =>
    target('g', `[target.chap]\nuser = "mac"\nsecret_file = "${secret}"\n${mutual}`)
  const mutual = 'mutual_user = "ocean"\nmutual_secret_file = "same"'
  await writeFile(join(folder, 'short'), 'eleven-byte\n')
  await writeFile(join(folder, 'long'), 'seventeen-bytes-x')
  await writeFile(join(folder, 'good'), 'twelve-bytes\r\n')
  await writeFile(join(folder, 'same'), 'twelve-bytes')
  await t.rejects(start(t, configured(chap('none'))), /target ".*:g": cannot read the CHAP secret: ENOENT/)
  await t.rejects(start(t, configured(chap('short'))), /short has 11 bytes; use 12 to 16/)
  await t.rejects(start(t, configured(chap('long'))), /long has 17 bytes; use 12 to 16/)
  await t.rejects(start(t, configured(chap('good', mutual))), /hold the same secret/)
  const service = await start(t, configured(chap('good')))
  t.equal((await login(t, service, 'g')).response.status, 0x0201)
})

t.test('a target that anyone can reach without CHAP is warned of', async (t) => {
  const warned = (): boolean =>
    log.some((line) => line.startsWith('warn: target "iqn.2026-11.test:h" has no'))
  await start(t, configured(target('h')))
  t.equal(warned(), false)
  await start(t, configured(target('h', '', LUN('h2.img')), '0.0.0.0:0'))
  t.equal(warned(), true)
})

t.test('a target is closed with the server, and can be opened again', async (t) => {
  const service = await start(t, configured(target('i')))
  const client = await login(t, service, 'i')
  await service.close()
  await client.closed
  const again = await start(t, configured(target('i')))
  t.equal((await login(t, again, 'i')).response.status, 0)
})
