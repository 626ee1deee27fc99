/** The two streams that Macs keep with nearly every file, and when such a stream exists: Apple's servers know no empty one. */

import { decodeAfpInfo, isEmptyFinderInfo } from './afp-info.ts'

export type AppleStream = 'afp-info' | 'resource-fork'

/** As clients name them; names of streams are compared without case. */
export const APPLE_STREAM_NAMES: Readonly<Record<AppleStream, string>> = {
  'afp-info': 'AFP_AfpInfo',
  'resource-fork': 'AFP_Resource',
}

const BY_NAME: ReadonlyMap<string, AppleStream> = new Map([
  ['afp_afpinfo', 'afp-info'],
  ['afp_resource', 'resource-fork'],
])
const LONGEST_NAME = 12

/** Which of Apple's streams a name means; undefined for all others. */
export function appleStreamOf(name: string): AppleStream | undefined {
  return name.length > LONGEST_NAME ? undefined : BY_NAME.get(name.toLowerCase())
}

/** The Finder's information in a stored AFP_AfpInfo, as a view; undefined where none is: nothing valid, or all zeros. */
export function presentFinderInfo(afpInfo: Buffer | undefined): Buffer | undefined {
  const finderInfo = afpInfo === undefined ? undefined : decodeAfpInfo(afpInfo)
  return finderInfo === undefined || isEmptyFinderInfo(finderInfo) ? undefined : finderInfo
}
