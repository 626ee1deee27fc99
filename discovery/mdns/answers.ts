/** Which records answer a query: RFC 6762 6, 6.1, 7.1 and RFC 6763 12. Pure. */

import { nameKey, recordKey, sameName } from './compare.ts'
import { isInternet, type Question, type ResourceRecord } from './packet.ts'
import { negativeRecord, type OwnRecord, type Zone } from './zone.ts'

/** The records that answer one question; that a type does not exist is an answer as well. */
export function answersTo(question: Question, zone: Zone): OwnRecord[] {
  if (!isInternet(question)) return []
  const ofName = zone.records.filter((record) => sameName(record.name, question.name))
  const answers = ofName.filter((record) => question.type === 'ANY' || record.type === question.type)
  if (answers.length > 0 || ofName.length === 0) return answers
  const negative = negativeRecord(zone, question.name)
  return negative === undefined ? [] : [negative]
}

/** RFC 6762 7.1: what the asker says it knows is left out, unless half of its time is over. */
export function withoutKnown(answers: readonly OwnRecord[], known: readonly ResourceRecord[]): OwnRecord[] {
  if (known.length === 0) return [...answers]
  const fresh = new Map(known.map((record) => [recordKey(record), record.ttl ?? 0]))
  return answers.filter((answer) => (fresh.get(recordKey(answer)) ?? 0) < answer.ttl / 2)
}

/** RFC 6763 12: what the asker will want to know next, so that it need not ask. */
export function additionalsFor(answers: readonly OwnRecord[], zone: Zone): OwnRecord[] {
  const found = new Map<string, OwnRecord>()
  const add = (records: readonly OwnRecord[]): void => {
    for (const record of records) found.set(recordKey(record), record)
  }
  for (const answer of answers) {
    if (answer.type === 'PTR' && typeof answer.data === 'string') add(detailsOf(answer.data, zone))
    if (answer.type === 'SRV') add(hostRecords(zone))
    if (answer.type === 'A' || answer.type === 'AAAA') add(hostRecords(zone))
  }
  for (const answer of answers) found.delete(recordKey(answer))
  return [...found.values()]
}

function detailsOf(instance: string, zone: Zone): OwnRecord[] {
  const details = zone.records.filter(
    (record) => sameName(record.name, instance) && (record.type === 'SRV' || record.type === 'TXT'),
  )
  return details.length === 0 ? [] : [...details, ...hostRecords(zone)]
}

/** The addresses, and that there are no others. */
function hostRecords(zone: Zone): OwnRecord[] {
  const addresses = zone.records.filter((record) => nameKey(record.name) === nameKey(zone.host))
  const negative = negativeRecord(zone, zone.host)
  return negative === undefined ? addresses : [...addresses, negative]
}
