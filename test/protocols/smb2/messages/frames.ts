/** MS-SMB2 2.2: reads the captured messages of test/fixtures/smb2/frames.txt. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Frame {
  /** The key of `codecs`, or one of the two messages that have no SMB2 header. */
  codec: string
  label: string
  bytes: Buffer
}

const HEADING = /^\[(\w+)\] (.+)$/

/** All messages of the file; tests run in the project's directory. */
export function readFrames(file = join('test', 'fixtures', 'smb2', 'frames.txt')): Frame[] {
  const frames: Frame[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const heading = HEADING.exec(line)
    if (heading !== null) {
      frames.push({ codec: heading[1] ?? '', label: heading[2] ?? '', bytes: Buffer.alloc(0) })
      continue
    }
    const frame = frames.at(-1)
    if (frame === undefined) throw new Error(`"${line}" stands before the first heading`)
    frame.bytes = Buffer.concat([frame.bytes, Buffer.from(line, 'hex')])
  }
  return frames
}

/** The one message of that codec and label. */
export function findFrame(frames: readonly Frame[], codec: string, label: string): Frame {
  const frame = frames.find((candidate) => candidate.codec === codec && candidate.label === label)
  if (frame === undefined) throw new Error(`no frame [${codec}] ${label}`)
  return frame
}
