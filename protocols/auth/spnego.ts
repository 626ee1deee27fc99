/** RFC 4178 4.2 and MS-SPNG 2.2.1: SPNEGO tokens: NegTokenInit, the server's NegTokenInit2, and NegTokenResp. */

import { DecodeError } from '../wire/errors.ts'
import { contextTag, DerReader, der, Tag } from './der.ts'

/** Object identifiers as the content octets of their DER encoding. */
export const Oid = {
  /** 1.3.6.1.5.5.2 */
  SPNEGO: Buffer.from('2b0601050502', 'hex'),
  /** 1.3.6.1.4.1.311.2.2.10 */
  NTLMSSP: Buffer.from('2b06010401823702020a', 'hex'),
  /** 1.2.840.113554.1.2.2 */
  KERBEROS: Buffer.from('2a864886f712010202', 'hex'),
} as const

/** RFC 4178 4.2.2: NegState. */
export const NegState = {
  ACCEPT_COMPLETED: 0,
  ACCEPT_INCOMPLETE: 1,
  REJECT: 2,
  REQUEST_MIC: 3,
} as const

export type NegState = (typeof NegState)[keyof typeof NegState]

export interface NegTokenInit {
  /** Mechanisms offered, the preferred one first. */
  readonly mechTypes: readonly Buffer[]
  /** The MechTypeList as received: what a mechListMIC is computed over. */
  readonly mechTypeList: Buffer
  /** The first mechanism's token, sent on the chance that it is chosen. */
  readonly mechToken: Buffer | undefined
  readonly mechListMic: Buffer | undefined
}

export interface NegTokenResp {
  readonly negState?: NegState | undefined
  readonly supportedMech?: Buffer | undefined
  readonly responseToken?: Buffer | undefined
  readonly mechListMic?: Buffer | undefined
}

export type SpnegoToken =
  | { readonly kind: 'init'; readonly init: NegTokenInit }
  | { readonly kind: 'response'; readonly response: NegTokenResp }

/** Mechanisms in one list. Windows offers five. */
const MAXIMUM_MECHANISMS = 32
/** The highest field number that fits into one octet of tag. */
const MAXIMUM_FIELD = 30
/** MS-SPNG 3.2.5.2: the hintName, which says nothing but that a hint was given. */
const HINT_NAME = 'not_defined_in_RFC4178@please_ignore'

/** The token of a server's first message, which offers NTLMSSP and nothing else (MS-SPNG 2.2.1: NegTokenInit2). */
export function initialToken(): Buffer {
  const hintName = der(contextTag(0), der(Tag.GENERAL_STRING, Buffer.from(HINT_NAME, 'latin1')))
  return wrapInit(
    der(contextTag(0), encodeMechTypeList([Oid.NTLMSSP])),
    der(contextTag(3), der(Tag.SEQUENCE, hintName)),
  )
}

/** A client's first token. */
export function encodeNegTokenInit(mechTypes: readonly Buffer[], mechToken: Buffer | undefined): Buffer {
  return wrapInit(
    der(contextTag(0), encodeMechTypeList(mechTypes)),
    mechToken === undefined ? NOTHING : der(contextTag(2), der(Tag.OCTET_STRING, mechToken)),
  )
}

/** The MechTypeList over which a mechListMIC is computed. */
export function encodeMechTypeList(mechTypes: readonly Buffer[]): Buffer {
  return der(Tag.SEQUENCE, ...mechTypes.map((mechanism) => der(Tag.OBJECT_IDENTIFIER, mechanism)))
}

const NOTHING = Buffer.alloc(0)

/** RFC 2743 3.1: the InitialContextToken around a mechanism's first token. */
function wrapInit(...fields: readonly Buffer[]): Buffer {
  const init = der(contextTag(0), der(Tag.SEQUENCE, ...fields))
  return der(Tag.APPLICATION_0, der(Tag.OBJECT_IDENTIFIER, Oid.SPNEGO), init)
}

export function encodeNegTokenResp(response: NegTokenResp): Buffer {
  const { negState, supportedMech, responseToken, mechListMic } = response
  const field = (number: number, tag: number, content: Buffer | undefined) =>
    content === undefined ? NOTHING : der(contextTag(number), der(tag, content))
  const sequence = der(
    Tag.SEQUENCE,
    field(0, Tag.ENUMERATED, negState === undefined ? undefined : Buffer.from([negState])),
    field(1, Tag.OBJECT_IDENTIFIER, supportedMech),
    field(2, Tag.OCTET_STRING, responseToken),
    field(3, Tag.OCTET_STRING, mechListMic),
  )
  return der(contextTag(1), sequence)
}

