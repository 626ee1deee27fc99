/** MS-SMB2 3.3.5.2: the commands that are served, by their codes. */

import { cancel } from './commands/cancel.ts'
import { changeNotify } from './commands/change-notify.ts'
import { close } from './commands/close.ts'
import { create } from './commands/create/create.ts'
import { echo } from './commands/echo.ts'
import { flush } from './commands/flush.ts'
import { ioctl } from './commands/ioctl/ioctl.ts'
import { lock } from './commands/lock.ts'
import { logoff } from './commands/logoff.ts'
import { negotiate } from './commands/negotiate.ts'
import { oplockBreak } from './commands/oplock-break.ts'
import { queryDirectory } from './commands/query-directory.ts'
import { queryInfo } from './commands/query-info.ts'
import { read } from './commands/read.ts'
import { sessionSetup } from './commands/session-setup.ts'
import { setInfo } from './commands/set-info.ts'
import { treeConnect, treeDisconnect } from './commands/tree-connect.ts'
import { write } from './commands/write.ts'
import type { AnyCommandRow } from './context.ts'

const ROWS: readonly AnyCommandRow[] = [
  negotiate,
  sessionSetup,
  logoff,
  treeConnect,
  treeDisconnect,
  create,
  close,
  flush,
  read,
  write,
  lock,
  ioctl,
  cancel,
  echo,
  queryDirectory,
  changeNotify,
  queryInfo,
  setInfo,
  oplockBreak,
]

export const COMMAND_TABLE: ReadonlyMap<number, AnyCommandRow> = new Map(ROWS.map((row) => [row.code, row]))
