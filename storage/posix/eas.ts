/** MS-FSA 2.1.5.14.5: a client's own extended attributes. */

import { StorageError } from '../errors.ts'
import type { ExtendedAttribute } from '../file-system.ts'
import { xattrOfEa } from '../metadata/reserved.ts'
import { check } from './errno.ts'
import { asServer } from './identity.ts'
import type { NodeReference } from './jobs.ts'
import { assertMayChange, type Node, placeOf, readEas } from './metadata.ts'
import { statOf } from './native.ts'
import { newRecord } from './stat-record.ts'
import { isTooLarge } from './stream-values.ts'
import { listXattrs, removeXattr, writeXattr, type XattrPlace } from './xattr.ts'

export function listEas(node: NodeReference): readonly ExtendedAttribute[] {
  return asServer(() => readEas(placeOf(node)))
}

/**
 * Sets EAs, whose names are compared without case; an empty value removes.
 * @throws StorageError 'ea-too-large' when the file system does not take so much; what came before is set
 */
export function setEas(job: {
  node: NodeReference
  attributes: readonly { readonly name: string; readonly value: Uint8Array }[]
}): void {
  const record = newRecord()
  check(statOf(job.node.fd, record), 'statx')
  assertMayChange(job.node, record)
  const changes = job.attributes.map(({ name, value }) => {
    const xattr = xattrOfEa(name)
    if (xattr === undefined) throw new StorageError('access-denied', `"${name}" is reserved`)
    return { xattr, value: Buffer.from(value) }
  })
  asServer(() => {
    const place = placeOf(job.node)
    const stored = new Map(listXattrs(place).map((xattr) => [xattr.toLowerCase(), xattr]))
    for (const { xattr, value } of changes) {
      const name = stored.get(xattr.toLowerCase()) ?? xattr
      if (value.length === 0) removeXattr(place, name)
      else writeEa(job.node, place, name, value)
    }
  })
}

function writeEa(node: Node, place: XattrPlace, name: string, value: Buffer): void {
  try {
    writeXattr(place, name, value)
  } catch (error) {
    throw isTooLarge(node, error) ? new StorageError('ea-too-large', error.message) : error
  }
}
