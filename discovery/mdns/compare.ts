/** Equality and order of names, records and record sets: RFC 6762 8.2, 9 and 16. Pure. */

import ipaddr from 'ipaddr.js'
import type { RecordData, ResourceRecord } from './packet.ts'

const TYPE_CODES: Readonly<Record<string, number>> = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, NSEC: 47 }
const SRV_HEAD_BYTES = 6

/** Names are equal without regard to the case of ASCII letters, and to the dot at the end. */
export function nameKey(name: string): string {
  return name.replace(/\.$/, '').replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}

export function sameName(one: string, other: string): boolean {
  return nameKey(one) === nameKey(other)
}

/**
 * The data as it is on the wire, names uncompressed; with the type it makes records comparable. Of types that we never have,
 * any form that differs when the data do.
 */
export function rdata({ type, data }: ResourceRecord): Buffer {
  if (Buffer.isBuffer(data)) return data
  if (type === 'TXT' && isStrings(data)) return stringsBytes(data)
  if (type === 'SRV' && isServer(data)) return serverBytes(data)
  if (type === 'PTR' && typeof data === 'string') return nameBytes(data)
  if ((type === 'A' || type === 'AAAA') && typeof data === 'string' && ipaddr.isValid(data)) {
    return Buffer.from(ipaddr.parse(data).toByteArray())
  }
  return Buffer.from(JSON.stringify(data) ?? '')
}

function isStrings(data: RecordData | undefined): data is readonly Buffer[] {
  return Array.isArray(data) && data.every((each) => Buffer.isBuffer(each))
}

/** One empty string stands for none: RFC 6763 6.1. */
function stringsBytes(data: readonly Buffer[]): Buffer {
  const strings = data.length === 0 ? [Buffer.alloc(0)] : data
  return Buffer.concat(strings.flatMap((text) => [Buffer.of(text.length), text]))
}

type ServerData = Extract<RecordData, { target: string }>

function isServer(data: RecordData | undefined): data is ServerData {
  return typeof data === 'object' && data !== null && 'target' in data && 'port' in data
}

function serverBytes({ priority = 0, weight = 0, port, target }: ServerData): Buffer {
  const head = Buffer.alloc(SRV_HEAD_BYTES)
  head.writeUInt16BE(priority)
  head.writeUInt16BE(weight, 2)
  head.writeUInt16BE(port, 4)
  return Buffer.concat([head, nameBytes(target)])
}

function nameBytes(name: string): Buffer {
  const labels = nameKey(name)
    .split('.')
    .filter((label) => label !== '')
    .map((label) => Buffer.from(label))
  return Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length & 0xff), label]), Buffer.of(0)])
}

/** Name, type and data; neither TTL nor the cache-flush bit. */
export function recordKey(record: ResourceRecord): string {
  return `${nameKey(record.name)} ${record.type} ${rdata(record).toString('hex')}`
}

function typeCode(type: string): number {
  return TYPE_CODES[type] ?? Number(/^UNKNOWN_(\d+)$/.exec(type)?.[1] ?? 0)
}

/**
 * RFC 6762 8.2.1: both sets sorted by class, type and data, compared one by one; the later one wins.
 * @returns below 0: `ours` loses; 0: they are the same
 */
export function compareRecordSets(
  ours: readonly ResourceRecord[],
  theirs: readonly ResourceRecord[],
): number {
  const mine = [...ours].sort(compareRecords)
  const others = [...theirs].sort(compareRecords)
  for (const [index, record] of mine.entries()) {
    const other = others[index]
    if (other === undefined) return 1
    const order = compareRecords(record, other)
    if (order !== 0) return order
  }
  return mine.length - others.length
}

function compareRecords(one: ResourceRecord, other: ResourceRecord): number {
  return typeCode(one.type) - typeCode(other.type) || Buffer.compare(rdata(one), rdata(other))
}
