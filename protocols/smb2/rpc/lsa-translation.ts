/** MS-LSAT 3.1.1.1: the views in which names and SIDs are looked up: predefined, built-in, this server's accounts, Unix ids. */

import type { Sid } from '../fscc/sid.ts'
import type { RpcAccount, RpcAccounts, RpcHost } from './host.ts'
import { SidUse, type TranslatedAccount, type TrustInformation } from './lsa-structures.ts'
import { BUILTIN_NAME, WELL_KNOWN_DOMAINS } from './well-known-accounts.ts'

/** System users and groups by their ids, under the SIDs that Samba made for them: its data on disk has these. */
const UNIX_DOMAINS = {
  user: { name: 'Unix User', sid: 'S-1-22-1' },
  group: { name: 'Unix Group', sid: 'S-1-22-2' },
} as const
const USES = { user: SidUse.USER, group: SidUse.ALIAS } as const
const KINDS = ['user', 'group'] as const
const RELATIVE_ID = /^\d{1,10}$/

/** The domain of the accounts of this server. */
export function accountDomain(host: RpcHost): TrustInformation {
  return { name: host.serverName, sid: host.accountDomainSid }
}

/** What one call looks things up in. */
export interface Views {
  readonly accountDomain: TrustInformation
  readonly accounts: RpcAccounts
}

export function viewsOf(host: RpcHost): Views {
  return { accountDomain: accountDomain(host), accounts: host.accounts() }
}

/** @returns undefined for a SID that nobody here has */
export function translateSid(sid: Sid, views: Views): TranslatedAccount | undefined {
  const domain = domainsOf(views).find((candidate) => candidate.sid === sid)
  if (domain !== undefined && domain.name !== '') return domainItself(domain)
  const cut = sid.lastIndexOf('-')
  const prefix = sid.slice(0, cut)
  const relativeId = Number(sid.slice(cut + 1))
  for (const { name, sid, use, accounts } of WELL_KNOWN_DOMAINS) {
    const account = sid === prefix ? accounts.get(relativeId) : undefined
    if (account !== undefined)
      return { domain: { name, sid }, name: account, sid: `${sid}-${relativeId}`, use }
  }
  for (const kind of KINDS) {
    if (UNIX_DOMAINS[kind].sid === prefix) return unixAccount(views.accounts.byId(kind, relativeId))
  }
  return localAccount(views.accounts.bySid(sid), views)
}

/**
 * Takes `DOMAIN\name`, `name@DOMAIN`, a name alone, or a domain, in any case.
 * @returns undefined when nobody here has the name
 */
export function translateName(text: string, views: Views): TranslatedAccount | undefined {
  // Windows takes no name at all for the built-in domain.
  if (text === '') return findDomain(BUILTIN_NAME, views)
  const slash = text.indexOf('\\')
  if (slash > 0) return qualifiedName(text.slice(0, slash), text.slice(slash + 1), views)
  const name = text.slice(slash + 1)
  const isolated = wellKnownName(name, undefined) ?? localAccount(views.accounts.byName(name), views)
  if (isolated !== undefined) return isolated
  const at = name.lastIndexOf('@')
  return at > 0 ? qualifiedName(name.slice(at + 1), name.slice(0, at), views) : findDomain(name, views)
}

function qualifiedName(domain: string, name: string, views: Views): TranslatedAccount | undefined {
  if (name === '') return findDomain(domain, views)
  if (same(domain, views.accountDomain.name)) return localAccount(views.accounts.byName(name), views)
  for (const kind of KINDS) {
    if (same(domain, UNIX_DOMAINS[kind].name)) return unixName(kind, name, views)
  }
  return wellKnownName(name, domain)
}

function wellKnownName(name: string, domain: string | undefined): TranslatedAccount | undefined {
  for (const { name: domainName, sid, use, accounts } of WELL_KNOWN_DOMAINS) {
    if (domain !== undefined && !same(domain, domainName)) continue
    for (const [relativeId, account] of accounts) {
      if (!same(account, name)) continue
      return { domain: { name: domainName, sid }, name: account, sid: `${sid}-${relativeId}`, use }
    }
  }
  return undefined
}

/** A system user or group, or its number. */
function unixName(kind: RpcAccount['kind'], name: string, views: Views): TranslatedAccount | undefined {
  const byNumber = RELATIVE_ID.test(name) ? views.accounts.byId(kind, Number(name)) : undefined
  return unixAccount(byNumber ?? views.accounts.byUnixName(kind, name))
}

function unixAccount(account: RpcAccount | undefined): TranslatedAccount | undefined {
  if (account === undefined) return undefined
  const { kind, unixName, id } = account
  const domain = UNIX_DOMAINS[kind]
  return { domain, name: unixName, sid: `${domain.sid}-${id}`, use: USES[kind] }
}

function localAccount(account: RpcAccount | undefined, views: Views): TranslatedAccount | undefined {
  if (account === undefined) return undefined
  return { domain: views.accountDomain, name: account.name, sid: account.sid, use: USES[account.kind] }
}

function findDomain(name: string, views: Views): TranslatedAccount | undefined {
  const domain = domainsOf(views).find((candidate) => candidate.name !== '' && same(candidate.name, name))
  return domain === undefined ? undefined : domainItself(domain)
}

function domainItself({ name, sid }: TrustInformation): TranslatedAccount {
  return { domain: { name, sid }, name, sid, use: SidUse.DOMAIN }
}

function domainsOf(views: Views): readonly TrustInformation[] {
  return [views.accountDomain, ...WELL_KNOWN_DOMAINS, ...Object.values(UNIX_DOMAINS)]
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}
