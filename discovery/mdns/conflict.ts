/** Whether someone else claims a name of ours: RFC 6762 8.1, 8.2 and 9. Pure. */

import { canonicalAddress } from '../network/link.ts'
import { compareRecordSets, nameKey, recordKey, sameName } from './compare.ts'
import type { Packet, ResourceRecord } from './packet.ts'
import type { Zone } from './zone.ts'

/** Whether an address is one of this machine. */
export type IsOwnAddress = (address: string) => boolean

/** `A` and `AAAA` of this machine, whoever says them: another link's, or another responder's beside us, is no conflict. */
export function isOwnHostRecord(record: ResourceRecord, isOwn: IsOwnAddress): boolean {
  const { type, data } = record
  if ((type !== 'A' && type !== 'AAAA') || typeof data !== 'string') return false
  const address = canonicalAddress(data)
  return address !== undefined && isOwn(address)
}

/**
 * The record of a response that shows that a name of ours is another's.
 * @param anyType while probing, one of any type is enough; later it must have the type of one of ours
 */
export function conflictIn(
  packet: Packet,
  zone: Zone,
  isOwn: IsOwnAddress,
  anyType: boolean,
): ResourceRecord | undefined {
  const ours = new Set(zone.records.map(recordKey))
  return [...packet.answers, ...packet.additionals].find((record) => {
    if ((record.ttl ?? 0) === 0 || record.type === 'NSEC' || (record.class ?? 'IN') !== 'IN') return false
    if (!zone.uniqueNames.has(nameKey(record.name))) return false
    if (ours.has(recordKey(record)) || isOwnHostRecord(record, isOwn)) return false
    return anyType || zone.records.some((own) => own.type === record.type && sameName(own.name, record.name))
  })
}

/**
 * RFC 6762 8.2: two probe for the same name at the same time, and the one whose records come later wins. Where both
 * claim the host's name, that decides for all names: an instance's records can be the same on both, and to lose one name
 * while winning another would have both wait for ever.
 *
 * @returns whether we lose
 */
export function losesTieBreak(probe: Packet, zone: Zone, isOwn: IsOwnAddress): boolean {
  const names = [...zone.uniqueNames].filter((name) =>
    probe.authorities.some((one) => sameName(one.name, name)),
  )
  const host = nameKey(zone.host)
  const deciding = names.includes(host) && !isNeighbourProbe(probe, zone, isOwn) ? [host] : names
  return deciding.some((name) => {
    const theirs = probe.authorities.filter((record) => sameName(record.name, name))
    if (theirs.every((record) => isOwnHostRecord(record, isOwn))) return false
    const ours = zone.records.filter((record) => sameName(record.name, name) && record.flush)
    return compareRecordSets(ours, theirs) < 0
  })
}

/** Another responder of this machine probes for the host's name, with addresses of this machine. */
export function isNeighbourProbe(probe: Packet, zone: Zone, isOwn: IsOwnAddress): boolean {
  const claimed = probe.authorities.filter((record) => sameName(record.name, zone.host))
  return claimed.length > 0 && claimed.every((record) => isOwnHostRecord(record, isOwn))
}

/** The records by which another responder of this machine answers for the host's name. */
export function neighbourRecords(packet: Packet, host: string, isOwn: IsOwnAddress): ResourceRecord[] {
  return [...packet.answers, ...packet.additionals].filter(
    (record) => sameName(record.name, host) && isOwnHostRecord(record, isOwn),
  )
}
