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
import { Watch } from '../state/change-bus.ts'
import type { Open } from '../state/open.ts'
import type { Server } from '../state/server.ts'
import { Status } from '../status.ts'

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

function runChangeNotify(
  context: CommandContext,
  request: ChangeNotifyRequest,
): Outcome<ChangeNotifyResponse> {
  const { open, server, connection } = context
  if (request.outputBufferLength > connection.maxTransactSize) return fail(Status.INVALID_PARAMETER)
  if (open.isPipe || !open.isDirectory) return fail(Status.INVALID_PARAMETER)
  if (!open.grants(FileAccess.READ_DATA)) return fail(Status.ACCESS_DENIED)
  // Windows: a CHANGE_NOTIFY amid a compound cannot wait (MS-SMB2 appendix, 3.3.5.2.7.2).
  if (!context.last) return fail(Status.INTERNAL_ERROR)
  // 3.3.5.19: a second request on the same open while one waits.
  if (open.watchBusy) return fail(Status.INSUFFICIENT_RESOURCES)
  return waitForChange(open, watchOf(server, open, request), request.outputBufferLength)
}

/** The watch begins with the first request and keeps changes between requests. Filter and depth stay those of the first. */
function watchOf(server: Server, open: Open, request: ChangeNotifyRequest): Watch {
  if (open.watch !== undefined) return open.watch
  const { shared } = open.file
  const recursive = (request.flags & CHANGE_NOTIFY_FLAG_WATCH_TREE) !== 0
  const watch = new Watch(shared.root, () => shared.path, request.completionFilter, recursive)
  open.watch = watch
  server.changes.add(watch)
  open.onClose.add(() => server.changes.remove(watch))
  return watch
}

function waitForChange(open: Open, watch: Watch, limitBytes: number): Outcome<ChangeNotifyResponse> {
  let settle: (outcome: Outcome<ChangeNotifyResponse>) => void = () => undefined
  const completion = new Promise<Outcome<ChangeNotifyResponse>>((resolve) => {
    settle = resolve
  })
  const end = (outcome: Outcome<ChangeNotifyResponse>): void => {
    open.watchBusy = false
    open.onClose.delete(closed)
    watch.stopWaiting()
    settle(outcome)
  }
  // 3.3.5.10: closing the directory ends what waits on it with STATUS_NOTIFY_CLEANUP.
  const closed = (): void => end(fail(Status.NOTIFY_CLEANUP))
  open.watchBusy = true
  open.onClose.add(closed)
  watch.whenChanged(() => end(answer(watch, limitBytes)))
  return { kind: 'pending', completion, cancel: () => end(fail(Status.CANCELLED)) }
}

function answer(watch: Watch, limitBytes: number): Outcome<ChangeNotifyResponse> {
  const changes = watch.take()
  const writer = new NotifyListWriter(limitBytes)
  const fits = changes?.every(({ action, name }) => writer.add(action, name.replaceAll('/', '\\'))) === true
  // 3.3.4.4: when they do not fit, the client has to look at the directory itself.
  return fits ? ok({ output: writer.finish() }) : fail(Status.NOTIFY_ENUM_DIR)
}
