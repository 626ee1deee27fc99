/** What a micro row measures: one function of ours in this process, at one size or at three. */

/** One size of a micro row. */
export interface MicroSize {
  /** As it is shown: "10,000", "64 KiB". */
  readonly label: string
  /** Bytes that one call works on; undefined: only calls are counted. */
  readonly bytes?: number
  /** Sets out what the function works on. @returns the function, which can be called any number of times */
  prepare(): MicroSubject | Promise<MicroSubject>
}

export interface MicroSubject {
  /** Is called once before the measurement. @throws Error when it does not do what it is measured for */
  readonly check?: () => void
  readonly call: () => void
  readonly end?: () => void
}

export interface Micro {
  readonly name: string
  readonly sizes: readonly MicroSize[]
  /** Whether a call must cost about the same at all sizes. */
  readonly isFlat: boolean
}

/** Nanoseconds of a call, by size; each round looks at all sizes. */
export interface MicroRow {
  readonly name: string
  readonly isFlat: boolean
  readonly sizes: readonly {
    readonly label: string
    readonly bytes?: number
    readonly nanoseconds: readonly number[]
  }[]
}

/** Sizes of tables: as large, 10 and 100 times as large. */
export const TABLE_SIZES = [1_000, 10_000, 100_000] as const

export function countLabel(count: number): string {
  return count.toLocaleString('en-US')
}

/** @throws Error with this text */
export function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise)
}
