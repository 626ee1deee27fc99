/** SPC-4 4.5: sense data, what went wrong with a command, in fixed and descriptor format. */

import { struct, u8, u16be, u32be } from 'buffer-layout'
import { encode, u64be } from './bytes.ts'

export const SenseKey = {
  noSense: 0x0,
  notReady: 0x2,
  mediumError: 0x3,
  hardwareError: 0x4,
  illegalRequest: 0x5,
  unitAttention: 0x6,
  dataProtect: 0x7,
  copyAborted: 0xa,
  abortedCommand: 0xb,
  miscompare: 0xe,
} as const

/** Where a reserved or wrong field is (SPC-4 4.5.2.4.2). */
export interface FieldPointer {
  readonly inCdb: boolean
  readonly byte: number
}

export interface Sense {
  readonly key: number
  /** ADDITIONAL SENSE CODE and its qualifier as one number: 0x2400. */
  readonly code: number
  /** INFORMATION: what the command says it is. */
  readonly information?: number
  /** A logical block address for COMMAND-SPECIFIC INFORMATION. */
  readonly commandSpecific?: number
  readonly field?: FieldPointer
  /** Of 65536 (SPC-4 4.5.2.4.4). */
  readonly progress?: number
  /** It was an earlier command that failed (SPC-4 4.5.5). */
  readonly isDeferred?: boolean
}

const { notReady, mediumError, hardwareError, illegalRequest, unitAttention, dataProtect } = SenseKey

/** SPC-4 annex D, by name. */
export const senses = {
  none: { key: SenseKey.noSense, code: 0x0000 },
  interventionRequired: { key: notReady, code: 0x0403 },
  sanitizing: { key: notReady, code: 0x041b },
  noMedium: { key: notReady, code: 0x3a00 },
  writeError: { key: mediumError, code: 0x0c00 },
  readError: { key: mediumError, code: 0x1100 },
  sanitizeFailed: { key: mediumError, code: 0x3103 },
  internalFailure: { key: hardwareError, code: 0x4400 },
  parameterListLength: { key: illegalRequest, code: 0x1a00 },
  invalidOperationCode: { key: illegalRequest, code: 0x2000 },
  addressOutOfRange: { key: illegalRequest, code: 0x2100 },
  invalidFieldInCdb: { key: illegalRequest, code: 0x2400 },
  unsupportedLogicalUnit: { key: illegalRequest, code: 0x2500 },
  invalidFieldInParameters: { key: illegalRequest, code: 0x2600 },
  invalidRelease: { key: illegalRequest, code: 0x2604 },
  tooManyTargetDescriptors: { key: illegalRequest, code: 0x2606 },
  unsupportedTargetDescriptor: { key: illegalRequest, code: 0x2607 },
  tooManySegmentDescriptors: { key: illegalRequest, code: 0x2608 },
  unsupportedSegmentDescriptor: { key: illegalRequest, code: 0x2609 },
  inlineDataExceeded: { key: illegalRequest, code: 0x260b },
  savingNotSupported: { key: illegalRequest, code: 0x3900 },
  mediumRemovalPrevented: { key: illegalRequest, code: 0x5302 },
  insufficientRegistrations: { key: illegalRequest, code: 0x5504 },
  // A session begins. 2901h and 2907h would say more, but libiscsi's tools (iscsi-ls, the examples) go on after this alone.
  powerOn: { key: unitAttention, code: 0x2900 },
  busReset: { key: unitAttention, code: 0x2902 },
  deviceReset: { key: unitAttention, code: 0x2903 },
  nexusLoss: { key: unitAttention, code: 0x2907 },
  mediumChanged: { key: unitAttention, code: 0x2800 },
  modeParametersChanged: { key: unitAttention, code: 0x2a01 },
  reservationsPreempted: { key: unitAttention, code: 0x2a03 },
  reservationsReleased: { key: unitAttention, code: 0x2a04 },
  registrationsPreempted: { key: unitAttention, code: 0x2a05 },
  capacityChanged: { key: unitAttention, code: 0x2a09 },
  inquiryChanged: { key: unitAttention, code: 0x3f03 },
  reportedLunsChanged: { key: unitAttention, code: 0x3f0e },
  writeProtected: { key: dataProtect, code: 0x2700 },
  spaceExhausted: { key: dataProtect, code: 0x2707 },
  copyAborted: { key: SenseKey.copyAborted, code: 0x0000 },
  copyTargetUnreachable: { key: SenseKey.copyAborted, code: 0x0d02 },
  copyTargetReservation: { key: SenseKey.copyAborted, code: 0x0d01 },
  incorrectLength: { key: illegalRequest, code: 0x0e03 },
  miscompare: { key: SenseKey.miscompare, code: 0x1d00 },
} as const satisfies Record<string, Sense>

