/** zfs(8) and zpool(8) as they are called here: a runner from outside, parsable output, errors with a code. */

/** What a command has said; `code` is undefined when it was stopped after its time. */
export interface CommandResult {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export type ZfsProgram = 'zfs' | 'zpool'

/**
 * Runs a program to its end, or to the end of its time: a pool that is suspended makes commands hang for ever.
 * Rejects when the program cannot be started.
 */
export type CommandRunner = (program: ZfsProgram, args: readonly string[]) => Promise<CommandResult>

export type ZfsErrorCode =
  | 'not-found'
  | 'exists'
  | 'busy'
  | 'not-permitted'
  | 'suspended'
  | 'timed-out'
  | 'failed'

/** A command that did not succeed; the message is the command's own, with the command. */
export class ZfsError extends Error {
  override readonly name = 'ZfsError'
  readonly code: ZfsErrorCode

  constructor(code: ZfsErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What the commands say, in the C locale. */
const CODES: readonly (readonly [pattern: RegExp, code: ZfsErrorCode])[] = [
  [/dataset does not exist|could not find any snapshots to destroy|no such pool or dataset/, 'not-found'],
  [/dataset already exists|tag already exists/, 'exists'],
  [/dataset is busy|snapshot has dependent clones|has children/, 'busy'],
  [/suspended/, 'suspended'],
  [/permission denied|must be superuser|Operation not permitted/i, 'not-permitted'],
]

/** Runs a command that must succeed. @returns its standard output @throws ZfsError */
export async function runZfs(
  run: CommandRunner,
  program: ZfsProgram,
  args: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args)
  if (code === 0) return stdout
  const command = `${program} ${args.join(' ')}`
  if (code === undefined) throw new ZfsError('timed-out', `${command}: no answer; is the pool suspended?`)
  const [, known = 'failed'] = CODES.find(([pattern]) => pattern.test(stderr)) ?? []
  throw new ZfsError(known, `${command}: ${stderr.trim() || `exit code ${code}`}`)
}

/** Rows of fields, as -H prints them: tabs between fields, nothing else. */
export function parseRows(output: string): string[][] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
}

/** A number as -p prints it; undefined for `-` and `none`. */
export function parseNumber(field: string | undefined): number | undefined {
  const value = field === undefined || field === '' ? Number.NaN : Number(field)
  return Number.isSafeInteger(value) ? value : undefined
}
