/** MS-SMB2 3.3.5.9, 2.2.14: the answer to a CREATE that led to an open, new or not. */

import type { FileStat } from '../../../../storage/file-system.ts'
import type { CommandContext } from '../../context.ts'
import { CREATE_FLAG_REPARSEPOINT, type CreateResponse } from '../../messages/create.ts'
import { Dialect } from '../../messages/dialects.ts'
import type { Open } from '../../state/open.ts'
import { attributeFieldsOf, baseNameOf, reparseTagOf } from '../describe.ts'
import { type Answers, answerContexts } from './contexts.ts'

/** What differs between the answers about one open. */
export interface Told {
  readonly stat: FileStat
  /** Open.OplockLevel */
  readonly oplockLevel: number
  readonly createAction: number
  /** The contexts that were asked for, where they have an answer. */
  readonly contexts: Answers
}

export function responseTo(
  context: CommandContext,
  open: Open,
  { stat, oplockLevel, createAction, contexts }: Told,
): CreateResponse {
  const { connection, server, tree } = context
  const { fileSystem } = tree.share
  if (connection.negotiatedAapl && fileSystem !== undefined && open.file.stream === '') {
    server.knownPaths.note(fileSystem, stat.fileId, open.pathName.replaceAll('\\', '/'))
  }
  const shown = open.file.node.node.times.shown(stat, server.environment.now())
  const fields = attributeFieldsOf(shown, tree.share, baseNameOf(open.pathName))
  const isLink = reparseTagOf(stat) !== 0 && connection.dialect >= Dialect.SMB_3_0
  // Field by field, as in all that a CREATE goes through: literals that spread others are built in V8's slow path.
  return {
    oplockLevel,
    flags: isLink ? CREATE_FLAG_REPARSEPOINT : 0,
    createAction,
    creationTime: fields.creationTime,
    lastAccessTime: fields.lastAccessTime,
    lastWriteTime: fields.lastWriteTime,
    changeTime: fields.changeTime,
    allocationSize: fields.allocationSize,
    endOfFile: fields.endOfFile,
    fileAttributes: fields.fileAttributes,
    fileId: open.fileId,
    createContexts: answerContexts(context, contexts, stat, open.maximalAccess),
  }
}