const FIXED_CURRENT = 0x70
const FIXED_DEFERRED = 0x71
const DESCRIPTOR_CURRENT = 0x72
const DESCRIPTOR_DEFERRED = 0x73
const VALID = 0x80
const SENSE_KEY_SPECIFIC_VALID = 0x80
const COMMAND_DATA = 0x40
const FIXED_BYTES = 18
/** What follows byte 7. */
const FIXED_ADDITIONAL_BYTES = FIXED_BYTES - 8
const LARGEST_U32 = 0xffff_ffff

const DescriptorType = { information: 0, commandSpecific: 1, senseKeySpecific: 2 } as const
const WIDE_DESCRIPTOR_ADDITIONAL_BYTES = 0x0a
const KEY_DESCRIPTOR_ADDITIONAL_BYTES = 0x06

const fixedLayout = struct<{
  responseCode: number
  obsolete: number
  key: number
  information: number
  additionalLength: number
  commandSpecific: number
  code: number
  fieldReplaceableUnit: number
  keySpecific0: number
  keySpecific1: number
}>([
  u8('responseCode'),
  u8('obsolete'),
  u8('key'),
  u32be('information'),
  u8('additionalLength'),
  u32be('commandSpecific'),
  u16be('code'),
  u8('fieldReplaceableUnit'),
  u8('keySpecific0'),
  u16be('keySpecific1'),
])

const wideDescriptorLayout = struct<{
  type: number
  additionalLength: number
  flags: number
  reserved: number
  value: bigint
}>([u8('type'), u8('additionalLength'), u8('flags'), u8('reserved'), u64be('value')])

const keyDescriptorLayout = struct<{
  type: number
  additionalLength: number
  reserved: number
  keySpecific0: number
  keySpecific1: number
  reserved2: number
}>([
  u8('type'),
  u8('additionalLength'),
  u16be('reserved'),
  u8('keySpecific0'),
  u16be('keySpecific1'),
  u8('reserved2'),
])

/** SPC-4 4.5.2 or 4.5.3. @param descriptorFormat D_SENSE of the control mode page, or DESC of REQUEST SENSE */
export function encodeSense(sense: Sense, descriptorFormat: boolean): Buffer {
  return descriptorFormat ? encodeDescriptors(sense) : encodeFixed(sense)
}

function encodeFixed(sense: Sense): Buffer {
  const { information, commandSpecific } = sense
  const specific = keySpecific(sense)
  const fits = information !== undefined && information <= LARGEST_U32
  return encode(fixedLayout, {
    responseCode: (sense.isDeferred ? FIXED_DEFERRED : FIXED_CURRENT) | (fits ? VALID : 0),
    obsolete: 0,
    key: sense.key,
    information: fits ? information : 0,
    additionalLength: FIXED_ADDITIONAL_BYTES,
    commandSpecific: commandSpecific !== undefined && commandSpecific <= LARGEST_U32 ? commandSpecific : 0,
    code: sense.code,
    fieldReplaceableUnit: 0,
    keySpecific0: specific?.[0] ?? 0,
    keySpecific1: specific?.[1] ?? 0,
  })
}

function encodeDescriptors(sense: Sense): Buffer {
  const descriptors: Buffer[] = []
  const wide = (type: number, flags: number, value: number | undefined): void => {
    if (value === undefined) return
    const fields = { type, additionalLength: WIDE_DESCRIPTOR_ADDITIONAL_BYTES, flags, reserved: 0 }
    descriptors.push(encode(wideDescriptorLayout, { ...fields, value: BigInt(value) }))
  }
  wide(DescriptorType.information, VALID, sense.information)
  wide(DescriptorType.commandSpecific, 0, sense.commandSpecific)
  const specific = keySpecific(sense)
  if (specific !== undefined) {
    const type = DescriptorType.senseKeySpecific
    const [keySpecific0, keySpecific1] = specific
    const fields = { type, additionalLength: KEY_DESCRIPTOR_ADDITIONAL_BYTES, reserved: 0, reserved2: 0 }
    descriptors.push(encode(keyDescriptorLayout, { ...fields, keySpecific0, keySpecific1 }))
  }
  const body = Buffer.concat(descriptors)
  const code = sense.isDeferred ? DESCRIPTOR_DEFERRED : DESCRIPTOR_CURRENT
  const head = Buffer.from([code, sense.key, sense.code >> 8, sense.code & 0xff, 0, 0, 0, body.length])
  return Buffer.concat([head, body])
}

/** SPC-4 4.5.2.4: which field was wrong, or how far a long operation has come. */
function keySpecific(sense: Sense): readonly [number, number] | undefined {
  if (sense.progress !== undefined) return [SENSE_KEY_SPECIFIC_VALID, sense.progress]
  if (sense.field === undefined) return undefined
  return [SENSE_KEY_SPECIFIC_VALID | (sense.field.inCdb ? COMMAND_DATA : 0), sense.field.byte]
}
