/** The part of the package buffer-layout (which has no types) that the tables here use. */

declare module 'buffer-layout' {
  export class Layout<T> {
    /** @param span bytes; negative when it varies */
    constructor(span: number, property?: string)
    readonly span: number
    readonly property: string
    decode(buffer: Uint8Array, offset?: number): T
    /** Returns the bytes written. */
    encode(value: T, buffer: Uint8Array, offset?: number): number
  }
  export function u16(property?: string): Layout<number>
  export function u32(property?: string): Layout<number>
  export function u8(property?: string): Layout<number>
  export function u16be(property?: string): Layout<number>
  export function u32be(property?: string): Layout<number>
  export function s32be(property?: string): Layout<number>
  /** Decodes to a view. Encodes exactly `length` bytes. */
  export function blob(length: number, property?: string): Layout<Buffer>
  export function struct<T>(fields: readonly Layout<unknown>[], property?: string): Layout<T>
}
