/** MS-LSAT 3.1.4.4 to 3.1.4.11: LsarGetUserName, LsarLookupNames 1 to 3, LsarLookupSids 1 and 2. */

import { DecodeError } from '../../wire/errors.ts'
import type { Sid } from '../fscc/sid.ts'
import type { Operation } from './interface.ts'
import { PolicyAccess } from './lsa-policy.ts'
import {
  decodeLookupScope,
  encodeFailedTranslation,
  encodeTranslation,
  SidUse,
  type TranslatedAccount,
} from './lsa-structures.ts'
import { translateName, translateSid, type Views, viewsOf } from './lsa-translation.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'
import { FaultStatus, NtStatus, RpcFault } from './status.ts'

/** [range(0,1000)] of Count. */
const MAXIMUM_NAMES = 1000
/** [range(0,20480)] of LSAPR_SID_ENUM_BUFFER. */
const MAXIMUM_SIDS = 20_480
/** RelativeId of a domain itself. */
const NO_RELATIVE_ID = 0xffff_ffff
/** Flags of an entry found in a view of this server's own. */
const FOUND_LOCALLY = 0

/** Encodes one entry of TranslatedSids. */
type EncodeSidEntry = (output: NdrWriter, account: TranslatedAccount | undefined, domainIndex: number) => void

/** 2.2.14 LSA_TRANSLATED_SID. */
const translatedSid: EncodeSidEntry = (output, account, domainIndex) => {
  output
    .u16(account?.use ?? SidUse.UNKNOWN)
    .u32(relativeIdOf(account))
    .u32(domainIndex)
}

/** 2.2.23 LSAPR_TRANSLATED_SID_EX. */
const translatedSidEx: EncodeSidEntry = (output, account, domainIndex) => {
  translatedSid(output, account, domainIndex)
  output.u32(FOUND_LOCALLY)
}

/** 2.2.25 LSAPR_TRANSLATED_SID_EX2. */
const translatedSidEx2: EncodeSidEntry = (output, account, domainIndex) => {
  output.u16(account?.use ?? SidUse.UNKNOWN).sidPointer(account?.sid)
  output.u32(domainIndex).u32(FOUND_LOCALLY)
}

function relativeIdOf(account: TranslatedAccount | undefined): number {
  if (account === undefined) return 0
  return account.use === SidUse.DOMAIN
    ? NO_RELATIVE_ID
    : Number(account.sid.slice(account.domain.sid.length + 1))
}

/** 2.2.19 LSAPR_TRANSLATED_NAME. What has no name is shown by its SID (3.1.4.9). */
function translatedName(
  output: NdrWriter,
  account: TranslatedAccount | undefined,
  domainIndex: number,
  sid: Sid,
): NdrWriter {
  output.u16(account?.use ?? SidUse.UNKNOWN).unicodeString(account?.name ?? sid)
  return output.u32(domainIndex)
}

/** What all lookups have in common: the handle, what is to be looked up, and the refusals. */
function lookup<T>(
  decode: (input: NdrReader) => readonly T[],
  translate: (item: T, views: Views) => TranslatedAccount | undefined,
  encode: (output: NdrWriter, account: TranslatedAccount | undefined, domainIndex: number, item: T) => void,
): Operation {
  return (input, output, host, handles) => {
    const policy = handles.get(input.contextHandle())
    const items = decode(input)
    if (!decodeLookupScope(input)) return encodeFailedTranslation(output, NtStatus.INVALID_PARAMETER)
    if ((policy.grantedAccess & PolicyAccess.LOOKUP_NAMES) === 0) {
      return encodeFailedTranslation(output, NtStatus.ACCESS_DENIED)
    }
    const views = viewsOf(host)
    const entries = items.map((item) => ({ item, account: translate(item, views) }))
    encodeTranslation(output, entries, ({ item, account }, domainIndex) =>
      encode(output, account, domainIndex, item),
    )
  }
}

function decodeNames(input: NdrReader): string[] {
  const count = input.u32()
  if (count > MAXIMUM_NAMES) throw new DecodeError(`${count} names`)
  input.conformance(count)
  const hasText = Array.from({ length: count }, () => input.unicodeString())
  return hasText.map((present) => (present ? input.string() : ''))
}

/** 2.2.18 LSAPR_SID_ENUM_BUFFER. */
function decodeSids(input: NdrReader): Sid[] {
  const count = input.u32()
  if (count > MAXIMUM_SIDS) throw new DecodeError(`${count} SIDs`)
  if (!input.pointer()) {
    if (count !== 0) throw new DecodeError('no SIDs where some are announced')
    return []
  }
  input.conformance(count)
  for (let i = 0; i < count; i++) if (!input.pointer()) throw new DecodeError('a missing SID')
  return Array.from({ length: count }, () => input.sid())
}

/** Opnum 14. */
export const lsarLookupNames = lookup(decodeNames, translateName, translatedSid)
/** Opnum 58. */
export const lsarLookupNames2 = lookup(decodeNames, translateName, translatedSidEx)
/** Opnum 68. */
export const lsarLookupNames3 = lookup(decodeNames, translateName, translatedSidEx2)
/** Opnum 15. */
export const lsarLookupSids = lookup(decodeSids, translateSid, translatedName)
/** Opnum 57. */
export const lsarLookupSids2 = lookup(decodeSids, translateSid, (...entry) => {
  // 2.2.21 LSAPR_TRANSLATED_NAME_EX
  translatedName(...entry).u32(FOUND_LOCALLY)
})

/** Opnums 76 and 77, LsarLookupSids3 and LsarLookupNames4: "Only a domain controller can process" them, and over TCP alone. */
export const onlyForDomainControllers: Operation = () => {
  throw new RpcFault(FaultStatus.ACCESS_DENIED)
}

/** Opnum 45. */
export const lsarGetUserName: Operation = (input, output, host) => {
  input.uniqueString()
  skipUnicodeString(input)
  const wantsDomain = input.pointer()
  if (wantsDomain) skipUnicodeString(input)
  const { name, domain } = host.user
  output.construct(() => output.pointer(() => output.unicodeString(name)))
  output.construct(() =>
    output.pointer(wantsDomain ? () => output.pointer(() => output.unicodeString(domain)) : undefined),
  )
  output.u32(NtStatus.SUCCESS)
}

/** A pointer to an RPC_UNICODE_STRING that is for output alone. */
function skipUnicodeString(input: NdrReader): void {
  if (input.pointer() && input.unicodeString()) input.string()
}
