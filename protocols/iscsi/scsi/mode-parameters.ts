/** SPC-4 7.5 and SBC-3 6.4: what MODE SELECT can change of a logical unit, and its mode pages. */

import { struct, u8, u16be } from 'buffer-layout'
import { encode } from './bytes.ts'

export interface ModeParameters {
  /** Written data may stay in the cache until it is synchronized. */
  writeCacheEnabled: boolean
  /** Sense data in descriptor format. */
  descriptorSense: boolean
  /** Software write protect. */
  softwareWriteProtect: boolean
}

export function defaultModeParameters(): ModeParameters {
  return { writeCacheEnabled: true, descriptorSense: false, softwareWriteProtect: false }
}

export const ModePage = { caching: 0x08, control: 0x0a, informationalExceptions: 0x1c } as const

/** PAGE CONTROL (SPC-4 6.11.3). */
export const PageControl = { current: 0, changeable: 1, defaults: 2, saved: 3 } as const

const WCE = 0x04
const D_SENSE = 0x04
const GLTSD = 0x02
const SWP = 0x08
/** QUEUE ALGORITHM MODIFIER: commands may be reordered. */
const UNRESTRICTED_REORDERING = 0x10
/** In units of 100 ms; FFFFh: unlimited. */
const BUSY_TIMEOUT_UNLIMITED = 0xffff
/** DEXCPT: there are no exceptions to tell. */
const DEXCPT = 0x08

interface CachingPage {
  code: number
  length: number
  flags: number
  priorities: number
}
const cachingLayout = struct<CachingPage & Record<string, number>>([
  u8('code'),
  u8('length'),
  u8('flags'),
  u8('priorities'),
  u16be('disablePrefetchLength'),
  u16be('minimumPrefetch'),
  u16be('maximumPrefetch'),
  u16be('maximumPrefetchCeiling'),
  u8('flags2'),
  u8('cacheSegments'),
  u16be('cacheSegmentSize'),
  u8('reserved'),
  u8('obsolete0'),
  u16be('obsolete1'),
])

const controlLayout = struct<Record<string, number>>([
  u8('code'),
  u8('length'),
  u8('flags'),
  u8('queue'),
  u8('protect'),
  u8('application'),
  u16be('obsolete'),
  u16be('busyTimeout'),
  u16be('selfTestTime'),
])

const exceptionsLayout = struct<Record<string, number>>([
  u8('code'),
  u8('length'),
  u8('flags'),
  u8('method'),
  u16be('interval0'),
  u16be('interval1'),
  u16be('count0'),
  u16be('count1'),
])

/** What follows the two bytes of code and length. */
const bodyLength = (span: number): number => span - 2

function encodePage(layout: Parameters<typeof encode>[0] & { span: number }, fields: object): Buffer {
  return encode(layout, fields)
}

function cachingPage(parameters: ModeParameters): Buffer {
  const zeros = { priorities: 0, disablePrefetchLength: 0, minimumPrefetch: 0, maximumPrefetch: 0 }
  const rest = { maximumPrefetchCeiling: 0, flags2: 0, cacheSegments: 0, cacheSegmentSize: 0, reserved: 0 }
  return encodePage(cachingLayout, {
    code: ModePage.caching,
    length: bodyLength(cachingLayout.span),
    flags: parameters.writeCacheEnabled ? WCE : 0,
    ...zeros,
    ...rest,
    obsolete0: 0,
    obsolete1: 0,
  })
}

function controlPage(parameters: ModeParameters): Buffer {
  return encodePage(controlLayout, {
    code: ModePage.control,
    length: bodyLength(controlLayout.span),
    flags: GLTSD | (parameters.descriptorSense ? D_SENSE : 0),
    queue: UNRESTRICTED_REORDERING,
    protect: parameters.softwareWriteProtect ? SWP : 0,
    application: 0,
    obsolete: 0,
    busyTimeout: BUSY_TIMEOUT_UNLIMITED,
    selfTestTime: 0,
  })
}

function exceptionsPage(): Buffer {
  const intervals = { method: 0, interval0: 0, interval1: 0, count0: 0, count1: 0 }
  return encodePage(exceptionsLayout, {
    code: ModePage.informationalExceptions,
    length: bodyLength(exceptionsLayout.span),
    flags: DEXCPT,
    ...intervals,
  })
}

/** Which bits MODE SELECT may change, by page, from its third byte on. */
function changeable(page: Buffer): Buffer {
  const mask = Buffer.alloc(page.length)
  page.copy(mask, 0, 0, 2)
  if (page[0] === ModePage.caching) mask[2] = WCE
  if (page[0] === ModePage.control) {
    mask[2] = D_SENSE
    mask[4] = SWP
  }
  return mask
}

/** All pages in ascending order, as PAGE CONTROL asks for them. */
export function modePages(parameters: ModeParameters, pageControl: number): Buffer[] {
  const shown = pageControl === PageControl.defaults ? defaultModeParameters() : parameters
  const pages = [cachingPage(shown), controlPage(shown), exceptionsPage()]
  return pageControl === PageControl.changeable ? pages.map(changeable) : pages
}

/**
 * Takes over what a page of MODE SELECT changes.
 *
 * @returns the first byte that differs where nothing may be changed, or undefined when all was taken over
 */
export function applyModePage(parameters: ModeParameters, page: Buffer): number | undefined {
  const current = modePages(parameters, PageControl.current).find((one) => one[0] === page[0])
  if (current === undefined) return 0
  if (current.length !== page.length) return 1
  const mask = changeable(current)
  for (let i = 2; i < page.length; i++) {
    if ((((page[i] ?? 0) ^ (current[i] ?? 0)) & ~(mask[i] ?? 0)) !== 0) return i
  }
  if (page[0] === ModePage.caching) parameters.writeCacheEnabled = ((page[2] ?? 0) & WCE) !== 0
  if (page[0] === ModePage.control) {
    parameters.descriptorSense = ((page[2] ?? 0) & D_SENSE) !== 0
    parameters.softwareWriteProtect = ((page[4] ?? 0) & SWP) !== 0
  }
  return undefined
}
