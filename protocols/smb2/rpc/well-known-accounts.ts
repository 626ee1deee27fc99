/** MS-LSAT 3.1.1.1.1 and MS-DTYP 2.4.2.4: accounts that every Windows machine knows, by their domains. */

import { SidUse } from './lsa-structures.ts'

export interface WellKnownDomain {
  readonly name: string
  readonly sid: string
  readonly use: number
  /** By relative identifier. */
  readonly accounts: ReadonlyMap<number, string>
}

export const BUILTIN_NAME = 'BUILTIN'

const group = (name: string, sid: string, accounts: readonly [number, string][]): WellKnownDomain => ({
  name,
  sid,
  use: SidUse.WELL_KNOWN_GROUP,
  accounts: new Map(accounts),
})

export const WELL_KNOWN_DOMAINS: readonly WellKnownDomain[] = [
  group('', 'S-1-0', [[0, 'NULL SID']]),
  group('', 'S-1-1', [[0, 'Everyone']]),
  group('', 'S-1-2', [
    [0, 'LOCAL'],
    [1, 'CONSOLE LOGON'],
  ]),
  group('', 'S-1-3', [
    [0, 'CREATOR OWNER'],
    [1, 'CREATOR GROUP'],
    [2, 'CREATOR OWNER SERVER'],
    [3, 'CREATOR GROUP SERVER'],
    [4, 'OWNER RIGHTS'],
  ]),
  group('NT AUTHORITY', 'S-1-5', [
    [1, 'DIALUP'],
    [2, 'NETWORK'],
    [3, 'BATCH'],
    [4, 'INTERACTIVE'],
    [6, 'SERVICE'],
    [7, 'ANONYMOUS LOGON'],
    [8, 'PROXY'],
    [9, 'ENTERPRISE DOMAIN CONTROLLERS'],
    [10, 'SELF'],
    [11, 'Authenticated Users'],
    [12, 'RESTRICTED'],
    [13, 'TERMINAL SERVER USER'],
    [14, 'REMOTE INTERACTIVE LOGON'],
    [15, 'This Organization'],
    [17, 'IUSR'],
    [18, 'SYSTEM'],
    [19, 'LOCAL SERVICE'],
    [20, 'NETWORK SERVICE'],
    [113, 'Local account'],
    [114, 'Local account and member of Administrators group'],
    [1000, 'Other Organization'],
  ]),
  group('APPLICATION PACKAGE AUTHORITY', 'S-1-15-2', [
    [1, 'ALL APPLICATION PACKAGES'],
    [2, 'ALL RESTRICTED APPLICATION PACKAGES'],
  ]),
  {
    name: BUILTIN_NAME,
    sid: 'S-1-5-32',
    use: SidUse.ALIAS,
    accounts: new Map([
      [544, 'Administrators'],
      [545, 'Users'],
      [546, 'Guests'],
      [547, 'Power Users'],
      [548, 'Account Operators'],
      [549, 'Server Operators'],
      [550, 'Print Operators'],
      [551, 'Backup Operators'],
      [552, 'Replicator'],
      [555, 'Remote Desktop Users'],
      [556, 'Network Configuration Operators'],
    ]),
  },
]
