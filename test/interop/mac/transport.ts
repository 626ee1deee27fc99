/** MS-SMB2 2.1 on the Mac's side: frames over TCP, with a link that can be cut; what carries them can be anything else. */

import { once } from 'node:events'
import { connect } from 'node:net'

const FRAME_HEADER_BYTES = 4
/** MS-SMB2 2.1: StreamProtocolLength has three bytes. */
const MAX_FRAME_BYTES = 0xff_ffff

/** What takes a Mac's frames to a server and brings the answers. */
export interface MacTransport {
  /** Frames that come are told here; set before the first is sent. */
  onFrame: (frame: Buffer) => void
  /** The link is gone, whoever ended it. */
  onEnd: (reason: string) => void
  send(frame: Buffer): void
  /** Ends the link at once; what is on the way is lost. */
  destroy(): void
}

/** A TCP connection. @throws Error when nobody listens */
export async function connectTcp(host: string, port: number): Promise<MacTransport> {
  const socket = connect({ host, port, noDelay: true })
  await once(socket, 'connect')
  const transport: MacTransport = {
    onFrame: () => undefined,
    onEnd: () => undefined,
    send(frame) {
      const header = Buffer.alloc(FRAME_HEADER_BYTES)
      header.writeUInt32BE(frame.length)
      socket.write(Buffer.concat([header, frame]))
    },
    destroy: () => socket.resetAndDestroy(),
  }
  let received: Buffer = Buffer.alloc(0)
  socket.on('data', (data) => {
    received = received.length === 0 ? data : Buffer.concat([received, data])
    for (;;) {
      if (received.length < FRAME_HEADER_BYTES) return
      const length = received.readUInt32BE()
      if (length > MAX_FRAME_BYTES) {
        socket.destroy(new Error(`a frame of ${length} bytes`))
        return
      }
      const end = FRAME_HEADER_BYTES + length
      if (received.length < end) return
      const frame = Buffer.from(received.subarray(FRAME_HEADER_BYTES, end))
      received = received.subarray(end)
      transport.onFrame(frame)
    }
  })
  let problem = 'the server has hung up'
  socket.on('error', (error) => {
    problem = error.message
  })
  socket.on('close', () => transport.onEnd(problem))
  return transport
}
