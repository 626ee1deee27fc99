/** Turns what is wrong with a configuration into lines for people: file, line, key, fault, what to do. */

import * as z from 'zod'
import type { KeyLines, KeyPath } from './locate.ts'
import { fileSchema } from './schema.ts'
import { nearest } from './suggest.ts'
import type { ConfigurationProblem } from './types.ts'

/** `FILE:LINE: key: message` */
export function formatProblem(problem: ConfigurationProblem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`
  return problem.key === '' ? `${place}: ${problem.message}` : `${place}: ${problem.key}: ${problem.message}`
}

/** Makes a problem of a message about a key. */
export function problemAt(
  file: string,
  lines: KeyLines,
  path: KeyPath,
  message: string,
): ConfigurationProblem {
  const key = path.filter((part) => typeof part === 'string').join('.')
  return { file, line: lines.lineOf(path), key, message }
}

/** Turns zod's issues into problems; an unknown key gets the nearest known one. */
export function problemsOf(
  file: string,
  lines: KeyLines,
  issues: readonly z.core.$ZodIssue[],
): ConfigurationProblem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((part) => typeof part !== 'symbol')
    if (issue.code !== 'unrecognized_keys') return [problemAt(file, lines, path, issue.message)]
    return issue.keys.map((key) => problemAt(file, lines, [...path, key], unknownKey(path, key)))
  })
}

function unknownKey(path: KeyPath, key: string): string {
  const known = Object.keys(shapeAt(path) ?? {})
  const near = nearest(key, known)
  if (near !== undefined) return `unknown key; did you mean "${near}"?`
  const home = tablesWith(key)
  if (home.length > 0) return `unknown key here; it belongs in ${home.join(' or ')}`
  return `unknown key; known here: ${known.join(', ')}`
}

/** Tables of the first level that have the key. */
function tablesWith(key: string): string[] {
  return Object.entries(fileSchema.shape).flatMap(([table, schema]) => {
    const isArray = schema.def.type === 'default'
    return key in (shapeAt([table]) ?? {}) ? [isArray ? `[[${table}]]` : `[${table}]`] : []
  })
}

/** The keys that the schema has at a place in the file. */
function shapeAt(path: KeyPath): Readonly<Record<string, z.ZodType>> | undefined {
  let schema: unknown = fileSchema
  for (const part of path) {
    if (typeof part === 'number') continue
    schema = unwrap(schema)
    if (!(schema instanceof z.ZodObject)) return undefined
    schema = (schema.shape as Record<string, z.ZodType>)[part]
  }
  const inner = unwrap(schema)
  return inner instanceof z.ZodObject ? (inner.shape as Record<string, z.ZodType>) : undefined
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return unwrap(schema.unwrap())
  }
  return schema instanceof z.ZodArray ? unwrap(schema.element) : schema
}
