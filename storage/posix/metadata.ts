/** MS-FSA 2.1.1.3: attributes and creation time of a file, from statx and from Samba's user.DOSATTRIB together. */

import { constants } from 'node:fs'
import { StorageError, UnheededError } from '../errors.ts'
import type { ExtendedAttribute, Nanoseconds } from '../file-system.ts'
import {
  CHANGE_TIME_XATTR,
  decodeChangeTime,
  encodeChangeTime,
  isUnchangedSince,
} from '../metadata/change-time.ts'
import { DOS_ATTRIBUTES_XATTR, decodeDosAttributes, encodeDosAttributes } from '../metadata/dos-attributes.ts'
import { extendedAttributesSize } from '../metadata/ea-size.ts'
import { decodeNetatalkMetadata, NETATALK_METADATA_XATTR } from '../metadata/netatalk.ts'
import { eaOfXattr, OWN_PREFIX } from '../metadata/reserved.ts'
import { check } from './errno.ts'
import { actingUid, asServer, isSuperuser } from './identity.ts'
import { mayAccess, statOf } from './native.ts'
import {
  birthTimeOf,
  changeTimeOf,
  dosAttributesOf,
  newRecord,
  ownerOf,
  setChangeTime,
  setMetadata,
  typeOf,
} from './stat-record.ts'
import { listXattrs, peekXattr, readXattr, writeXattr, type XattrPlace } from './xattr.ts'

/** A self-relative security descriptor, as a client sent it. */
const SECURITY_DESCRIPTOR_XATTR = `${OWN_PREFIX}sd`

/** A file that a worker works on: its descriptor, and whether that was opened with O_PATH. */
export interface Node {
  readonly fd: number
  readonly pathOnly: boolean
}

export function placeOf(node: Node): XattrPlace {
  return { kind: node.pathOnly ? 'path-only' : 'descriptor', fd: node.fd }
}

const NOTHING = { dosAttributes: 0, birthTime: undefined, eaSize: 0 }

/**
 * Adds to a record that statx filled what the extended attributes say. What may not be read says nothing.
 * @param names of all attributes at that place
 * @returns the security descriptor too, when `withDescriptor` asks for it and one is stored
 */
export function addMetadata(
  place: XattrPlace,
  record: Buffer,
  withDescriptor = false,
  names = listXattrs(place),
): Uint8Array | undefined {
  const type = typeOf(record)
  if (names.length === 0 || (type !== 'file' && type !== 'directory')) {
    setMetadata(record, NOTHING)
    return undefined
  }
  const stored = names.includes(DOS_ATTRIBUTES_XATTR) ? peekReadable(place, DOS_ATTRIBUTES_XATTR) : undefined
  const { dosAttributes = 0, birthTime } = stored === undefined ? {} : decodeDosAttributes(stored)
  setMetadata(record, {
    dosAttributes,
    birthTime: birthTime ?? netatalkBirthTime(place, names),
    eaSize: extendedAttributesSize(readEas(place, names)),
  })
  if (names.includes(CHANGE_TIME_XATTR)) addChangeTime(place, record)
  return withDescriptor && names.includes(SECURITY_DESCRIPTOR_XATTR) ? storedDescriptor(place) : undefined
}

/** Where nothing else says it, netatalk's date counts: whole seconds. */
function netatalkBirthTime(place: XattrPlace, names: readonly string[]): Nanoseconds | undefined {
  if (!names.includes(NETATALK_METADATA_XATTR)) return undefined
  const value = peekReadable(place, NETATALK_METADATA_XATTR)
  return value === undefined ? undefined : decodeNetatalkMetadata(value)?.birthTime
}

function addChangeTime(place: XattrPlace, record: Buffer): void {
  const stored = peekReadable(place, CHANGE_TIME_XATTR)
  const time = stored === undefined ? undefined : decodeChangeTime(stored, changeTimeOf(record))
  if (time !== undefined) setChangeTime(record, time)
}

