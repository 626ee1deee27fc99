/** Entry of the `poolhouse` command. */

import { ExitCode } from './context.ts'
import { runCommand } from './program.ts'

const code = await runCommand(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  directory: process.cwd(),
  isRoot: process.geteuid?.() === 0,
  // Only `serve` needs the protocols; the other commands start faster without them.
  startServer: async (options) => (await import('../serve/engine-wiring.ts')).startServer(options),
}).catch((error: unknown) => {
  process.stderr.write(`poolhouse: unexpected error, please report it: ${(error as Error).stack}\n`)
  return ExitCode.failed
})
process.exit(code)
