/** The kinds of values the configuration has, as zod schemas whose messages say what is allowed. */

import * as z from 'zod'
import { LISTEN_FORMS, parseAddressRange, parseListenAddress, RANGE_FORMS } from './addresses.ts'
import { PLACE_FORMS, parsePlace } from './places.ts'
import { parseSize, SIZE_FORMS } from './sizes.ts'

const MODE_MAXIMUM = 0o7777
const SHOWN_CHARACTERS = 60

/** Writes a value as the file would, shortened. */
export function show(value: unknown): string {
  const text =
    value !== null && typeof value === 'object'
      ? Array.isArray(value)
        ? 'an array'
        : 'a table'
      : (JSON.stringify(value) ?? String(value))
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text
}

/** A single value: `parse` returns undefined for what it does not take, `allowed` says what it takes. */
function leaf<T>(allowed: string, parse: (value: unknown) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const parsed = parse(value)
    if (parsed !== undefined) return parsed
    const fault = value === undefined ? 'is missing' : `${show(value)} is not allowed`
    context.addIssue({ code: 'custom', message: `${fault}; ${allowed}` })
    return z.NEVER
  })
}

/** Text that matches `pattern`. */
export function text(allowed: string, pattern: RegExp) {
  return leaf(allowed, (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined))
}

/** One of some words. */
export function choice<const T extends string>(...words: readonly T[]) {
  const allowed = `use ${words.map((word) => `"${word}"`).join(' or ')}`
  return leaf(allowed, (value) => words.find((word) => word === value))
}

/** `true` or `false`. */
export function flag() {
  return leaf('use true or false', (value) => (typeof value === 'boolean' ? value : undefined))
}

/** A whole number within bounds, both included. */
export function count(minimum: number, maximum: number) {
  return leaf(`use a whole number from ${minimum} to ${maximum}`, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum
      ? value
      : undefined,
  )
}

/** A size above zero, in bytes. */
export function size() {
  return leaf(SIZE_FORMS, (value) => parseSize(value) || undefined)
}

/** An offset or size that may be zero, in bytes. */
export function sizeOrZero() {
  return leaf(SIZE_FORMS, parseSize)
}

/** POSIX permission bits, written as octal digits in a string. */
export function mode() {
  return leaf('use octal digits in quotes, such as "0600"', (value) => {
    if (typeof value !== 'string' || !/^[0-7]{3,5}$/.test(value)) return undefined
    const bits = Number.parseInt(value, 8)
    return bits <= MODE_MAXIMUM ? bits : undefined
  })
}

/** A dataset of this machine or another. */
export function replicationPlace() {
  return leaf(PLACE_FORMS, parsePlace)
}

/** An address and port to listen on. */
export function listenAddress() {
  return leaf(LISTEN_FORMS, parseListenAddress)
}

/** An address or CIDR range. */
export function addressRange() {
  return leaf(RANGE_FORMS, parseAddressRange)
}

/** A path; relative ones count from the configuration file's folder. */
export function path() {
  return text('use a path in quotes', /^[^\0]+$/)
}

/** An array of values, empty when the key is absent. */
export function list<T extends z.ZodType>(item: T) {
  return z
    .array(item, { error: (issue) => `${show(issue.input)} is not allowed; use an array: [ ... ]` })
    .default([])
}
