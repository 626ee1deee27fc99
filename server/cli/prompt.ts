/** Questions on the terminal, and passwords from it or from standard input. */

import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Outcome } from '../outcome.ts'
import { done, failed } from '../outcome.ts'
import type { CommandContext } from './context.ts'

/** MS-SAMR 2.2.7.3 lets a password be this many UTF-16 units long. */
const PASSWORD_UNITS_MAXIMUM = 256
const INPUT_BYTES_MAXIMUM = 4096

/** Asks and shows what is typed. @returns the answer, or `preset` when it is empty */
export async function ask(context: CommandContext, question: string, preset: string): Promise<string> {
  const terminal = createInterface({ input: context.stdin, output: context.stdout, terminal: true })
  try {
    const answer = await terminal.question(preset === '' ? `${question}: ` : `${question} [${preset}]: `)
    return answer.trim() || preset
  } finally {
    terminal.close()
  }
}

/** Asks and shows nothing of what is typed. */
async function askHidden(context: CommandContext, question: string): Promise<string> {
  context.stdout.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, callback) => callback() })
  const terminal = createInterface({ input: context.stdin, output: nowhere, terminal: true })
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    context.stdout.write('\n')
  }
}

/** Takes a new password from standard input (one line, or text without a line end), or asks twice on the terminal. */
export async function readNewPassword(context: CommandContext, fromStdin: boolean): Promise<Outcome<string>> {
  if (fromStdin) {
    const input = await readInput(context)
    return input === undefined ? failed('the password on standard input is too long') : checkPassword(input)
  }
  if (!context.stdin.isTTY)
    return failed('there is no terminal to ask for a password on; pass it with --password-stdin')
  const password = checkPassword(await askHidden(context, 'Password: '))
  if (!password.ok) return password
  if ((await askHidden(context, 'Again: ')) !== password.value)
    return failed('the two passwords differ; nothing was changed')
  return password
}

function checkPassword(password: string): Outcome<string> {
  if (password === '') return failed('the password is empty; give one')
  if (/[\r\n]/.test(password)) return failed('the password has more than one line; give one line')
  if (password.length > PASSWORD_UNITS_MAXIMUM)
    return failed(`the password is longer than ${PASSWORD_UNITS_MAXIMUM} characters`)
  return done(password)
}

async function readInput(context: CommandContext): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of context.stdin) {
    const bytes = Buffer.from(chunk as Buffer | string)
    length += bytes.length
    if (length > INPUT_BYTES_MAXIMUM) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
