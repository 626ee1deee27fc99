/** Disks on files and block devices keep the contract, and say what is wrong with their backing. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { copyFile, mkdtemp, open, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openImage } from '../../../storage/image/image.ts'
import { MemoryDisk } from '../../../storage/memory/block-device.ts'
import { blockDeviceContract, CONTRACT_DISK_BYTES } from '../../contract/block-device.ts'

const folder = await mkdtemp(join(tmpdir(), 'poolhouse-image-'))
t.teardown(() => rm(folder, { recursive: true }))
/** A zvol of CONTRACT_DISK_BYTES whose content may be lost. */
const CONTRACT_DEVICE = process.env['POOLHOUSE_CONTRACT_DEVICE']
let count = 0
const fresh = (): string => join(folder, `${++count}.img`)
const writable = { readOnly: false } as const

/** A loop device on a file; undefined where this machine has none for us. */
function loopDevice(file: string): string | undefined {
  try {
    return execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

// In one test: between tests of their own nothing may be waited for.
t.test('the contract', async (t) => {
  await blockDeviceContract(t, 'memory', async () => ({
    disk: new MemoryDisk({ size: CONTRACT_DISK_BYTES }),
    cleanup: async () => undefined,
  }))

  await blockDeviceContract(t, 'sparse file', async () => {
    const disk = await openImage({ extents: [{ path: fresh(), size: CONTRACT_DISK_BYTES, ...writable }] })
    return { disk, cleanup: () => disk.close() }
  })

  await blockDeviceContract(t, 'three files end to end', async () => {
    const start = 1024 * 1024
    const length = CONTRACT_DISK_BYTES / 4
    const extents = [
      { path: fresh(), size: length, start: 0, length, ...writable },
      { path: fresh(), size: length + start, start, length, ...writable },
      { path: fresh(), size: 2 * length, start: 0, length: 2 * length, ...writable },
    ]
    const disk = await openImage({ extents })
    return { disk, cleanup: () => disk.close() }
  })

  if (CONTRACT_DEVICE !== undefined) {
    await blockDeviceContract(t, 'zvol', async () => {
      execFileSync('blkdiscard', [CONTRACT_DEVICE])
      const disk = await openImage({ extents: [{ path: CONTRACT_DEVICE, ...writable }] })
      return { disk, knowsHoles: false, cleanup: () => disk.close() }
    })
  }

  const probe = fresh()
  await writeFile(probe, '')
  await truncate(probe, 1024 * 1024)
  const probed = process.getuid?.() === 0 ? loopDevice(probe) : undefined
  if (probed === undefined) t.pass('block devices: no loop device for us here')
  else {
    execFileSync('losetup', ['--detach', probed])
    await blockDeviceContract(t, 'block device', async () => {
      const file = fresh()
      await writeFile(file, '')
      await truncate(file, CONTRACT_DISK_BYTES)
      const device = loopDevice(file) as string
      const disk = await openImage({ extents: [{ path: device, ...writable }] })
      return {
        disk,
        knowsHoles: false,
        cleanup: async () => {
          await disk.close()
          execFileSync('losetup', ['--detach', device])
        },
      }
    })
  }
})

t.test('a missing file is made sparse at its size, a shorter one grows, none shrinks', async (t) => {
  const path = fresh()
  const first = await openImage({ extents: [{ path, size: 1024 * 1024, ...writable }] })
  t.equal(first.size, 1024 * 1024)
  // A fresh file of ZFS has one of 512 bytes.
  t.ok((await stat(path)).blocks <= 1)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  await first.refresh(2 * 1024 * 1024)
  t.equal(first.size, 2 * 1024 * 1024)
  await first.close()
  const again = await openImage({ extents: [{ path, size: 4 * 1024 * 1024, ...writable }] })
  t.equal(again.size, 4 * 1024 * 1024)
  await truncate(path, 5 * 1024 * 1024)
  await again.refresh()
  t.equal(again.size, 5 * 1024 * 1024)
  await again.close()
  const third = await openImage({ extents: [{ path, size: 1024, ...writable }] })
  t.equal(third.size, 5 * 1024 * 1024)
  await third.close()
})

t.test('a disk has one user, and the error names it', async (t) => {
  const path = fresh()
  const disk = await openImage({ extents: [{ path, size: 65_536, ...writable }] })
  await t.rejects(openImage({ extents: [{ path, ...writable }] }), {
    code: 'busy',
    message: /in use by another LUN of this server/,
  })
  await t.rejects(openImage({ extents: [{ path, readOnly: true }] }), { code: 'busy' })
  await disk.close()
  const one = await openImage({ extents: [{ path, readOnly: true }] })
  const other = await openImage({ extents: [{ path, readOnly: true }] })
  t.ok(one.isReadOnly && !one.canDiscard)
  await t.rejects(one.write([Buffer.alloc(1)], 0), { code: 'read-only' })
  await t.rejects(one.discard(0, 1), { code: 'read-only' })
  await Promise.all([one.close(), other.close()])
})

t.test('a device is kept from others on the machine, and not taken from them', async (t) => {
  const file = fresh()
  await writeFile(file, '')
  await truncate(file, 1024 * 1024)
  const device = process.getuid?.() === 0 ? loopDevice(file) : undefined
  if (device === undefined) return t.pass('no loop device for us here')
  t.teardown(() => execFileSync('losetup', ['--detach', device]))
  // As mount(8) does.
  const claim = () => open(device, constants.O_RDWR | constants.O_EXCL)
  const disk = await openImage({ extents: [{ path: device, ...writable }] })
  await t.rejects(claim(), { code: 'EBUSY' })
  await t.rejects(openImage({ extents: [{ path: device, ...writable }] }), { message: /another LUN of this/ })
  await disk.close()
  const claimed = await claim()
  await t.rejects(openImage({ extents: [{ path: device, ...writable }] }), {
    code: 'busy',
    message: /in use by this machine \(mounted/,
  })
  await (await openImage({ extents: [{ path: device, readOnly: true }] })).close()
  await claimed.close()
  // What has such a name soon lets go.
  const program = join(folder, 'udevd')
  await copyFile('/usr/bin/flock', program)
  const udev = spawn(program, ['-s', device, 'sh', '-c', 'echo locked; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(udev.stdout, 'data')
  const waiting = openImage({ extents: [{ path: device, ...writable }] })
  await t.rejects(Promise.race([waiting, sleep(200).then(() => Promise.reject(new Error('it waits')))]), {
    message: 'it waits',
  })
  udev.stdin.end('done\n')
  await (await waiting).close()
})

t.test('what is wrong with a backing is said in words', async (t) => {
  const path = fresh()
  await t.rejects(openImage({ extents: [{ path, ...writable }] }), { message: /does not exist; set size/ })
  await t.rejects(openImage({ extents: [{ path, size: 1, readOnly: true }] }), { message: /does not exist/ })
  await t.rejects(openImage({ extents: [{ path: '/dev/null', ...writable }] }), {
    message: /neither a file nor/,
  })
  await writeFile(path, '')
  await t.rejects(openImage({ extents: [{ path, ...writable }] }), { message: /is empty; set size/ })
  await writeFile(path, Buffer.alloc(1000))
  const part = { path, start: 900, length: 200, ...writable }
  await t.rejects(openImage({ extents: [part] }), { message: /has 1000 bytes, and 1100 are to be used/ })
  // What failed keeps no lock.
  const disk = await openImage({ extents: [{ path, ...writable }] })
  t.equal(disk.size, 1000)
  await truncate(path, 100)
  await t.rejects(disk.read(Buffer.alloc(200), 50), { code: 'io', message: /became shorter/ })
  await disk.close()
})

t.test('faults of the memory disk', async (t) => {
  const disk = new MemoryDisk({ size: 4096 })
  disk.faults.failNext('write', 'disk-full')
  await t.rejects(disk.write([Buffer.alloc(1)], 0), { code: 'disk-full' })
  disk.faults.failNext('sync', 'io')
  await t.rejects(disk.sync(), { code: 'io' })
  await disk.sync()
  t.equal(disk.syncs, 1)
})
