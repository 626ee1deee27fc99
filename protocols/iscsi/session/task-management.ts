/** RFC 7143 11.5 and SAM-5 7: task management functions, answered when what they end has ended. */

import type { ScsiCommand } from '../pdu/scsi-command.ts'
import {
  encodeTaskManagementResponse,
  TaskManagement,
  type TaskManagementRequest,
  TaskManagementResult,
} from '../pdu/task-management.ts'
import type { IscsiServer } from './server.ts'
import type { Session } from './session.ts'
import type { SessionConnection } from './session-connection.ts'

/** Functions that a session may have under way: each may wait for the disk, and they are beside the window. */
export const MAXIMUM_FUNCTIONS = 16

/** Runs a function and sends its response. @returns false when too many are under way: it is to be rejected */
export function manageTasks(
  server: IscsiServer,
  session: Session,
  carrier: SessionConnection,
  request: TaskManagementRequest,
): boolean {
  if (session.functions >= MAXIMUM_FUNCTIONS) return false
  session.functions++
  void manage(server, session, carrier, request)
  return true
}

async function manage(
  server: IscsiServer,
  session: Session,
  carrier: SessionConnection,
  request: TaskManagementRequest,
): Promise<void> {
  const response = await perform(server, session, request)
  session.functions--
  const { sender } = carrier
  if (!session.includes(carrier)) return
  sender.send(
    encodeTaskManagementResponse({
      ...sender.nextNumbers(),
      response,
      initiatorTaskTag: request.initiatorTaskTag,
    }),
  )
  if (request.function !== TaskManagement.targetColdReset) return
  // 11.5.1: a cold reset ends all connections to the target, this one last.
  for (const other of sessionsOf(server, session)) void other.close('target cold reset')
}

async function perform(
  server: IscsiServer,
  session: Session,
  request: TaskManagementRequest,
): Promise<TaskManagementResult> {
  const { scsi } = session.target
  const onUnit = (command: ScsiCommand): boolean => command.lun === request.lun
  switch (request.function) {
    case TaskManagement.abortTask: {
      const tag = request.referencedTaskTag
      if (!session.tasks.has(tag)) {
        const isOnItsWay = session.window.skip(request.refCmdSN, request.cmdSN)
        return isOnItsWay ? TaskManagementResult.complete : TaskManagementResult.taskDoesNotExist
      }
      return done(await session.tasks.abort((command) => command.initiatorTaskTag === tag))
    }
    case TaskManagement.abortTaskSet:
      return done(await session.tasks.abort(onUnit))
    case TaskManagement.clearTaskSet:
      return done(await abortEverywhere(server, session, onUnit))
    case TaskManagement.logicalUnitReset: {
      const isSettled = await abortEverywhere(server, session, onUnit)
      return scsi.resetLogicalUnit(request.lun) ? done(isSettled) : TaskManagementResult.lunDoesNotExist
    }
    case TaskManagement.targetWarmReset:
    case TaskManagement.targetColdReset: {
      const isSettled = await abortEverywhere(server, session, () => true)
      scsi.resetTarget()
      return done(isSettled)
    }
    case TaskManagement.taskReassign:
      return TaskManagementResult.reassignmentNotSupported
    default:
      return TaskManagementResult.functionNotSupported
  }
}

/** A task whose work on the disk does not end is not said to be aborted. */
function done(isSettled: boolean): TaskManagementResult {
  return isSettled ? TaskManagementResult.complete : TaskManagementResult.rejected
}

function sessionsOf(server: IscsiServer, { target }: Session): Session[] {
  return [...server.sessions.values()].filter((session) => session.target.scsi === target.scsi)
}

async function abortEverywhere(
  server: IscsiServer,
  session: Session,
  isMeant: (command: ScsiCommand) => boolean,
): Promise<boolean> {
  const all = sessionsOf(server, session).map(({ tasks }) => tasks.abort(isMeant))
  return (await Promise.all(all)).every((isSettled) => isSettled)
}
