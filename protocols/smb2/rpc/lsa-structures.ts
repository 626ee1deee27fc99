/** MS-LSAT 2.2: the structures that the translating methods of lsarpc have in common. */

import { DecodeError } from '../../wire/errors.ts'
import type { Sid } from '../fscc/sid.ts'
import type { NdrReader, NdrWriter } from './ndr.ts'
import { NtStatus } from './status.ts'

/** 2.2.13 SID_NAME_USE. */
export const SidUse = {
  USER: 1,
  GROUP: 2,
  DOMAIN: 3,
  ALIAS: 4,
  WELL_KNOWN_GROUP: 5,
  UNKNOWN: 8,
} as const

export interface TrustInformation {
  readonly name: string
  readonly sid: Sid
}

/** A security principal, or a domain itself, in all its forms. */
export interface TranslatedAccount {
  readonly domain: TrustInformation
  /** Without the domain. */
  readonly name: string
  readonly sid: Sid
  readonly use: number
}

/** DomainIndex of what belongs to no domain. */
const NO_DOMAIN = 0xffff_ffff
/** 2.2.16 LSAP_LOOKUP_LEVEL: the first and the last. Without a domain behind it, a server looks in the same views for all. */
const LOOKUP_LEVELS = { first: 1, last: 7 } as const

/**
 * What ends the parameters of every translating method: TranslatedSids or TranslatedNames, which "MUST be ignored on
 * input", then LookupLevel and MappedCount.
 * @returns whether the level is one
 * @throws DecodeError also when a client sends entries of its own
 */
export function decodeLookupScope(input: NdrReader): boolean {
  if (input.u32() !== 0) throw new DecodeError('entries in a lookup request')
  if (input.pointer()) input.conformance(0)
  const level = input.u16()
  input.u32()
  return level >= LOOKUP_LEVELS.first && level <= LOOKUP_LEVELS.last
}

/** What was looked up, and what was found. */
export interface LookupEntry {
  readonly account: TranslatedAccount | undefined
}

/**
 * Writes ReferencedDomains, the entries, MappedCount and the return value.
 * @param encode writes one entry; `domainIndex` is its domain's place in ReferencedDomains
 */
export function encodeTranslation<T extends LookupEntry>(
  output: NdrWriter,
  entries: readonly T[],
  encode: (entry: T, domainIndex: number) => void,
): void {
  const domains = referencedDomains(entries)
  output.construct(() =>
    output.pointer(() => {
      output.u32(domains.size)
      output.arrayPointer([...domains.values()], ({ name, sid }) =>
        output.unicodeString(name).sidPointer(sid),
      )
      output.u32(domains.size)
    }),
  )
  output.construct(() => {
    output.u32(entries.length)
    output.arrayPointer(entries, (entry) =>
      encode(entry, domains.get(entry.account?.domain.sid)?.index ?? NO_DOMAIN),
    )
  })
  const mapped = entries.filter(({ account }) => account !== undefined).length
  output.u32(mapped).u32(statusOf(mapped, entries.length))
}

/** The same for a call that failed. */
export function encodeFailedTranslation(output: NdrWriter, status: number): void {
  output.u32(0).u32(0).u32(0).u32(0).u32(status)
}

interface ReferencedDomain extends TrustInformation {
  readonly index: number
}

/** 2.2.12: each domain once, in the order of their first mention. */
function referencedDomains(entries: readonly LookupEntry[]): ReadonlyMap<Sid | undefined, ReferencedDomain> {
  const domains = new Map<Sid | undefined, ReferencedDomain>()
  for (const { account } of entries) {
    if (account === undefined || domains.has(account.domain.sid)) continue
    domains.set(account.domain.sid, { ...account.domain, index: domains.size })
  }
  return domains
}

function statusOf(mapped: number, wanted: number): number {
  if (mapped === wanted) return NtStatus.SUCCESS
  return mapped === 0 ? NtStatus.NONE_MAPPED : NtStatus.SOME_NOT_MAPPED
}
