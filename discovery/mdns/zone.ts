/** The records of one link: RFC 6763 4 to 7 for the services, RFC 6762 6.1 and 10 for the rest. Pure. */

import bonjour from 'bonjour-service'
import type { LinkAddress } from '../network/link.ts'
import type { Service } from '../services.ts'
import { nameKey } from './compare.ts'
import type { ResourceRecord } from './packet.ts'

/** RFC 6762 10: records that name a host, and all others. Seconds. */
const HOST_TTL = 120
const OTHER_TTL = 4500
const HOST_TYPES = ['A', 'AAAA', 'SRV']
/** Records that several hosts may have under one name. */
const SHARED_TYPES = ['PTR']

/** A record that we answer with. */
export interface OwnRecord extends ResourceRecord {
  readonly ttl: number
  /** Nobody else may have a record of this name: it is probed for, and flushes caches. */
  readonly flush: boolean
}

export interface ZoneContent {
  /** Instance name of all services, and the host's name without `.local`. */
  readonly name: string
  readonly services: readonly Service[]
  /** Empty where another responder of this machine answers for the host's name. */
  readonly addresses: readonly LinkAddress[]
}

export interface Zone {
  readonly host: string
  readonly records: readonly OwnRecord[]
  /** Names that are this server's alone, as they are compared. */
  readonly uniqueNames: ReadonlySet<string>
}

/**
 * bonjour-service makes the PTR, SRV and TXT records of a service; what it does not: the addresses of one link alone,
 * port 0, an empty TXT record of one zero byte (RFC 6763 6.1), the TTLs of the RFC, the cache-flush bit.
 */
class LinkService extends bonjour.Service {
  constructor(name: string, host: string, { type, port, txt }: Service) {
    const config = {
      name,
      type,
      port: port === 0 ? 1 : port,
      protocol: 'tcp' as const,
      host,
      txt,
      disableIPv6: true,
    }
    const notPublished = (): void => undefined
    super(config, notPublished, notPublished)
    // Refused by the constructor, and right for a service that is no connection (_device-info).
    this.port = port
  }

  ownRecords(): OwnRecord[] {
    return this.records()
      .filter(({ type }) => type !== 'A' && type !== 'AAAA')
      .map((record) => ownRecord(record.name, record.type, emptyText(record)))
  }
}

function emptyText({ type, data }: { type: string; data: unknown }): NonNullable<ResourceRecord['data']> {
  const strings = data as NonNullable<ResourceRecord['data']>
  return type === 'TXT' && Array.isArray(strings) && strings.length === 0 ? [Buffer.alloc(0)] : strings
}

function ownRecord(name: string, type: string, data: NonNullable<ResourceRecord['data']>): OwnRecord {
  const ttl = HOST_TYPES.includes(type) ? HOST_TTL : OTHER_TTL
  return { name, type, ttl, data, flush: !SHARED_TYPES.includes(type) }
}

/** All records for one link. */
export function makeZone({ name, services, addresses }: ZoneContent): Zone {
  const host = `${name}.local`
  const records = [
    ...services.flatMap((service) => new LinkService(name, host, service).ownRecords()),
    ...addresses.map(({ family, address }) => ownRecord(host, family === 4 ? 'A' : 'AAAA', address)),
  ]
  const unique = records.filter((record) => record.flush).map((record) => nameKey(record.name))
  return { host, records, uniqueNames: new Set(unique) }
}

/** RFC 6762 6.1: says which types a name of ours has, so that nobody waits for the others. */
export function negativeRecord(zone: Zone, name: string): OwnRecord | undefined {
  const own = zone.records.filter((record) => nameKey(record.name) === nameKey(name) && record.flush)
  const [first] = own
  if (first === undefined) return undefined
  const rrtypes = [...new Set(own.map((record) => record.type))]
  const ttl = Math.min(...own.map((record) => record.ttl))
  return { name: first.name, type: 'NSEC', ttl, data: { nextDomain: first.name, rrtypes }, flush: true }
}
