/** MS-SMB2 3.3.5.9, MS-FSCC 2.1.5: from the name of a CREATE Request to a path and a stream. Pure. */

import { toClient, toNative } from '../../../../storage/names/sfm.ts'
import { componentError, streamNameError } from '../../../../storage/names/valid.ts'
import { type NtStatus, Status } from '../../status.ts'

/** MS-FSCC 2.1.5: "a pathname ... MUST be no more than 32,760 characters". */
const MAXIMUM_PATH_UNITS = 32_760
/** Types of attributes that can be named: a file's data, and a directory's index, which is the directory itself. */
const TYPE_DATA = '$DATA'
const TYPE_INDEX = '$INDEX_ALLOCATION'

/** Windows takes '\\' alone; Samba takes '/' too, and smbtorture and some libraries count on that. */
const SEPARATORS = /[\\/]/

export interface ParsedName {
  /** Components separated by '/', as storage wants them; '' for the share's root. */
  readonly path: string
  /** Name of a named stream; '' for the file itself. */
  readonly stream: string
  /** `dir::$INDEX_ALLOCATION` means the directory, `file::$DATA` the data of a file. */
  readonly unnamedType: 'index' | 'data' | undefined
}

/** @returns the status that refuses the name, when it cannot be one */
export function parseName(name: string): ParsedName | NtStatus {
  if (name === '') return { path: '', stream: '', unnamedType: undefined }
  // 3.3.5.9: a name that begins with a separator is not relative to the share.
  if (name.startsWith('\\')) return Status.INVALID_PARAMETER
  if (name.length > MAXIMUM_PATH_UNITS) return Status.OBJECT_NAME_INVALID
  const components = resolveUpward(name.split(SEPARATORS))
  if (components === undefined) return Status.OBJECT_PATH_SYNTAX_BAD
  const last = components.pop() ?? ''
  if (last === '' && components.length === 0) return { path: '', stream: '', unnamedType: undefined }
  const colon = last.indexOf(':')
  const fileName = colon < 0 ? last : last.slice(0, colon)
  for (const component of components) {
    if (component === '.') return Status.OBJECT_PATH_SYNTAX_BAD
    if (componentError(component) !== undefined) return Status.OBJECT_NAME_INVALID
  }
  if (fileName === '.') return Status.OBJECT_PATH_SYNTAX_BAD
  // ':stream' alone is a stream of the root directory.
  const isRootStream = fileName === '' && components.length === 0 && colon === 0
  if (!isRootStream && componentError(fileName) !== undefined) return Status.OBJECT_NAME_INVALID
  const path = isRootStream ? '' : [...components, fileName].join('/')
  return colon < 0 ? { path, stream: '', unnamedType: undefined } : withStream(path, last.slice(colon + 1))
}

/**
 * `a\\..\\b` is `b`, whether `a` exists or not: clients do this themselves, but smbtorture leaves it to the server.
 * @returns undefined when it leads out of the share
 */
function resolveUpward(components: readonly string[]): string[] | undefined {
  const resolved: string[] = []
  for (const component of components) {
    if (component !== '..') resolved.push(component)
    else if (resolved.pop() === undefined) return undefined
  }
  return resolved
}

/**
 * POSIX-SMB2: the name of an open with POSIX' rules: '/' separates, and all else may be part of a name, so that there
 * are no streams. What SMB forbids becomes the private characters that stand for it elsewhere.
 */
export function parsePosixName(name: string): ParsedName | NtStatus {
  if (name === '') return { path: '', stream: '', unnamedType: undefined }
  if (name.startsWith('/')) return Status.INVALID_PARAMETER
  if (name.length > MAXIMUM_PATH_UNITS) return Status.OBJECT_NAME_INVALID
  const components = name.split('/')
  for (const [index, component] of components.entries()) {
    if (component === '.' || component === '..') return Status.OBJECT_PATH_SYNTAX_BAD
    const mapped = toClient(toNative(component))
    if (componentError(mapped) !== undefined) return Status.OBJECT_NAME_INVALID
    components[index] = mapped
  }
  return { path: components.join('/'), stream: '', unnamedType: undefined }
}

/** What follows the first colon: `stream`, `stream:$DATA`, `:$DATA` or `:$INDEX_ALLOCATION`. */
function withStream(path: string, text: string): ParsedName | NtStatus {
  const [stream = '', type, ...more] = text.split(':')
  if (more.length > 0) return Status.OBJECT_NAME_INVALID
  const upperType = type?.toUpperCase()
  if (stream === '') {
    if (upperType === TYPE_INDEX) return { path, stream: '', unnamedType: 'index' }
    return upperType === TYPE_DATA ? { path, stream: '', unnamedType: 'data' } : Status.OBJECT_NAME_INVALID
  }
  if (upperType !== undefined && upperType !== TYPE_DATA) return Status.OBJECT_NAME_INVALID
  if (streamNameError(stream) !== undefined) return Status.OBJECT_NAME_INVALID
  return { path, stream, unnamedType: undefined }
}

/** The name as clients write it, from storage's path. */
export function pathNameOf(path: string, stream: string): string {
  const name = path.replaceAll('/', '\\')
  return stream === '' ? name : `${name}:${stream}`
}