/** A server without root may be kept from a value that it may list: that is as if there were none. */
function peekReadable(place: XattrPlace, name: string): Buffer | undefined {
  try {
    return peekXattr(place, name)
  } catch (error) {
    if (error instanceof StorageError && error.code === 'access-denied') return undefined
    throw error
  }
}

/** The attributes among `names` that are a client's own. */
export function readEas(place: XattrPlace, names = listXattrs(place)): readonly ExtendedAttribute[] {
  const attributes: ExtendedAttribute[] = []
  for (const xattr of names) {
    const name = eaOfXattr(xattr)
    const value = name === undefined ? undefined : readXattr(place, xattr)
    if (name !== undefined && value !== undefined) attributes.push({ name, value })
  }
  return attributes
}

/** The security descriptor stored with a file, as memory of its own. Runs as the server. */
export function storedDescriptor(place: XattrPlace): Uint8Array | undefined {
  const value = peekXattr(place, SECURITY_DESCRIPTOR_XATTR)
  return value === undefined ? undefined : new Uint8Array(value)
}

/** @throws UnheededError when a directory, opened with O_PATH, has another stored descriptor than the one that is known */
export function assertHeeded(directory: number, heeded: Uint8Array | undefined): void {
  const stored = asServer(() => storedDescriptor({ kind: 'path-only', fd: directory }))
  if (stored === undefined) return
  if (heeded === undefined || Buffer.compare(stored, heeded) !== 0) throw new UnheededError(stored)
}

/** Runs as the server. @throws StorageError 'stream-too-large' when the file system does not take so much */
export function storeDescriptor(node: Node, descriptor: Uint8Array): void {
  writeXattr(placeOf(node), SECURITY_DESCRIPTOR_XATTR, Buffer.from(descriptor))
}

/** All that is known of an open file. Reads as the server: to know attributes no account needs more than the way there. */
export function readRecord(node: Node): Buffer {
  const record = newRecord()
  check(statOf(node.fd, record), 'statx')
  asServer(() => addMetadata(placeOf(node), record))
  return record
}

/** Stores DOS attributes and creation time; what is absent stays as the record has it. */
export function storeDosAttributes(
  node: Node,
  record: Buffer,
  changes: {
    readonly dosAttributes?: number | undefined
    readonly birthTime?: Nanoseconds | undefined
  },
): void {
  const value = encodeDosAttributes({
    dosAttributes: changes.dosAttributes ?? dosAttributesOf(record),
    birthTime: changes.birthTime ?? birthTimeOf(record),
  })
  asServer(() => writeXattr(placeOf(node), DOS_ATTRIBUTES_XATTR, value))
}

/** Times that a busy disk may make the file system's time of change too late to be told from a later change. */
const CHANGE_TIME_ATTEMPTS = 3
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** Stores a time of change; whatever else is to be changed must have been before. */
export function storeChangeTime(node: Node, changeTime: Nanoseconds): void {
  const record = newRecord()
  for (let attempt = 0; attempt < CHANGE_TIME_ATTEMPTS; attempt++) {
    const stamp = BigInt(Date.now()) * NANOSECONDS_PER_MILLISECOND
    asServer(() => writeXattr(placeOf(node), CHANGE_TIME_XATTR, encodeChangeTime(changeTime, stamp)))
    check(statOf(node.fd, record), 'statx')
    if (isUnchangedSince(stamp, changeTimeOf(record))) return
  }
}

/** Whether the acting account owns the file, or is root. */
export function isOwner(record: Buffer): boolean {
  return isSuperuser() || actingUid() === ownerOf(record)
}

/** Owner, or allowed to write: these may change what the server keeps beside a file. */
export function mayChange(node: Node, record: Buffer): boolean {
  return isOwner(record) || mayAccess(node.fd, constants.W_OK)
}

/** @throws StorageError 'access-denied' unless `mayChange` */
export function assertMayChange(node: Node, record: Buffer): void {
  if (!mayChange(node, record)) throw new StorageError('access-denied', 'neither owner nor allowed to write')
}
