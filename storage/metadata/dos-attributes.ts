/** The extended attribute user.DOSATTRIB (Samba's xattr.idl, versions 1 to 5): DOS attributes and creation time, as NDR. */

import { type Layout, struct, u16, u32 } from 'buffer-layout'
import { DosAttribute, type Nanoseconds } from '../file-system.ts'
import { u64 } from './layout.ts'

export const DOS_ATTRIBUTES_XATTR = 'user.DOSATTRIB'

/** What the attribute says; absent: it doesn't say. */
export interface DosAttributes {
  /** Bits of DosAttribute. */
  readonly dosAttributes?: number
  readonly birthTime?: Nanoseconds
}

/** xattr_DosInfoValidFlags. */
const Valid = { attributes: 0x1, creationTime: 0x10 } as const
const WRITTEN_VERSION = 5

/** All attributes that are stored; others (DIRECTORY, NORMAL, REPARSE_POINT) come from the file itself. */
const STORED_ATTRIBUTES = Object.values(DosAttribute).reduce((all, bit) => all | bit, 0)

/** MS-DTYP 2.3.3: 100 ns ticks from 1601 to 1970, and the values that are no time. */
const UNIX_EPOCH_TICKS = 116_444_736_000_000_000n
const NANOSECONDS_PER_TICK = 100n
const NO_TIME = 0n
const LAST_TIME = 0x7fff_ffff_ffff_ffffn

interface Header {
  version: number
  /** The union's discriminant: the version again. */
  level: number
}

interface Info {
  validFlags?: number
  attributes: number
  creationTime: bigint
}

const header = struct<Header>([u16('version'), u16('level')])

const INFO: Readonly<Record<number, Layout<Info>>> = {
  1: struct([
    u32('attributes'),
    u32('eaSize'),
    u64('size'),
    u64('allocated'),
    u64('creationTime'),
    u64('changeTime'),
  ]),
  // xattr_DosInfo2Old, without the fields that follow: write time and name.
  2: struct([
    u32('flags'),
    u32('attributes'),
    u32('eaSize'),
    u64('size'),
    u64('allocated'),
    u64('creationTime'),
    u64('changeTime'),
  ]),
  3: struct([
    u32('validFlags'),
    u32('attributes'),
    u32('eaSize'),
    u64('size'),
    u64('allocated'),
    u64('creationTime'),
    u64('changeTime'),
  ]),
  4: struct([u32('validFlags'), u32('attributes'), u64('itime'), u64('creationTime')]),
  5: struct([u32('validFlags'), u32('attributes'), u64('creationTime')]),
}

/** Version 5 behind an empty text: NUL and a byte of padding, header, two bytes of padding, info. */
const written = struct<Header & { text: number; padding: number } & Required<Info>>([
  u16('text'),
  u16('version'),
  u16('level'),
  u16('padding'),
  u32('validFlags'),
  u32('attributes'),
  u64('creationTime'),
])
export const DOS_ATTRIBUTES_BYTES = written.span

/**
 * Reads any version, and the older form that is text alone ("0x20"). What cannot be read
 * says nothing: the file then has the attributes of one that never had any stored.
 */
export function decodeDosAttributes(value: Buffer): DosAttributes {
  const nul = value.indexOf(0)
  const text = value.toString('latin1', 0, nul < 0 ? value.length : nul)
  const headerAt = alignTo(text.length + 1, 2)
  if (headerAt >= value.length) return fromText(text)
  if (headerAt + header.span > value.length) return {}
  const { version, level } = header.decode(value, headerAt)
  const layout = INFO[version]
  const infoAt = alignTo(headerAt + header.span, 4)
  if (layout === undefined || level !== version || infoAt + layout.span > value.length) return {}
  const info = layout.decode(value, infoAt)
  const valid = info.validFlags ?? Valid.attributes | Valid.creationTime
  const birthTime = (valid & Valid.creationTime) === 0 ? undefined : fromTicks(info.creationTime)
  return {
    ...((valid & Valid.attributes) !== 0 && { dosAttributes: info.attributes & STORED_ATTRIBUTES }),
    ...(birthTime !== undefined && { birthTime }),
  }
}

/** Writes version 5, which is what Samba writes: always DOS_ATTRIBUTES_BYTES. */
export function encodeDosAttributes(attributes: Required<DosAttributes>): Buffer {
  const value = Buffer.alloc(DOS_ATTRIBUTES_BYTES)
  written.encode(
    {
      text: 0,
      version: WRITTEN_VERSION,
      level: WRITTEN_VERSION,
      padding: 0,
      validFlags: Valid.attributes | Valid.creationTime,
      attributes: attributes.dosAttributes & STORED_ATTRIBUTES,
      creationTime: toTicks(attributes.birthTime),
    },
    value,
  )
  return value
}

function fromText(text: string): DosAttributes {
  const digits = /^0x([0-9a-f]{1,8})$/i.exec(text)?.[1]
  return digits === undefined ? {} : { dosAttributes: Number.parseInt(digits, 16) & STORED_ATTRIBUTES }
}

function fromTicks(ticks: bigint): Nanoseconds | undefined {
  if (ticks === NO_TIME || ticks > LAST_TIME) return undefined
  return (ticks - UNIX_EPOCH_TICKS) * NANOSECONDS_PER_TICK
}

/** Times before 1601, which have no representation, become the first tick after it. */
function toTicks(time: Nanoseconds): bigint {
  const ticks = time / NANOSECONDS_PER_TICK + UNIX_EPOCH_TICKS
  return ticks <= NO_TIME ? 1n : ticks
}

function alignTo(offset: number, bytes: number): number {
  return Math.ceil(offset / bytes) * bytes
}
