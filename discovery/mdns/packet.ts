/** DNS messages as multicast-dns (the transport of bonjour-service) decodes and encodes them, RFC 1035 4 with RFC 6762 18. */

export type RecordData =
  | string
  | { readonly port: number; readonly target: string; readonly priority?: number; readonly weight?: number }
  | { readonly nextDomain: string; readonly rrtypes: readonly string[] }
  | readonly Buffer[]
  | Buffer

export interface ResourceRecord {
  readonly name: string
  /** `A`, `SRV`, ...; `UNKNOWN_n` for what the codec does not know. */
  readonly type: string
  readonly class?: string
  /** Seconds; 0: goodbye. */
  readonly ttl?: number
  readonly data?: RecordData
  /** RFC 6762 10.2: the cache-flush bit; set on records that nobody else may have. */
  readonly flush?: boolean
}

export interface Question {
  readonly name: string
  readonly type: string
  readonly class?: string
}

export interface Packet {
  readonly id?: number
  readonly type?: string
  readonly flag_tc?: boolean
  readonly opcode?: string
  readonly questions: readonly Question[]
  readonly answers: readonly ResourceRecord[]
  readonly authorities: readonly ResourceRecord[]
  readonly additionals: readonly ResourceRecord[]
}

/** Who sent a packet, or is to get one. */
export interface Sender {
  readonly address: string
  readonly port: number
}

export const MDNS_PORT = 5353
/** RFC 6762 5.4: the top bit of a question's class asks for a unicast answer; the codec shows it as an unknown class. */
const UNICAST_CLASSES = ['UNKNOWN_32769', 'UNKNOWN_33023']

export function wantsUnicast(question: Question): boolean {
  return UNICAST_CLASSES.includes(question.class ?? '')
}

/** Of class IN or ANY, with or without the bit for unicast. */
export function isInternet({ class: name = 'IN' }: Question): boolean {
  return name === 'IN' || name === 'ANY' || UNICAST_CLASSES.includes(name)
}

/**
 * RFC 6762 17: a message fits one Ethernet frame when it can: 1500 bytes less IPv6 and UDP headers, with room for
 * what the estimate leaves out.
 */
const PACKET_BYTES = 1400
const RECORD_HEAD_BYTES = 10
const NAME_END_BYTES = 2

/** About how many bytes the codec makes of a record: it does not compress names. */
export function recordBytes(record: ResourceRecord): number {
  return Buffer.byteLength(record.name) + NAME_END_BYTES + RECORD_HEAD_BYTES + dataBytes(record.data)
}

function dataBytes(data: RecordData | undefined): number {
  if (data === undefined) return 0
  if (typeof data === 'string') return Buffer.byteLength(data) + NAME_END_BYTES
  if (Buffer.isBuffer(data)) return data.length
  if ('target' in data) return 6 + Buffer.byteLength(data.target) + NAME_END_BYTES
  if ('nextDomain' in data) return Buffer.byteLength(data.nextDomain) + NAME_END_BYTES + 34
  return (data as readonly Buffer[]).reduce((sum, text) => sum + 1 + text.length, 0)
}

/** Cuts records into messages; one that is larger than a message goes alone, in fragments. */
export function intoMessages<T extends ResourceRecord>(records: readonly T[], used = 0): T[][] {
  const messages: T[][] = []
  let left = 0
  for (const record of records) {
    const size = recordBytes(record)
    const current = messages.at(-1)
    if (current === undefined || size > left) {
      messages.push([record])
      left = PACKET_BYTES - used - size
    } else {
      current.push(record)
      left -= size
    }
  }
  return messages
}

/** As many of these as still fit beside what is in a message already. */
export function thatFit(
  records: readonly ResourceRecord[],
  beside: readonly ResourceRecord[],
): ResourceRecord[] {
  let left = PACKET_BYTES - beside.reduce((sum, record) => sum + recordBytes(record), 0)
  return records.filter((record) => {
    left -= recordBytes(record)
    return left >= 0
  })
}
