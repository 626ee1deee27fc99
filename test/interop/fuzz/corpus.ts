/** Valid frames of a real client: a proxy records what smbclient sends while it does a bit of everything. */

import { once } from 'node:events'
import { createServer, connect as dial, type Socket } from 'node:net'
import { decodeHeader, HeaderFlag } from '../../../protocols/smb2/messages/header.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { FrameCutter } from './wire.ts'

export interface RecordedFrame {
  /** Code of the first command in the frame. */
  readonly command: number
  readonly bytes: Buffer
}

export interface Recorder {
  /** Clients that connect here are recorded. */
  readonly port: number
  readonly frames: RecordedFrame[]
  close(): void
}

const FLAGS_OFFSET = 16

/** Starts a proxy in front of the server. */
export async function startRecorder(serverPort: number): Promise<Recorder> {
  const frames: RecordedFrame[] = []
  const proxy = createServer((client) => {
    const server = dial(serverPort, '127.0.0.1')
    const cutter = new FrameCutter()
    client.on('data', (chunk: Buffer) => {
      frames.push(...cutter.push(chunk).flatMap(recorded))
    })
    join(client, server)
    join(server, client)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, frames, close: () => proxy.close() }
}

function join(from: Socket, to: Socket): void {
  from.pipe(to)
  from.on('error', () => to.destroy())
}

/** A copy that does not claim to be signed; nothing when it is encrypted or SMB1. */
function recorded(frame: Buffer): RecordedFrame[] {
  try {
    const { command, flags } = decodeHeader(new Reader(frame))
    const bytes = Buffer.from(frame)
    bytes.writeUInt32LE((flags & ~HeaderFlag.SIGNED) >>> 0, FLAGS_OFFSET)
    return [{ command, bytes }]
  } catch {
    return []
  }
}
