/** The links to announce on, and the watch that notices when they change. */

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import type { Cancel, Environment } from '../environment.ts'
import { whyLeftOut } from './interface-kind.ts'
import { canonicalAddress, type Link, type LinkAddress } from './link.ts'

/** A new address is announced within five seconds; asking the system costs 0.1 ms. */
const POLL_MILLISECONDS = 2000
/** A gap between two looks that only sleep explains: what others remember of us may be out of date. */
const SLEEP_MILLISECONDS = 15_000

export interface LinkSelection {
  /** Names; empty: all that `isUsual` says. */
  readonly interfaces: readonly string[]
  /** Whether something listens on that address of this host. */
  isServed(address: string): boolean
}

export type InterfaceTable = NodeJS.Dict<NetworkInterfaceInfo[]>

/** The links of a table of interfaces that have at least one address which is served. */
export function selectLinks(
  table: InterfaceTable,
  { interfaces, isServed }: LinkSelection,
  isUsual: (name: string) => boolean = (name) => whyLeftOut(name) === undefined,
): Link[] {
  return Object.entries(table).flatMap(([name, infos = []]) => {
    const isNamed = interfaces.includes(name)
    const isWanted = interfaces.length > 0 ? isNamed : infos.every((info) => !info.internal) && isUsual(name)
    if (!isWanted) return []
    const addresses = infos.map(linkAddress).filter((each) => each !== undefined)
    const served = addresses.filter(({ address }) => isServed(address))
    return served.length === 0 ? [] : [{ name, addresses: served }]
  })
}

/** All addresses of this host, canonical: who sends from one of them is no stranger. */
export function ownAddresses(table: InterfaceTable): Set<string> {
  const all = Object.values(table).flatMap((infos = []) => infos)
  return new Set(all.map((info) => canonicalAddress(info.address)).filter((each) => each !== undefined))
}

function linkAddress({ address, family, cidr }: NetworkInterfaceInfo): LinkAddress | undefined {
  const canonical = canonicalAddress(address)
  if (canonical === undefined || cidr === null) return undefined
  return {
    family: family === 'IPv4' ? 4 : 6,
    address: canonical,
    prefixLength: Number(cidr.slice(cidr.lastIndexOf('/') + 1)),
    isLinkLocal: canonical.startsWith('fe80:') || canonical.startsWith('169.254.'),
  }
}

export interface LinkState {
  readonly links: readonly Link[]
  readonly ownAddresses: ReadonlySet<string>
}

export function readLinkState(selection: LinkSelection): LinkState {
  const table = networkInterfaces()
  return { links: selectLinks(table, selection), ownAddresses: ownAddresses(table) }
}

/** Calls back when links or addresses have changed (`woke` false), or after a sleep (`woke` true). @returns how to stop */
export function watchLinks(
  environment: Environment,
  read: () => LinkState,
  first: LinkState,
  changed: (state: LinkState, woke: boolean) => void,
): Cancel {
  let known = fingerprint(first)
  let looked = environment.now()
  let cancel: Cancel
  const look = (): void => {
    cancel = environment.after(POLL_MILLISECONDS, look)
    const now = environment.now()
    const woke = now - looked > SLEEP_MILLISECONDS
    looked = now
    const state = read()
    const current = fingerprint(state)
    if (current === known && !woke) return
    known = current
    changed(state, woke)
  }
  cancel = environment.after(POLL_MILLISECONDS, look)
  return () => cancel()
}

function fingerprint(state: LinkState): string {
  return JSON.stringify([state.links, [...state.ownAddresses].sort()])
}
