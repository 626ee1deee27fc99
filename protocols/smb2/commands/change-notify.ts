/** MS-SMB2 3.3.5.19: receiving a CHANGE_NOTIFY Request. */

import { type CommandContext, command } from '../context.ts'
import { FileAccess } from '../fscc/access.ts'
import { NotifyListWriter } from '../fscc/notify.ts'
import {
  CHANGE_NOTIFY_FLAG_WATCH_TREE,
  type ChangeNotifyRequest,
  type ChangeNotifyResponse,
  decodeChangeNotifyRequest,
  encodeChangeNotifyResponse,
} from '../messages/change-notify.ts'
import { Command } from '../messages/commands.ts'
import { fail, type Outcome, ok } from '../outcome.ts'
import type { Open } from '../state/open.ts'
import { isFull } from '../state/usage.ts'
import { Watch } from '../state/watch.ts'
import { Status } from '../status.ts'
import { listenLocally } from './local-changes.ts'

export const changeNotify = command<ChangeNotifyResponse, ChangeNotifyRequest>({
  code: Command.CHANGE_NOTIFY,
  name: 'CHANGE_NOTIFY',
  needs: 'open',
  decode: decodeChangeNotifyRequest,
  encode: encodeChangeNotifyResponse,
  fileId: (request) => request.fileId,
  payloadBytes: (request) => request.outputBufferLength,
  run: runChangeNotify,
})

type Result = Outcome<ChangeNotifyResponse>

function runChangeNotify(context: CommandContext, request: ChangeNotifyRequest): Result {
  const { open, server, connection } = context
  if (request.outputBufferLength > connection.maxTransactSize) return fail(Status.INVALID_PARAMETER)
  if (open.isPipe || !open.isDirectory) return fail(Status.INVALID_PARAMETER)
  if (!open.grants(FileAccess.READ_DATA)) return fail(Status.ACCESS_DENIED)
  // Windows: a CHANGE_NOTIFY amid a compound cannot wait (MS-SMB2 appendix, 3.3.5.2.7.2).
  if (!context.last) return fail(Status.INTERNAL_ERROR)
  // MS-FSA 2.1.5.11: nothing is reported any more of a directory that is to be deleted.
  if (server.nodes.isDeletePending(open.file.shared)) return fail(Status.DELETE_PENDING)
  const watch = open.watch ?? beginWatch(context, request)
  if (watch === undefined) return fail(Status.INSUFFICIENT_RESOURCES)
  return waitForChange(open, watch, request.outputBufferLength)
}

/** The watch begins with the first request and keeps changes between requests. Filter, depth and size stay those of the first. */
function beginWatch(
  { open, server, session }: CommandContext,
  request: ChangeNotifyRequest,
): Watch | undefined {
  const { limits, changes } = server
  if (isFull(server, 'watches', session)) return undefined
  const { root, path } = open.file.shared
  const watch = new Watch({
    root,
    path,
    filter: request.completionFilter,
    recursive: (request.flags & CHANGE_NOTIFY_FLAG_WATCH_TREE) !== 0,
    limitBytes: Math.min(request.outputBufferLength, limits.watchBytes),
    budget: changes.kept,
  })
  open.watch = watch
  changes.add(watch)
  session.watches++
  open.onClose.add(() => {
    changes.remove(watch)
    session.watches--
  })
  void listenLocally(server, open, watch)
  return watch
}

/** Answers with the next change that no earlier request of the open is answered with. */
function waitForChange(open: Open, watch: Watch, limitBytes: number): Result {
  let outcome: Result | undefined
  let settle = (result: Result): void => {
    outcome = result
  }
  let takeBack = (): void => undefined
  const end = (result: Result): void => {
    open.onClose.delete(closed)
    takeBack()
    settle(result)
  }
  // 3.3.5.10: closing the directory ends what waits on it with STATUS_NOTIFY_CLEANUP.
  const closed = (): void => end(fail(Status.NOTIFY_CLEANUP))
  open.onClose.add(closed)
  const stop = watch.wait((cause) =>
    end(cause === 'deleted' ? fail(Status.DELETE_PENDING) : answer(watch, limitBytes)),
  )
  if (outcome !== undefined) return outcome
  takeBack = stop
  const completion = new Promise<Result>((resolve) => {
    settle = resolve
  })
  return { kind: 'pending', completion, cancel: () => end(fail(Status.CANCELLED)) }
}

function answer(watch: Watch, limitBytes: number): Result {
  const changes = watch.take()
  const writer = new NotifyListWriter(limitBytes)
  const fits = changes?.every(({ action, name }) => writer.add(action, name.replaceAll('/', '\\'))) === true
  // 3.3.4.4: when they do not fit, the client has to look at the directory itself.
  return fits ? ok({ output: writer.finish() }) : fail(Status.NOTIFY_ENUM_DIR)
}
