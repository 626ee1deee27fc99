/** Macs as clients of a simulated server: what their smbfs does at every mount (MS-SMB2 2.2.13.2 AAPL), and what they keep of a file. */

import { FileAccess } from '../../protocols/smb2/fscc/access.ts'
import { CreateOption } from '../../protocols/smb2/fscc/create-options.ts'
import type { CreateContext } from '../../protocols/smb2/messages/create-contexts.ts'
import { Dialect } from '../../protocols/smb2/messages/dialects.ts'
import type { SimServer } from './sim-server.ts'
import { SimClient } from './smb2-client.ts'

const { DIRECTORY_FILE } = CreateOption

/** command 1, reserved, bitmap 7, client capabilities 0x3F. */
export const AAPL_QUERY = Buffer.from('0100000000000000' + '0700000000000000' + '3f00000000000000', 'hex')
export const AAPL: CreateContext = { name: 'AAPL', data: AAPL_QUERY }
export const ROOT = { name: '', createOptions: DIRECTORY_FILE, desiredAccess: FileAccess.READ_ATTRIBUTES }

/** A client that has done what a Mac does at every mount. */
export async function mountMac(sim: SimServer, address = 'mac', aapl = AAPL): Promise<SimClient> {
  const mac = await SimClient.mount(sim, { address, dialects: [Dialect.SMB_3_0_2] })
  const root = await mac.create({ ...ROOT, createContexts: [aapl] })
  await mac.close(root.fileId)
  return mac
}

/** AFP_AfpInfo: signature, version, reserved, backup time, FinderInfo, ProDOS, padding: 60 bytes. */
export const AFP_INFO = Buffer.concat([
  Buffer.from('41465000' + '00000100' + '00000000' + '00000080', 'hex'),
  Buffer.from('TEXTttxt', 'latin1'),
  // Flags (a custom icon), location and folder; document id, date added, extended flags, reserved, generation.
  Buffer.from('0400' + '000000000000' + '00000000' + '2a2b2c2d' + '8001' + '000000000000', 'hex'),
  Buffer.alloc(12),
])
