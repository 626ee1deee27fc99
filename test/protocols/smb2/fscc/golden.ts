/** Output buffers of QUERY_INFO and QUERY_DIRECTORY captured from Samba's smbd. */

import { readFileSync } from 'node:fs'

const captured = new Map(
  readFileSync('test/fixtures/fscc/smbd.txt', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [kind, number, hex] = line.split(' ')
      return [`${kind} ${number}`, Buffer.from(hex ?? '', 'hex')] as const
    }),
)

/** The buffer of an InfoType and a class. */
export function golden(kind: string, number: number): Buffer {
  const bytes = captured.get(`${kind} ${number}`)
  if (bytes === undefined) throw new Error(`${kind} ${number} was not captured`)
  return bytes
}
