/** Finds and reads the configuration: `--config`, `./poolhouse.toml`, `/etc/poolhouse/poolhouse.toml`, else the built-in one. */

import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BUILT_IN_NAME, builtInConfiguration } from './built-in.ts'
import { parseConfiguration } from './parse.ts'
import type { ConfigurationOutcome } from './types.ts'

export const FILE_NAME = 'poolhouse.toml'
export const SYSTEM_FILE = '/etc/poolhouse/poolhouse.toml'

export interface ConfigurationRequest {
  /** Named by the user: must exist. */
  readonly file?: string | undefined
  /** Working directory. */
  readonly directory: string
  /** For the built-in configuration: standard ports on all addresses. */
  readonly isPublic?: boolean
  /** Searched after the working directory; a test puts its own here. */
  readonly systemFile?: string
}

/** Reads and checks the configuration. What is wrong is returned, also that a named file cannot be read. */
export async function loadConfiguration(request: ConfigurationRequest): Promise<ConfigurationOutcome> {
  const { file, directory } = request
  if (file !== undefined)
    return loadFile(resolve(directory, file), true).then((outcome) => outcome as ConfigurationOutcome)
  for (const candidate of [join(directory, FILE_NAME), request.systemFile ?? SYSTEM_FILE]) {
    const outcome = await loadFile(candidate, false)
    if (outcome) return outcome
  }
  return parseConfiguration({
    text: builtInConfiguration(request.isPublic ?? false),
    file: BUILT_IN_NAME,
    baseDirectory: directory,
    source: undefined,
  })
}

/** @returns undefined when there is no such file and it need not exist */
async function loadFile(file: string, mustExist: boolean): Promise<ConfigurationOutcome | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' && !mustExist) return undefined
    return {
      ok: false,
      problems: [{ file, line: undefined, key: '', message: `cannot be read: ${readFault(code)}` }],
    }
  }
  return parseConfiguration({ text, file, baseDirectory: dirname(file), source: file })
}

function readFault(code: string | undefined): string {
  if (code === 'ENOENT') return 'there is no such file; "poolhouse init" writes one'
  if (code === 'EACCES') return 'permission denied; run as a user who may read it'
  return code === 'EISDIR' ? 'it is a folder; name the file in it' : String(code)
}
