/** One stream from `zfs send` to `zfs receive`: two programs and a pipe through this one, which counts, and ends what stalls. */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Side } from './replication-side.ts'
import { whyNotStarted } from './run-command.ts'

export interface Transfer {
  readonly from: Side
  readonly to: Side
  readonly sendArguments: readonly string[]
  /** Milliseconds in which some byte must move. */
  readonly stallLimit: number
  readonly signal?: AbortSignal | undefined
  /** Told each time some bytes have gone. */
  onBytes(count: number): void
}

/** What is kept of a program's messages. */
const LONGEST_MESSAGE = 4096
const STOPPED = 'stopped'
/** For programs to end that were told to. */
const GRACE_MILLISECONDS = 10_000
/** ssh's own exit code: the other side's never is. */
const SSH_FAILED = 255

/** A stream that did not arrive; what did is kept by the target, when it could. */
export class TransferError extends Error {
  override readonly name = 'TransferError'
}

/** Ends when both programs have. @throws TransferError */
export async function transfer(work: Transfer): Promise<void> {
  const { from, to, stallLimit, signal } = work
  if (signal?.aborted) throw new TransferError(STOPPED)
  const sender = from.start(['send', ...work.sendArguments], ['ignore', 'pipe', 'pipe'])
  const receiver = to.start(['receive', '-s', '-u', to.dataset], ['pipe', 'ignore', 'pipe'])
  const ends = [watch(sender, 'send', from), watch(receiver, 'receive', to)] as const
  let stopped: string | undefined
  let giveUp: ((error: TransferError) => void) | undefined
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  let grace: NodeJS.Timeout | undefined
  const stop = (why: string): void => {
    if (stopped !== undefined) return
    stopped = why
    for (const child of [sender, receiver]) child.kill('SIGTERM')
    sender.stdout?.destroy()
    // What waits in the kernel for a suspended pool does not end by a signal.
    grace = setTimeout(() => {
      for (const child of [sender, receiver]) child.unref()
      giveUp?.(new TransferError(`${why}, and the programs do not end; is a pool suspended?`))
    }, GRACE_MILLISECONDS)
  }
  const stalled = (): void => stop(`nothing has moved for ${stallLimit / 1000} s`)
  let timer = setTimeout(stalled, stallLimit)
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      clearTimeout(timer)
      timer = setTimeout(stalled, stallLimit)
      work.onBytes(chunk.length)
      callback(null, chunk)
    },
  })
  const cancel = (): void => stop(STOPPED)
  signal?.addEventListener('abort', cancel)
  try {
    await flow(sender, counter, receiver)
    const [sent, received] = await Promise.race([Promise.all(ends), givenUp])
    const why = whyFailed(sent, received)
    if (stopped !== undefined || why !== undefined) {
      throw new TransferError([stopped, why].filter((part) => part !== undefined).join('; '))
    }
  } finally {
    clearTimeout(timer)
    clearTimeout(grace)
    signal?.removeEventListener('abort', cancel)
  }
}

/** The pipe breaks when a program ends early: what that program says is the reason, not the pipe. */
async function flow(sender: ChildProcess, counter: Transform, receiver: ChildProcess): Promise<void> {
  if (sender.stdout === null || receiver.stdin === null) return
  await pipeline(sender.stdout, counter, receiver.stdin).catch(() => {
    receiver.stdin?.destroy()
    sender.stdout?.destroy()
    sender.kill('SIGTERM')
  })
}

interface End {
  readonly what: 'send' | 'receive'
  readonly side: Side
  readonly code: number | null
  readonly stderr: string
}

async function watch(child: ChildProcess, what: End['what'], side: Side): Promise<End> {
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-LONGEST_MESSAGE)
  })
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    return { what, side, code, stderr: stderr.trim() }
  } catch (error) {
    const { code, path = what, message } = error as NodeJS.ErrnoException
    return { what, side, code: null, stderr: whyNotStarted(path, code, message) }
  }
}

/** A program that complains comes before one that was only cut off. */
function whyFailed(sent: End, received: End): string | undefined {
  const failures = [received, sent].filter(({ code }) => code !== 0)
  const telling = failures.filter(({ stderr }) => stderr !== '')
  const shown = telling.length > 0 ? telling : failures
  return shown.length === 0 ? undefined : shown.map(describe).join('; ')
}

function describe({ what, side, code, stderr }: End): string {
  if (side.isRemote && code === SSH_FAILED) return `the connection to ${side.where} was lost: ${stderr}`
  return `zfs ${what} at ${side.where}: ${stderr || (code === null ? 'ended by a signal' : `exit code ${code}`)}`
}
