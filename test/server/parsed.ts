/** What a configuration's text says, for tests of what it means. */

import { parseConfiguration } from '../../server/config/parse.ts'
import type { Configuration } from '../../server/config/types.ts'

/**
 * @param baseDirectory what relative paths count from
 * @throws Error with all that is wrong with the text
 */
export function parsed(text: string, baseDirectory = '/'): Configuration {
  const outcome = parseConfiguration({ text, file: 'p.toml', source: 'p.toml', baseDirectory })
  if (!outcome.ok)
    throw new Error(outcome.problems.map(({ key, message }) => `${key}: ${message}`).join('\n'))
  return outcome.configuration
}