/** @throws DecodeError when it is neither an InitialContextToken of SPNEGO nor a NegTokenResp */
export function decodeSpnego(token: Buffer): SpnegoToken {
  const reader = new DerReader(token)
  const outer = reader.next()
  reader.end()
  switch (outer.tag) {
    case Tag.APPLICATION_0: {
      const inner = new DerReader(outer.content)
      if (!inner.expect(Tag.OBJECT_IDENTIFIER).content.equals(Oid.SPNEGO)) {
        throw new DecodeError('a token of another mechanism than SPNEGO')
      }
      const init = decodeNegTokenInit(inner.expect(contextTag(0)).content)
      inner.end()
      return { kind: 'init', init }
    }
    case contextTag(1):
      return { kind: 'response', response: decodeNegTokenResp(outer.content) }
    default:
      throw new DecodeError('not a SPNEGO token')
  }
}

/**
 * Reads NegTokenInit and NegTokenInit2, which differ in [3]: mechListMIC in the one, negHints
 * in the other, whose mechListMIC is [4]. reqFlags and what later versions may add are passed over.
 */
function decodeNegTokenInit(bytes: Buffer): NegTokenInit {
  const fields = sequenceOf(bytes)
  const mechTypes: Buffer[] = []
  const list = new DerReader(fields.expect(contextTag(0)).content)
  const mechTypeList = list.expect(Tag.SEQUENCE)
  list.end()
  const mechanisms = new DerReader(mechTypeList.content)
  while (!mechanisms.atEnd) {
    if (mechTypes.length === MAXIMUM_MECHANISMS) throw new DecodeError('too many mechanisms')
    mechTypes.push(mechanisms.expect(Tag.OBJECT_IDENTIFIER).content)
  }
  fields.optional(contextTag(1))
  const mechToken = octets(fields, 2)
  const third = fields.optional(contextTag(3))?.content
  const isMic = third !== undefined && new DerReader(third).next().tag === Tag.OCTET_STRING
  const mechListMic = isMic ? soleOctets(third) : octets(fields, 4)
  passOverLater(fields, 4)
  return { mechTypes, mechTypeList: mechTypeList.encoded, mechToken, mechListMic }
}

function decodeNegTokenResp(bytes: Buffer): NegTokenResp {
  const fields = sequenceOf(bytes)
  const state = fields.optional(contextTag(0))
  const mechanism = fields.optional(contextTag(1))
  const response = {
    negState: state === undefined ? undefined : decodeNegState(state.content),
    supportedMech: mechanism === undefined ? undefined : sole(mechanism.content, Tag.OBJECT_IDENTIFIER),
    responseToken: octets(fields, 2),
    mechListMic: octets(fields, 3),
  }
  passOverLater(fields, 3)
  return response
}

/** RFC 4178 4.2: the sequences may grow, at their end. @throws DecodeError when what is left is no later field */
function passOverLater(fields: DerReader, last: number): void {
  while (!fields.atEnd) {
    const { tag } = fields.next()
    if (tag <= contextTag(last) || tag > contextTag(MAXIMUM_FIELD))
      throw new DecodeError('fields out of order')
  }
}

function decodeNegState(bytes: Buffer): NegState {
  const content = sole(bytes, Tag.ENUMERATED)
  const value = content[0]
  const known = Object.values(NegState).find((state) => state === value)
  if (content.length !== 1 || known === undefined) throw new DecodeError('an unknown NegState')
  return known
}

function sequenceOf(bytes: Buffer): DerReader {
  return new DerReader(sole(bytes, Tag.SEQUENCE))
}

/** The content of the one element there is. */
function sole(bytes: Buffer, tag: number): Buffer {
  const reader = new DerReader(bytes)
  const { content } = reader.expect(tag)
  reader.end()
  return content
}

function soleOctets(bytes: Buffer): Buffer {
  return sole(bytes, Tag.OCTET_STRING)
}

/** The OCTET STRING in an optional field. */
function octets(fields: DerReader, number: number): Buffer | undefined {
  const field = fields.optional(contextTag(number))
  return field === undefined ? undefined : soleOctets(field.content)
}
