/** What is done to a valid frame to make it a bad one, as fast-check values: a seed repeats a whole run. */

import fc from 'fast-check'
import { HEADER_BYTES } from '../../../protocols/smb2/messages/header.ts'
import { framed } from './wire.ts'

const NEXT_COMMAND_OFFSET = 20
const MAX_FRAME_BYTES = 0xff_ff_ff

/** Offsets and lengths at which checks go wrong. */
const edgeNumbers = [
  0, 1, 7, 8, 63, 64, 65, 0x7f, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8,
  0xffff_ffff,
]

/** `at` is a fraction: of the frame for `truncate`, `repeat` and `header`, else of what follows its first header. */
export type Mutation =
  | { readonly kind: 'none' }
  | { readonly kind: 'truncate'; readonly at: number }
  | { readonly kind: 'extend'; readonly bytes: Uint8Array }
  | { readonly kind: 'bytes'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'header'; readonly at: number; readonly value: number }
  | { readonly kind: 'number'; readonly at: number; readonly width: 2 | 4; readonly value: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly times: number }
  | { readonly kind: 'next-command'; readonly value: number }
  | { readonly kind: 'chain'; readonly links: number }
  | { readonly kind: 'wrong-length'; readonly delta: number }
  | { readonly kind: 'oversized'; readonly length: number }

const fraction = fc.double({ min: 0, max: 1, noNaN: true })

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Mutation>({ kind: 'none' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at: fraction }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('extend' as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('bytes' as const),
      at: fraction,
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('header' as const),
      at: fraction,
      value: fc.constantFrom(...edgeNumbers),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('number' as const),
      at: fraction,
      width: fc.constantFrom(2 as const, 4 as const),
      value: fc.constantFrom(...edgeNumbers),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('repeat' as const), at: fraction, times: fc.nat(2000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('next-command' as const),
      value: fc.constantFrom(...edgeNumbers),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('chain' as const), links: fc.integer({ min: 2, max: 2000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('wrong-length' as const),
      delta: fc.integer({ min: -70, max: 70 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('oversized' as const),
      length: fc.integer({ min: 1 << 20, max: MAX_FRAME_BYTES }),
    }),
  },
)

/** One frame to send: which of the corpus, and what is done to it. */
export interface Shot {
  readonly choice: number
  readonly mutations: readonly Mutation[]
}

const shot: fc.Arbitrary<Shot> = fc.record({
  choice: fc.nat(),
  mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
})

/** The shots of one connection; the same for the same seed. */
export function shotsOf(seed: number, count: number): Shot[] {
  return fc.sample(shot, { seed, numRuns: count })
}

/** Applies mutations in turn. @returns the bytes to send, length prefix included */
export function mutate(frame: Buffer, mutations: readonly Mutation[]): Buffer {
  let bytes: Buffer = Buffer.from(frame)
  let claimed: number | undefined
  for (const change of mutations) {
    if (change.kind === 'wrong-length') {
      claimed = Math.max(0, bytes.length + change.delta)
    } else if (change.kind === 'oversized') {
      claimed = change.length
    } else {
      bytes = change.kind === 'chain' ? chain(bytes, change.links) : changed(bytes, change)
    }
  }
  return framed(bytes.subarray(0, MAX_FRAME_BYTES), claimed)
}

type SimpleMutation = Exclude<Mutation, { kind: 'wrong-length' | 'oversized' | 'chain' }>

function changed(bytes: Buffer, change: SimpleMutation): Buffer {
  switch (change.kind) {
    case 'none':
      return bytes
    case 'truncate':
      return bytes.subarray(0, Math.floor(change.at * bytes.length))
    case 'extend':
      return Buffer.concat([bytes, change.bytes])
    case 'bytes':
      bytes.set(
        change.bytes.subarray(0, bytes.length),
        position(bytes, change.at, change.bytes.length, HEADER_BYTES),
      )
      return bytes
    case 'header':
      return withNumber(bytes, Math.floor(change.at * (HEADER_BYTES - 4)), 4, change.value)
    case 'number':
      return withNumber(
        bytes,
        position(bytes, change.at, change.width, HEADER_BYTES),
        change.width,
        change.value,
      )
    case 'repeat': {
      const tail = bytes.subarray(position(bytes, change.at, 1, 0))
      const times = Math.min(change.times, Math.floor((1 << 20) / Math.max(1, tail.length)))
      return Buffer.concat([bytes, ...Array.from({ length: times }, () => tail)])
    }
    case 'next-command':
      return withNumber(bytes, NEXT_COMMAND_OFFSET, 4, change.value)
  }
}

/** A compound of many copies of the same command. */
function chain(bytes: Buffer, links: number): Buffer {
  const size = Math.ceil(bytes.length / 8) * 8
  const count = Math.min(links, Math.floor((1 << 20) / Math.max(8, size)))
  const member = Buffer.concat([bytes, Buffer.alloc(size - bytes.length)])
  return Buffer.concat([
    ...Array.from({ length: count }, () => withNumber(Buffer.from(member), NEXT_COMMAND_OFFSET, 4, size)),
    bytes,
  ])
}

function withNumber(bytes: Buffer, at: number, width: 2 | 4, value: number): Buffer {
  if (at + width <= bytes.length) {
    bytes.writeUIntLE(width === 2 ? value & 0xffff : value, at, width)
  }
  return bytes
}

/** Where in the frame, behind its first `start` bytes when it has as many and with room for `room` more. */
function position(bytes: Buffer, at: number, room: number, start: number): number {
  const first = bytes.length > start + room ? start : 0
  return Math.max(0, first + Math.floor(at * (bytes.length - room - first)))
}
