/** RFC 7143 13: the keys that are negotiated, each with its kind of resolution, as a table. */

/** What of a target decides about digests. */
export type DigestPolicy = 'none' | 'optional' | 'required'

export interface DigestPolicies {
  readonly header: DigestPolicy
  readonly data: DigestPolicy
}

/** What a session goes by: the defaults of RFC 7143 13 until something else is agreed. */
export interface Parameters {
  headerDigest: boolean
  dataDigest: boolean
  initialR2T: boolean
  immediateData: boolean
  maxBurstLength: number
  firstBurstLength: number
  maxOutstandingR2T: number
  /** Bytes of a data segment that the initiator takes. */
  initiatorMaxRecvDataSegmentLength: number
  defaultTime2Wait: number
  defaultTime2Retain: number
  maxConnections: number
}

/** MaxRecvDataSegmentLength of both sides until they declare another. */
export const DEFAULT_SEGMENT_BYTES = 8192
/** What we declare: a burst in few PDUs, and a buffer of a size that is kept for use again. */
export const OUR_SEGMENT_BYTES = 256 * 1024
const OUR_MAX_BURST_BYTES = 1024 * 1024
const OUR_FIRST_BURST_BYTES = 256 * 1024
/** Enough that a burst is on its way while another is asked for. */
const OUR_OUTSTANDING_R2T = 4
const OUR_TIME2WAIT_SECONDS = 2
/** One for each path that a box may have to another, and some more. */
const OUR_MAX_CONNECTIONS = 8
const SMALLEST_LENGTH = 512
const LARGEST_LENGTH = 0xff_ffff
/** RFC 7144: level 1 is RFC 7143. */
const PROTOCOL_LEVEL = 1
const DECIMAL_OR_HEXADECIMAL = /^(?:0[xX][0-9a-fA-F]{1,8}|\d{1,10})$/

export function defaultParameters(): Parameters {
  return {
    headerDigest: false,
    dataDigest: false,
    initialR2T: true,
    immediateData: true,
    maxBurstLength: 262_144,
    firstBurstLength: 65_536,
    maxOutstandingR2T: 1,
    initiatorMaxRecvDataSegmentLength: DEFAULT_SEGMENT_BYTES,
    defaultTime2Wait: 2,
    defaultTime2Retain: 20,
    maxConnections: 1,
  }
}

type NumberKey = {
  [Key in keyof Parameters]: Parameters[Key] extends number ? Key : never
}[keyof Parameters]
type BooleanKey = Exclude<keyof Parameters, NumberKey>

/** How one key is resolved (6.2), and where its result goes; without `to` the result is the same for all sessions. */
type Rule =
  | { readonly kind: 'digest'; readonly policy: keyof DigestPolicies; readonly to: BooleanKey }
  | { readonly kind: 'and' | 'or'; readonly ours: boolean; readonly to?: BooleanKey }
  | {
      readonly kind: 'minimum' | 'maximum'
      readonly ours: number
      readonly low: number
      readonly high: number
      readonly to?: NumberKey
    }
  | { readonly kind: 'declared'; readonly low: number; readonly high: number; readonly to: NumberKey }
  | { readonly kind: 'choice'; readonly ours: string }
  | { readonly kind: 'rejected' }

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['HeaderDigest', { kind: 'digest', policy: 'header', to: 'headerDigest' }],
  ['DataDigest', { kind: 'digest', policy: 'data', to: 'dataDigest' }],
  ['InitialR2T', { kind: 'or', ours: false, to: 'initialR2T' }],
  ['ImmediateData', { kind: 'and', ours: true, to: 'immediateData' }],
  [
    'MaxRecvDataSegmentLength',
    {
      kind: 'declared',
      low: SMALLEST_LENGTH,
      high: LARGEST_LENGTH,
      to: 'initiatorMaxRecvDataSegmentLength',
    },
  ],
  ['MaxBurstLength', lengthRule(OUR_MAX_BURST_BYTES, 'maxBurstLength')],
  ['FirstBurstLength', lengthRule(OUR_FIRST_BURST_BYTES, 'firstBurstLength')],
  [
    'DefaultTime2Wait',
    { kind: 'maximum', ours: OUR_TIME2WAIT_SECONDS, low: 0, high: 3600, to: 'defaultTime2Wait' },
  ],
  ['DefaultTime2Retain', { kind: 'minimum', ours: 0, low: 0, high: 3600, to: 'defaultTime2Retain' }],
  [
    'MaxConnections',
    { kind: 'minimum', ours: OUR_MAX_CONNECTIONS, low: 1, high: 65_535, to: 'maxConnections' },
  ],
  [
    'MaxOutstandingR2T',
    { kind: 'minimum', ours: OUR_OUTSTANDING_R2T, low: 1, high: 65_535, to: 'maxOutstandingR2T' },
  ],
  ['ErrorRecoveryLevel', { kind: 'minimum', ours: 0, low: 0, high: 2 }],
  ['DataPDUInOrder', { kind: 'or', ours: true }],
  ['DataSequenceInOrder', { kind: 'or', ours: true }],
  ['iSCSIProtocolLevel', { kind: 'minimum', ours: PROTOCOL_LEVEL, low: 0, high: 31 }],
  ['TaskReporting', { kind: 'choice', ours: 'RFC3720' }],
  // Markers were taken out with RFC 7143; older initiators want to hear No.
  ['IFMarker', { kind: 'and', ours: false }],
  ['OFMarker', { kind: 'and', ours: false }],
  ['IFMarkInt', { kind: 'rejected' }],
  ['OFMarkInt', { kind: 'rejected' }],
])

