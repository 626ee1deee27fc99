/** SBC-3 5.19a, 4.11: SANITIZE: overwrites or gives back the whole medium, in the background; resets don't stop it. */

import { cut, joined } from '../bytes.ts'
import type { Command, Request, TargetContext } from '../command.ts'
import type { LogicalUnit } from '../logical-unit.ts'
import { done, fail, invalidField, invalidParameter, type Outcome, withStatus } from '../outcome.ts'
import type { SanitizeState } from '../sanitize-state.ts'
import { senses } from '../sense.ts'
import { senseOfStorageError } from '../storage-sense.ts'
import { ScsiStatus, type TaskSignal } from '../task.ts'

const SANITIZE = 0x48
const ServiceAction = { overwrite: 0x01, blockErase: 0x02, exitFailureMode: 0x1f } as const
const IMMED = 0x80
const AUSE = 0x20
const OVERWRITE_HEAD_BYTES = 4
const INVERT = 0x80
const TEST_MASK = 0x60
const COUNT_MASK = 0x1f
const PROGRESS_WHOLE = 65_536
const CHUNK_BYTES = 4 * 1024 * 1024
/** Others use the same disks: no more than 128 MiB a second, and none of it in a rush. */
const CHUNK_MILLISECONDS = 32

interface Overwrite {
  readonly passes: number
  readonly pattern: Buffer
  readonly inverts: boolean
}

async function overwrite(request: Request): Promise<Outcome> {
  const { cdb, task, unit } = request
  const length = cdb.readUInt16BE(7)
  const list = joined(cut(task.dataOut, length))
  if (length <= OVERWRITE_HEAD_BYTES || list.length < length) {
    return length <= OVERWRITE_HEAD_BYTES ? invalidField(7) : fail(senses.parameterListLength)
  }
  const flags = list[0] ?? 0
  const patternBytes = list.readUInt16BE(2)
  const passes = flags & COUNT_MASK
  if ((flags & TEST_MASK) !== 0 || passes === 0) return invalidParameter(0)
  if (patternBytes === 0 || patternBytes > unit.blockSize) return invalidParameter(2)
  if (length !== OVERWRITE_HEAD_BYTES + patternBytes) return invalidField(7)
  // Copied: it is needed after the command was answered.
  const pattern = Buffer.from(list.subarray(OVERWRITE_HEAD_BYTES))
  const work: Overwrite = { passes, pattern, inverts: (flags & INVERT) !== 0 }
  return await start(request, length, (state) => overwriteAll(request, state, work))
}

/** The whole disk is given back, and reads as zeros. */
async function blockErase(request: Request): Promise<Outcome> {
  const { cdb, unit } = request
  if (cdb.readUInt16BE(7) !== 0) return invalidField(7)
  return await start(request, 0, async () => {
    await unit.discard(0, unit.blocks * unit.blockSize)
  })
}

function exitFailureMode({ cdb, unit }: Request): Outcome {
  if (cdb.readUInt16BE(7) !== 0) return invalidField(7)
  if (unit.sanitize === undefined) return done()
  if (!unit.sanitize.hasFailed) return fail({ ...senses.sanitizing, progress: unit.sanitize.progress })
  if (!unit.sanitize.allowsExit) return fail(senses.sanitizeFailed)
  unit.sanitize = undefined
  return done()
}

/** Runs it to its end, whatever becomes of the command. */
async function start(
  { cdb, unit, target, task }: Request,
  dataOutLength: number,
  work: (state: SanitizeState) => Promise<void>,
): Promise<Outcome> {
  const flags = cdb[1] ?? 0
  if (unit.sanitize !== undefined && !unit.sanitize.hasFailed) {
    return fail({ ...senses.sanitizing, progress: unit.sanitize.progress })
  }
  const state: SanitizeState = {
    progress: 0,
    hasFailed: false,
    allowsExit: (flags & AUSE) !== 0,
    isStopped: false,
    settled: Promise.resolve(),
  }
  unit.sanitize = state
  const running = run(unit, target, state, work)
  state.settled = running
  if ((flags & IMMED) !== 0) return done(dataOutLength)
  return (await Promise.race([running, aborted(task.signal)])) ?? done(dataOutLength)
}

/** An aborted command ends, and what it has begun goes on (SBC-3 4.11.2). */
function aborted(signal: TaskSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const end = (): void => resolve(withStatus(ScsiStatus.taskAborted))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

/** @returns what to answer when it failed */
async function run(
  unit: LogicalUnit,
  target: TargetContext,
  state: SanitizeState,
  work: (state: SanitizeState) => Promise<void>,
): Promise<Outcome | undefined> {
  const release = await unit.ranges.acquire(0, unit.blocks, true)
  try {
    await work(state)
    await unit.sync()
    unit.sanitize = undefined
    return undefined
  } catch (error) {
    state.hasFailed = true
    target.log('error', 'a sanitize operation failed', { error, lun: unit.id })
    return fail(senseOfStorageError(error, true) ?? senses.internalFailure)
  } finally {
    release()
  }
}

async function overwriteAll(
  { unit, target }: Request,
  state: SanitizeState,
  { passes, pattern, inverts }: Overwrite,
): Promise<void> {
  const size = unit.blocks * unit.blockSize
  // Each block begins with the pattern anew.
  const block = Buffer.alloc(unit.blockSize, pattern)
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size), block)
  for (let pass = 0; pass < passes; pass++) {
    if (inverts && pass > 0) for (let i = 0; i < chunk.length; i++) chunk[i] = ~(chunk[i] ?? 0) & 0xff
    for (let at = 0; at < size; at += chunk.length) {
      if (state.isStopped) throw new Error('the server ended amid it')
      // Zeros too: a hole would leave what was there on the disk below.
      await unit.overwrite([chunk.subarray(0, Math.min(chunk.length, size - at))], at)
      const part = (pass + (at + chunk.length) / size) / passes
      state.progress = Math.min(PROGRESS_WHOLE - 1, Math.floor(part * PROGRESS_WHOLE))
      await new Promise<void>((resolve) => target.after(CHUNK_MILLISECONDS, resolve))
    }
    await unit.sync()
  }
}

function row(name: string, serviceAction: number, usage: string, run: Command['run']): Command {
  const common = { opcode: SANITIZE, reservation: 'write', needsMedium: true, isStrict: true } as const
  return { name, serviceAction, usage, ...common, whileSanitizing: true, writes: true, run }
}

export const sanitizeCommands: readonly Command[] = [
  row('SANITIZE (OVERWRITE)', ServiceAction.overwrite, '48 bf 0000000000 ffff 00', overwrite),
  row('SANITIZE (BLOCK ERASE)', ServiceAction.blockErase, '48 bf 0000000000 ffff 00', blockErase),
  row(
    'SANITIZE (EXIT FAILURE MODE)',
    ServiceAction.exitFailureMode,
    '48 9f 0000000000 ffff 00',
    exitFailureMode,
  ),
]
