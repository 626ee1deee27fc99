/** The file-system contract on a directory of this machine, as the server's own user and, as root, for other accounts. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createPosixFileSystem, type PosixFileSystemOptions } from '../../../storage/posix/file-system.ts'
import { createWorkerPool } from '../../../storage/posix/worker-pool.ts'
import { fileSystemContract } from '../../contract/file-system.ts'

const workers = createWorkerPool({ size: 2 })
t.teardown(() => workers.close())
await workers.grow()

const formats: Readonly<Record<string, Partial<PosixFileSystemOptions>>> = {
  posix: {},
  'posix, as netatalk and sidecars': { macMetadata: 'netatalk', macResource: 'file' },
}

for (const [name, options] of Object.entries(formats)) {
  await fileSystemContract(t, name, async () => {
    const root = await mkdtemp(join(tmpdir(), 'poolhouse-contract-'))
    const fs = await createPosixFileSystem({ ...options, root, workers })
    return {
      fs,
      canImpersonate: process.geteuid?.() === 0,
      cleanup: async () => {
        await fs.close()
        await rm(root, { recursive: true })
      },
    }
  })
}
