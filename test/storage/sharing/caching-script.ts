/** A file in a node table and those who cache it, told as scripts: opens are letters, states "RWH". */

import {
  Caching,
  type CachingKind,
  type CachingState,
  levelOf,
  type Operation,
  type OplockLevel,
} from '../../../storage/sharing/caching.ts'
import { NodeTable } from '../../../storage/sharing/node-table.ts'
import {
  type CachingOpen,
  type Check,
  type Oplock,
  type OplockKey,
  Oplocks,
} from '../../../storage/sharing/oplocks.ts'
import { GrantedAccess, ShareMode } from '../../../storage/sharing/share-access.ts'

export const ROOT = {}
export const TARGET = { volumeId: 1n, fileId: 1n }
const SHARE_ALL = ShareMode.read | ShareMode.write | ShareMode.delete

export interface NamedOpen extends CachingOpen {
  readonly name: string
}

const LETTERS = [
  [Caching.read, 'R'],
  [Caching.write, 'W'],
  [Caching.handle, 'H'],
] as const

/** "RWH" */
export function letters(held: number): string {
  return LETTERS.map(([bit, letter]) => ((held & bit) === 0 ? '' : letter)).join('')
}

export function bits(text: string): number {
  return LETTERS.reduce((sum, [bit, letter]) => (text.includes(letter) ? sum | bit : sum), 0)
}

/** "RWH>RH": asked to break to RH; "RWH>RH>R": and needed to break to R by now. An oplock has levels instead. */
export function text(kind: CachingKind, { held, breaking }: CachingState): string {
  const word = kind === 'lease' ? letters : levelOf
  if (breaking === undefined) return word(held)
  const { to, required } = breaking
  return [held, to, ...(required === to ? [] : [required])].map(word).join('>')
}

interface OpenFields {
  /** Attributes only. */
  readonly stat?: boolean
  /** Attributes and READ_CONTROL. */
  readonly control?: boolean
  readonly stream?: string
  readonly parent?: string
}

/** A file and those who open it by letters; what happens is kept as a transcript. */
export class Script {
  readonly oplocks = new Oplocks<NamedOpen>()
  readonly nodes = new NodeTable<NamedOpen>([this.oplocks])
  readonly opens = new Map<string, NamedOpen>()
  readonly #directory: boolean

  constructor(directory = false) {
    this.#directory = directory
  }

  #attach(name: string, fields: OpenFields, oplockKey: OplockKey | undefined) {
    const attributesOnly = fields.stat === true
    const open: NamedOpen = {
      ...{ name, attributesOnly, metadataOnly: attributesOnly || fields.control === true },
      ...{ isDirectory: this.#directory, oplockKey, parentOplockKey: fields.parent },
      ...{ access: attributesOnly ? 0 : GrantedAccess.read | GrantedAccess.write },
      ...{ share: SHARE_ALL, root: ROOT, path: 'file' },
    }
    const { stream } = fields
    const node = this.nodes.attach({ ...TARGET, ...(stream !== undefined && { stream }) }, open)
    this.opens.set(name, open)
    return { open, node }
  }

  open(name: string, wanted: OplockLevel, fields: OpenFields = {}): OplockLevel {
    const { open, node } = this.#attach(name, fields, undefined)
    return levelOf(this.oplocks.request(node, open, wanted)?.state.held ?? 0)
  }

  /** With the lease of a key, "A" of "A1", "A2". @returns the state, with "+" when it was made or grew */
  lease(name: string, wanted: string, fields: OpenFields = {}): string {
    const { open, node } = this.#attach(name, fields, { client: 'one', key: name[0] ?? '' })
    const { oplock, upgraded } = this.oplocks.requestLease(node, open, bits(wanted))
    return text('lease', oplock.state) + (upgraded ? '+' : '')
  }

  /** "A>II? B>none": A is asked for an acknowledgment, B is told; "(A)": it waits for A. */
  check(operation: Operation, by?: string): string {
    const stream = this.nodes.findStream(TARGET)
    if (stream === undefined) throw new Error('nothing is open')
    return transcript(this.oplocks.check(stream, operation, by === undefined ? undefined : this.get(by)))
  }

  /** The result, and what is broken further. */
  acknowledge(name: string, level: string): string {
    const oplock = this.oplocks.oplockOf(this.get(name))
    if (oplock === undefined) return 'not-held'
    const { result, breaks } =
      oplock.kind === 'lease'
        ? this.oplocks.acknowledge(oplock, bits(level))
        : this.oplocks.acknowledgeLevel(this.get(name), level as OplockLevel)
    return [result, transcript({ breaks, waitFor: [] })].filter((part) => part !== '').join(' ')
  }

  expire(name: string): void {
    const oplock = this.oplocks.oplockOf(this.get(name))
    if (oplock !== undefined) this.oplocks.expire(oplock)
  }

  close(name: string): void {
    this.nodes.detach(this.get(name))
    this.opens.delete(name)
  }

  get(name: string): NamedOpen {
    const open = this.opens.get(name)
    if (open === undefined) throw new Error(`${name} is not open`)
    return open
  }

  stateOf(name: string): string {
    const oplock = this.oplocks.oplockOf(this.get(name))
    return oplock === undefined ? 'none' : text(oplock.kind, oplock.state)
  }

  heldBy(open: NamedOpen): number {
    return this.oplocks.oplockOf(open)?.state.held ?? 0
  }

  /** "A=batch B=none" */
  get states(): string {
    return [...this.opens.keys()].map((name) => `${name}=${this.stateOf(name)}`).join(' ')
  }
}

/** Who holds it. */
function nameOf({ key, opens }: Oplock<NamedOpen>): string {
  return key?.key ?? [...opens][0]?.name ?? ''
}

export function transcript({ breaks, waitFor }: Check<NamedOpen>): string {
  const told = breaks.map(({ oplock, to, acknowledges }) => {
    const word = oplock.kind === 'lease' ? letters(to) : levelOf(to)
    return `${nameOf(oplock)}>${word}${acknowledges ? '?' : ''}`
  })
  return [...told, ...waitFor.map((oplock) => `(${nameOf(oplock)})`)].join(' ')
}
