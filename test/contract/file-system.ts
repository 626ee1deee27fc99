/** The contract of storage/file-system.ts (MS-FSA 2.1 on POSIX terms), run by the tests of every backend. */

import type { Test } from 'tap'
import type { FileSystem } from '../../storage/file-system.ts'
import { dataContract } from './file-system/data.ts'
import { identityContract } from './file-system/identity.ts'
import { type Fixture, Lab } from './file-system/lab.ts'
import { linkContract } from './file-system/links.ts'
import { listContract } from './file-system/list.ts'
import { metadataContract } from './file-system/metadata.ts'
import { openContract } from './file-system/open.ts'
import { streamContract } from './file-system/streams.ts'
import { treeContract } from './file-system/tree.ts'

/** An empty file system, and how to dispose of it. */
export interface ContractFixture {
  readonly fs: FileSystem
  /**
   * Whether other identities than the server's own user can act (a backend of the kernel needs root
   * for it).
   */
  readonly canImpersonate?: boolean
  cleanup(): Promise<void>
}

/**
 * Runs all that the interface's comments promise; `create` is called for each part, with nothing in
 * the tree.
 */
export async function fileSystemContract(
  t: Test,
  name: string,
  create: () => Promise<ContractFixture>,
): Promise<void> {
  const fixture: Fixture = async (t, run) => {
    const { fs, canImpersonate = false, cleanup } = await create()
    const lab = new Lab(t, fs, canImpersonate)
    try {
      await run(lab)
    } finally {
      await lab.close()
      await cleanup()
    }
  }
  await t.test(`${name}: file system contract`, async (t) => {
    await openContract(t, fixture)
    await dataContract(t, fixture)
    await treeContract(t, fixture)
    await streamContract(t, fixture)
    await metadataContract(t, fixture)
    await linkContract(t, fixture)
    await listContract(t, fixture)
    await identityContract(t, fixture)
  })
}
