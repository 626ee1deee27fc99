/** MS-SMB2 2.1: Direct TCP framing from the client's side, with no care for what a frame holds. */

import { connect, type Socket } from 'node:net'

/** The frame's length: one zero byte and three of length, big-endian. */
export const PREFIX_BYTES = 4

/** Cuts a stream into frames; keeps what is not complete yet. */
export class FrameCutter {
  #rest = Buffer.alloc(0)

  /** @returns the frames that `chunk` completes, without their prefix */
  push(chunk: Buffer): Buffer[] {
    let rest = Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    while (rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + rest.readUIntBE(1, 3)
      if (rest.length < end) {
        break
      }
      frames.push(rest.subarray(PREFIX_BYTES, end))
      rest = rest.subarray(end)
    }
    this.#rest = rest
    return frames
  }
}

/** A frame with its prefix. */
export function framed(payload: Buffer, claimedLength = payload.length): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUIntBE(claimedLength & 0xff_ff_ff, 1, 3)
  return Buffer.concat([prefix, payload])
}

/** One connection to the server: sends anything, hands out answers in order. */
export class RawConnection {
  readonly #socket: Socket
  readonly #cutter = new FrameCutter()
  #waiting: ((frame: Buffer | undefined) => void)[] = []
  #frames: Buffer[] = []
  #isClosed = false

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.on('data', (chunk: Buffer) => this.#deliver(this.#cutter.push(chunk)))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => this.#closed())
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  send(bytes: Buffer): void {
    if (!this.#isClosed) {
      this.#socket.write(bytes)
    }
  }

  /** The next frame; undefined when the connection closed or nothing came within the time. */
  next(milliseconds: number): Promise<Buffer | undefined> {
    const frame = this.#frames.shift()
    if (frame !== undefined || this.#isClosed) {
      return Promise.resolve(frame)
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiter) => waiter !== answer)
        resolve(undefined)
      }, milliseconds)
      const answer = (answered: Buffer | undefined) => {
        clearTimeout(timer)
        resolve(answered)
      }
      this.#waiting.push(answer)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #deliver(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      const waiter = this.#waiting.shift()
      if (waiter === undefined) {
        this.#frames.push(frame)
      } else {
        waiter(frame)
      }
    }
  }

  #closed(): void {
    this.#isClosed = true
    for (const waiter of this.#waiting) {
      waiter(undefined)
    }
    this.#waiting = []
  }
}
