/** Where the project's own files and the peers' material lie. */

import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The project's directory: the nearest one above this file that has a package.json (sources and `dist` differ in depth). */
export const projectRoot = findRoot(import.meta.dirname)

/** The lab and the smbtorture plan; beside the project unless POOLHOUSE_SHARED says where. */
export const sharedRoot = resolve(projectRoot, process.env['POOLHOUSE_SHARED'] ?? '../shared')

/** A file that is not compiled: scripts and lists beside the interop sources. */
export function interopFile(...parts: string[]): string {
  return join(projectRoot, 'test', 'interop', ...parts)
}

function findRoot(start: string): string {
  let directory = start
  while (!existsSync(join(directory, 'package.json'))) {
    directory = dirname(directory)
  }
  return directory
}