function lengthRule(ours: number, to: NumberKey): Rule {
  return { kind: 'minimum', ours, low: SMALLEST_LENGTH, high: LARGEST_LENGTH, to }
}

/** What each connection of a session has for itself; all else is agreed upon by the first, "LO: Leading Only" (13). */
const OF_EACH_CONNECTION: ReadonlySet<string> = new Set([
  ...['HeaderDigest', 'DataDigest', 'MaxRecvDataSegmentLength'],
  ...['IFMarker', 'OFMarker', 'IFMarkInt', 'OFMarkInt'],
])

/** Whether a key may only be in the login of a session's first connection. */
export function isLeadingOnly(key: string): boolean {
  return RULES.has(key) && !OF_EACH_CONNECTION.has(key)
}

/** What a further connection goes by. @param own what its login agreed upon */
export function ofFurtherConnection(session: Parameters, own: Parameters): Parameters {
  const { headerDigest, dataDigest, initiatorMaxRecvDataSegmentLength } = own
  return { ...session, headerDigest, dataDigest, initiatorMaxRecvDataSegmentLength }
}

export const REJECT = 'Reject'
export const NOT_UNDERSTOOD = 'NotUnderstood'

/**
 * Takes over what an initiator offers or declares.
 * @returns the answer; undefined where a declaration needs none; 'NotUnderstood' for a key that is not in the table
 */
export function negotiate(
  key: string,
  value: string,
  parameters: Parameters,
  policies: DigestPolicies,
): string | undefined {
  const rule = RULES.get(key)
  if (rule === undefined) return NOT_UNDERSTOOD
  switch (rule.kind) {
    case 'digest': {
      const chosen = chooseDigest(value.split(','), policies[rule.policy])
      if (chosen === undefined) return REJECT
      parameters[rule.to] = chosen === CRC32C
      return chosen
    }
    case 'and':
    case 'or': {
      if (value !== 'Yes' && value !== 'No') return REJECT
      const offered = value === 'Yes'
      const result = rule.kind === 'and' ? offered && rule.ours : offered || rule.ours
      if (rule.to !== undefined) parameters[rule.to] = result
      return result ? 'Yes' : 'No'
    }
    case 'minimum':
    case 'maximum': {
      const offered = numberOf(value, rule.low, rule.high)
      if (offered === undefined) return REJECT
      const result = rule.kind === 'minimum' ? Math.min(offered, rule.ours) : Math.max(offered, rule.ours)
      if (rule.to !== undefined) parameters[rule.to] = result
      return String(result)
    }
    case 'declared': {
      const declared = numberOf(value, rule.low, rule.high)
      if (declared === undefined) return REJECT
      parameters[rule.to] = declared
      return undefined
    }
    case 'choice':
      return value.split(',').includes(rule.ours) ? rule.ours : REJECT
    case 'rejected':
      return REJECT
  }
}

const CRC32C = 'CRC32C'

/** The initiator's first choice that the target's policy admits. */
function chooseDigest(offers: readonly string[], policy: DigestPolicy): string | undefined {
  return offers.find(
    (offer) => (offer === CRC32C && policy !== 'none') || (offer === 'None' && policy !== 'required'),
  )
}

function numberOf(value: string, low: number, high: number): number | undefined {
  if (!DECIMAL_OR_HEXADECIMAL.test(value)) return undefined
  const number = Number(value)
  return number >= low && number <= high ? number : undefined
}
