/** The configuration for a command, or all that is wrong with it. */

import { loadConfiguration } from '../config/load.ts'
import { formatProblem } from '../config/problems.ts'
import type { Configuration } from '../config/types.ts'
import type { CommandContext, CommonOptions } from './context.ts'

/** Loads the configuration, or writes all that is wrong with it and returns undefined: exit with `ExitCode.usage`. */
export async function readConfiguration(
  context: CommandContext,
  options: CommonOptions,
  isPublic = false,
): Promise<Configuration | undefined> {
  const outcome = await loadConfiguration({ file: options.config, directory: context.directory, isPublic })
  if (outcome.ok) return outcome.configuration
  for (const problem of outcome.problems) context.stderr.write(`${formatProblem(problem)}\n`)
  return undefined
}
