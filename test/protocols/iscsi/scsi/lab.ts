/** A SCSI target over disks in RAM, and initiators that say what they want in CDBs. */

import { identityOf } from '../../../../protocols/iscsi/scsi/identity.ts'
import type { LogicalUnitOptions } from '../../../../protocols/iscsi/scsi/logical-unit.ts'
import type { PersistentRecord } from '../../../../protocols/iscsi/scsi/persistent-reservations.ts'
import { createScsiTarget } from '../../../../protocols/iscsi/scsi/target.ts'
import type { Nexus, ScsiTarget, TaskAttribute } from '../../../../protocols/iscsi/scsi/task.ts'
import { MemoryDisk } from '../../../../storage/memory/block-device.ts'

export const BLOCK = 512
export const BLOCKS = 8192
/** So much Data-In that none is cut off. */
const PLENTY = 64 * 1024 * 1024

export interface Answer {
  readonly status: number
  /** "05/2400", with "!" after a deferred one. */
  readonly sense: string | undefined
  readonly senseBytes: Buffer | undefined
  readonly data: Buffer
  readonly dataInLength: number
  readonly dataOutLength: number
}

export interface CommandOptions {
  readonly out?: Buffer | readonly Buffer[]
  readonly limit?: number
  readonly attribute?: TaskAttribute
  readonly lun?: bigint
  readonly signal?: AbortSignal
}

/** CDB bytes from hexadecimal with blanks. */
export function cdbOf(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

export const hex = (value: number | bigint, digits: number): string =>
  value.toString(16).padStart(digits, '0')

/** A CDB of a command on blocks, by its operation code's group. */
export function blockCdb(opcode: number, lba: number | bigint, blocks: number, flags = 0): string {
  const head = hex(opcode, 2) + hex(flags, 2)
  switch (opcode >> 5) {
    case 0:
      return `${hex(opcode, 2) + hex(lba, 6) + hex(blocks, 2)}00`
    case 4:
      return `${head}${hex(lba, 16)}${hex(blocks, 8)}0000`
    case 5:
      return `${head}${hex(lba, 8)}${hex(blocks, 8)}0000`
    default:
      return `${head}${hex(lba, 8)}00${hex(blocks, 4)}00`
  }
}

export class Initiator {
  readonly nexus: Nexus
  readonly #target: ScsiTarget

  constructor(target: ScsiTarget, name: string) {
    this.#target = target
    this.nexus = { initiatorPort: `iqn.2026-11.test:${name},i,0x000000000001`, relativeTargetPort: 1 }
    this.login()
  }

  login(): void {
    this.#target.attach(this.nexus)
  }

  logout(): void {
    this.#target.detach(this.nexus)
  }

  /** Takes unit attentions until none is left. */
  async clear(lun = 0n): Promise<this> {
    while ((await this.run('00 00000000 00', { lun })).sense?.startsWith('06') === true);
    return this
  }

  async run(cdb: string | Buffer, options: CommandOptions = {}): Promise<Answer> {
    const { out = [], limit = PLENTY, attribute = 'simple', lun = 0n } = options
    const result = await this.#target.execute({
      nexus: this.nexus,
      lun: lun << 48n,
      cdb: typeof cdb === 'string' ? cdbOf(cdb) : cdb,
      attribute,
      dataOut: Buffer.isBuffer(out) ? [out] : out,
      dataInLimit: limit,
      signal: options.signal ?? new AbortController().signal,
    })
    const data = Buffer.concat(result.dataIn)
    result.release?.()
    const { sense, status, dataInLength, dataOutLength } = result
    return { status, sense: senseText(sense), senseBytes: sense, data, dataInLength, dataOutLength }
  }

  /** "good", "conflict", the sense, or the status' number. */
  async outcome(cdb: string, options?: CommandOptions): Promise<string> {
    const { status, sense } = await this.run(cdb, options)
    return status === 0 ? 'good' : status === 0x18 ? 'conflict' : (sense ?? `status ${status}`)
  }

  async write(lba: number, data: Buffer): Promise<string> {
    return await this.outcome(blockCdb(0x8a, lba, data.length / BLOCK), { out: data })
  }

  async read(lba: number, blocks: number): Promise<Buffer> {
    return (await this.run(blockCdb(0x88, lba, blocks))).data
  }
}

function senseText(sense: Buffer | undefined): string | undefined {
  if (sense === undefined) return undefined
  const isFixed = ((sense[0] ?? 0) & 0x7e) === 0x70
  const [key, code, qualifier] = isFixed ? [sense[2], sense[12], sense[13]] : [sense[1], sense[2], sense[3]]
  const isDeferred = ((sense[0] ?? 0) & 1) === 1
  return `${hex(key ?? 0, 2)}/${hex(code ?? 0, 2)}${hex(qualifier ?? 0, 2)}${isDeferred ? '!' : ''}`
}

export interface SceneOptions extends Partial<Omit<LogicalUnitOptions, 'device' | 'identity'>> {
  readonly disk?: MemoryDisk
  readonly otherDisk?: MemoryDisk
  readonly records?: Map<number, PersistentRecord>
}

/** LUN 0 as the options say, LUN 3 of 4096-byte blocks. */
export async function scene(options: SceneOptions = {}) {
  const disk = options.disk ?? new MemoryDisk({ size: BLOCKS * BLOCK })
  const other = options.otherDisk ?? new MemoryDisk({ size: 1024 * 4096 })
  const records = options.records ?? new Map<number, PersistentRecord>()
  const { disk: _disk, otherDisk: _other, records: _records, ...unit } = options
  const common = { readOnly: false, removable: false, thin: true } as const
  const timers: (() => void)[] = []
  const logged: string[] = []
  const lent = new Set<Buffer>()
  const target = createScsiTarget({
    name: 'iqn.2026-11.test:target',
    units: [
      {
        ...common,
        id: 0,
        device: disk,
        identity: identityOf('test 0'),
        blockSize: 512,
        physicalBlockSize: 4096,
        ...unit,
      },
      {
        ...common,
        id: 3,
        device: other,
        identity: identityOf('test 3'),
        blockSize: 4096,
        physicalBlockSize: 4096,
      },
    ],
    relativeTargetPorts: [1, 2],
    acquire: (bytes) => {
      const buffer = Buffer.alloc(bytes, 0xee)
      lent.add(buffer)
      return { buffer, release: () => void lent.delete(buffer) }
    },
    after: (_milliseconds, run) => void timers.push(run),
    store: {
      load: (id) => records.get(id),
      save: async (id, record) => {
        if (record === undefined) records.delete(id)
        else records.set(id, JSON.parse(JSON.stringify(record)) as PersistentRecord)
      },
    },
    log: (_level, message) => void logged.push(message),
  })
  const initiator = async (name: string) => {
    const one = new Initiator(target, name)
    await one.clear()
    return await one.clear(3n)
  }
  return { target, disk, other, records, timers, logged, lent, initiator, alice: await initiator('alice') }
}
