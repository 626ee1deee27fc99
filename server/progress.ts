/** How far a stream or a copy is: bytes, rate over the last seconds, and the time that is left by it. */

import { formatSize } from './config/sizes.ts'

export interface Reading {
  readonly bytes: number
  /** As it was guessed beforehand; undefined: it was not. */
  readonly total: number | undefined
  /** Bytes per second. */
  readonly rate: number
  /** undefined: not to be told. */
  readonly secondsLeft: number | undefined
}

/** The rate is that of the last so many milliseconds. */
const WINDOW_MILLISECONDS = 10_000
const SAMPLE_MILLISECONDS = 1000

export class ProgressMeter {
  readonly #total: number | undefined
  #bytes = 0
  /** Oldest first; the first one is where the window begins. */
  #samples: { readonly at: number; readonly bytes: number }[]

  /** @param now milliseconds, of any clock that does not go back */
  constructor(total: number | undefined, now: number) {
    this.#total = total
    this.#samples = [{ at: now, bytes: 0 }]
  }

  /** @returns a reading, once a second has passed since the last one */
  add(count: number, now: number): Reading | undefined {
    this.#bytes += count
    const last = this.#samples.at(-1)
    if (last !== undefined && now - last.at < SAMPLE_MILLISECONDS) return undefined
    this.#samples.push({ at: now, bytes: this.#bytes })
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > WINDOW_MILLISECONDS) {
      this.#samples.shift()
    }
    return this.reading(now)
  }

  reading(now: number): Reading {
    const first = this.#samples[0] ?? { at: now, bytes: 0 }
    const seconds = (now - first.at) / 1000
    const rate = seconds > 0 ? (this.#bytes - first.bytes) / seconds : 0
    const left = this.#total === undefined ? undefined : Math.max(0, this.#total - this.#bytes)
    return {
      bytes: this.#bytes,
      total: this.#total,
      rate,
      secondsLeft: left === undefined || rate === 0 ? undefined : left / rate,
    }
  }
}

/** `1.2 GiB of 10 GiB, 110 MiB/s, 1 min 20 s left`. */
export function progressLine({ bytes, total, rate, secondsLeft }: Reading): string {
  const of = total === undefined ? '' : ` of ${formatSize(Math.max(total, bytes))}`
  const left = secondsLeft === undefined ? '' : `, ${formatDuration(secondsLeft)} left`
  return `${formatSize(bytes)}${of}, ${formatSize(Math.round(rate))}/s${left}`
}

export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
