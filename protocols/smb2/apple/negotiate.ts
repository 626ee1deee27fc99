/** Apple's create context (MS-SMB2 2.2.13.2 "AAPL"): what this server says that it can do for a Mac, and what follows from it. */

import {
  AaplCapability,
  AaplQuery,
  type AaplServerQuery,
  AaplVolumeCapability,
  encodeAaplServerReply,
} from '../messages/create-context-aapl.ts'
import { type CreateContext, CreateContextName } from '../messages/create-contexts.ts'
import type { Connection } from '../state/connection.ts'
import type { ServerSettings, Share } from '../state/server.ts'

/** Left out: HIFI, which is for shares that are disk images. */
const SERVER_CAPABILITIES = AaplCapability.OSX_COPYFILE | AaplCapability.UNIX_BASED | AaplCapability.NFS_ACE

/**
 * FULL_SYNC on every share: a full sync is what FLUSH does here in any case, and without the capability programs on the
 * Mac are told that there is none. CASE_SENSITIVE nowhere: names are found whatever their case.
 */
const VOLUME_CAPABILITIES = AaplVolumeCapability.FULL_SYNC

/** Without ids that mean something there is nothing to resolve. */
function volumeCapabilities({ zeroFileId }: Pick<Share, 'zeroFileId'>): number {
  return VOLUME_CAPABILITIES | (zeroFileId ? 0 : AaplVolumeCapability.RESOLVE_ID)
}

/** The client is a Mac from now on. @returns the answer, with what was asked for and no more */
export function negotiateAapl(
  connection: Connection,
  { model }: Pick<ServerSettings, 'model'>,
  share: Pick<Share, 'zeroFileId'>,
  { queryBitmap, clientCapabilities }: AaplServerQuery,
): CreateContext {
  const clientBits = Number(clientCapabilities & 0xffff_ffffn)
  const readDirAttr = readDirAttrFor(clientBits)
  if (!connection.negotiatedAapl) adoptOpens(connection)
  connection.aapl = {
    readDirAttr: readDirAttr !== 0,
    readDirAttrV2: readDirAttr === AaplCapability.READ_DIR_ATTR_V2,
  }
  connection.negotiatedAapl = true
  connection.keepsSetTimes = false
  const asks = (bit: number): boolean => (queryBitmap & BigInt(bit)) !== 0n
  const data = encodeAaplServerReply({
    ...(asks(AaplQuery.SERVER_CAPABILITIES) && { serverCapabilities: SERVER_CAPABILITIES | readDirAttr }),
    ...(asks(AaplQuery.VOLUME_CAPABILITIES) && { volumeCapabilities: volumeCapabilities(share) }),
    ...(asks(AaplQuery.MODEL_INFO) && { model }),
  })
  return { name: CreateContextName.AAPL, data }
}

/** What it opened before it said that it is a Mac is a Mac's, too. */
function adoptOpens({ sessionTable }: Connection): void {
  for (const { openTable } of sessionTable.values()) {
    for (const open of openTable.values()) if (!open.isPipe) open.file.shared.posix = true
  }
}

/** One of both versions: a server that has the second names it alone. */
function readDirAttrFor(clientBits: number): number {
  if ((clientBits & AaplCapability.READ_DIR_ATTR_V2) !== 0) return AaplCapability.READ_DIR_ATTR_V2
  return clientBits & AaplCapability.READ_DIR_ATTR
}
