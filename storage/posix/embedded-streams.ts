/** Attributes that macOS put into a file's sidecar, shown as named streams; who writes to one gets it moved into an attribute of the file. */

import { withoutAttribute } from '../metadata/sidecar.ts'
import { streamToClient } from '../names/sfm.ts'
import { streamNameError } from '../names/valid.ts'
import type { NodeReference } from './jobs.ts'
import { removeIfSpent, writeAt } from './sidecar-file.ts'
import { withSidecar } from './sidecar-of.ts'
import { streamKey, writeStreamValue, xattrOfNewStream } from './stream-values.ts'

export interface EmbeddedStream {
  /** As the sidecar has it. */
  readonly name: string
  readonly bytes: number
}

/** Those whose names a client can use. */
export function embeddedStreams(node: NodeReference): readonly EmbeddedStream[] {
  const attributes = withSidecar(node, 'read', ({ sidecar }) => sidecar.attributes) ?? []
  return attributes
    .filter(({ name }) => streamNameError(streamToClient(name)) === undefined)
    .map(({ name, length }) => ({ name, bytes: length }))
}

/** Name, in the sidecar, of the attribute that a client means. */
export function findEmbedded(node: NodeReference, name: string): string | undefined {
  const key = streamKey(name)
  return embeddedStreams(node).find((stream) => streamKey(stream.name) === key)?.name
}

export function readEmbedded(node: NodeReference, attribute: string): Buffer | undefined {
  return withSidecar(node, 'read', ({ sidecar, head }) => {
    const found = sidecar.attributes.find(({ name }) => name === attribute)
    if (found === undefined) return undefined
    return Buffer.from(head.subarray(found.offset, found.offset + found.length))
  })
}

/** Moves it into an attribute of the file, which it returns. */
export function importEmbedded(node: NodeReference, attribute: string): string {
  const xattr = xattrOfNewStream(node.share, streamToClient(attribute))
  writeStreamValue(node, xattr, readEmbedded(node, attribute) ?? Buffer.alloc(0))
  forgetEmbedded(node, attribute)
  return xattr
}

export function forgetEmbedded(node: NodeReference, attribute: string): void {
  withSidecar(node, 'write', (opened, place) => {
    const head = withoutAttribute(opened.head, opened.bytes, attribute)
    if (head === undefined) return
    writeAt(opened.fd, 0, head)
    removeIfSpent(place, opened)
  })
}
