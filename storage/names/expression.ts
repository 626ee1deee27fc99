/** MS-FSA 2.1.4.4: whether a name is in an expression with the wildcards of FsRtlIsNameInExpression. */

import { StorageError } from '../errors.ts'
import { foldKey, upcaseUnit } from './fold.ts'

/** Longest expression, in UTF-16 units; the time a match takes is at most this times the name's length. */
export const MAXIMUM_EXPRESSION_UNITS = 512

export type NameMatcher = (name: string) => boolean

/** "Matches zero or more characters." */
const STAR = 0x2a
/** "Matches a single character." */
const QUESTION_MARK = 0x3f
/** '<': "matches zero or more characters until encountering and matching the final . in the name". */
const DOS_STAR = 0x3c
/** '>': "matches any single character or, upon encountering a period or end of name string, advances". */
const DOS_QM = 0x3e
/** '"': "matches either a period or zero characters beyond the name string". */
const DOS_DOT = 0x22
const PERIOD = 0x2e

/** Stands for the end of the name where a unit is expected. */
const END = -1

/** Whether an expression has any wildcard; one without is a plain name. */
export function isWild(expression: string): boolean {
  return /[*?<>"]/.test(expression)
}

/**
 * Makes a matcher of an expression; case is ignored. An empty expression matches nothing.
 * @throws StorageError 'name-invalid' when it is longer than MAXIMUM_EXPRESSION_UNITS
 */
export function compile(expression: string): NameMatcher {
  if (expression.length > MAXIMUM_EXPRESSION_UNITS)
    throw new StorageError('name-invalid', 'expression too long')
  if (expression === '*') return () => true
  if (!isWild(expression)) {
    const key = foldKey(expression)
    return (name) => key !== '' && foldKey(name) === key
  }
  const symbols = Uint16Array.from(expression.replace(/\*+/g, '*'), (symbol) =>
    upcaseUnit(symbol.charCodeAt(0)),
  )
  return (name) => matches(symbols, name)
}

/**
 * Runs the expression as an automaton whose states are its positions, all of them at once:
 * no backtracking, so no expression makes it slow.
 */
function matches(symbols: Uint16Array, name: string): boolean {
  let states = new Uint8Array(symbols.length + 1)
  let next = new Uint8Array(symbols.length + 1)
  states[0] = 1
  const finalPeriod = name.lastIndexOf('.')
  for (let at = 0; at < name.length; at++) {
    const unit = upcaseUnit(name.charCodeAt(at))
    next.fill(0)
    if (!step(symbols, states, next, unit, at === finalPeriod)) return false
    const spare = states
    states = next
    next = spare
  }
  skipEmpty(symbols, states)
  return states[symbols.length] === 1
}

/** Moves every state over one unit of the name. Returns whether any is left. */
function step(
  symbols: Uint16Array,
  states: Uint8Array,
  next: Uint8Array,
  unit: number,
  isFinalPeriod: boolean,
): boolean {
  let any = false
  for (let state = 0; state < symbols.length; state++) {
    if (states[state] === 0) continue
    const symbol = symbols[state] as number
    if (matchesNothingAt(symbol, unit)) states[state + 1] = 1
    if (consumesAndStays(symbol, isFinalPeriod)) {
      next[state] = 1
      any = true
    } else if (consumesAndAdvances(symbol, unit)) {
      next[state + 1] = 1
      any = true
    }
  }
  return any
}

/** At the end of the name: states before wildcards that may match nothing move past them. */
function skipEmpty(symbols: Uint16Array, states: Uint8Array): void {
  for (let state = 0; state < symbols.length; state++) {
    if (states[state] === 1 && matchesNothingAt(symbols[state] as number, END)) states[state + 1] = 1
  }
}

function matchesNothingAt(symbol: number, unit: number): boolean {
  if (symbol === STAR || symbol === DOS_STAR) return true
  if (symbol === DOS_QM) return unit === END || unit === PERIOD
  return symbol === DOS_DOT && unit === END
}

function consumesAndStays(symbol: number, isFinalPeriod: boolean): boolean {
  return symbol === STAR || (symbol === DOS_STAR && !isFinalPeriod)
}

function consumesAndAdvances(symbol: number, unit: number): boolean {
  if (symbol === QUESTION_MARK) return true
  if (symbol === DOS_QM) return unit !== PERIOD
  if (symbol === DOS_DOT) return unit === PERIOD
  return symbol !== DOS_STAR && symbol === unit
}
