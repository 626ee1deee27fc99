/** An account that clients log in with, and the file format that keeps it. */

import * as z from 'zod'

export interface Account {
  /** As it was given; compared without regard to case. */
  readonly name: string
  /** MS-NLMP 3.3.1 NTOWFv1: MD4 of the password in UTF-16LE, 16 bytes. As good as the password. */
  readonly ntHash: Buffer
  /** ISO 8601. */
  readonly created: string
  readonly changed: string
  /** System user whose rights it has; absent: the one of the same name. */
  readonly unixUser?: string
  /** Kept, but may not log in. */
  readonly disabled: boolean
}

/** What an account may be called: nothing that Windows, a URL or a passwd line would misread. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
export const ACCOUNT_NAME = /^(?![-\s])[^\x00-\x1f\x7f/\\:"@;,|=+*?<>[\]]{1,104}(?<!\s)$/
export const ACCOUNT_NAME_RULE =
  'use 1 to 104 characters, without /\\:"@;,|=+*?<>[] and not beginning with "-"'

const FORMAT_VERSION = 1

const accountSchema = z.strictObject({
  name: z.string().regex(ACCOUNT_NAME),
  ntHash: z.string().regex(/^[0-9a-f]{32}$/),
  created: z.string(),
  changed: z.string(),
  unixUser: z.string().optional(),
  disabled: z.boolean(),
})

const fileSchema = z.strictObject({ version: z.literal(FORMAT_VERSION), accounts: z.array(accountSchema) })

/** Two names that mean the same account have the same key. */
export function accountKey(name: string): string {
  return name.toLowerCase()
}

export function encodeAccounts(accounts: readonly Account[]): string {
  const stored = accounts.map((account) => ({ ...account, ntHash: account.ntHash.toString('hex') }))
  return `${JSON.stringify({ version: FORMAT_VERSION, accounts: stored }, undefined, 2)}\n`
}

/** @returns undefined when the text is not the accounts format of this version */
export function decodeAccounts(text: string): readonly Account[] | undefined {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return undefined
  }
  const parsed = fileSchema.safeParse(data)
  if (!parsed.success) return undefined
  return parsed.data.accounts.map(({ unixUser, ...account }) => ({
    ...account,
    ntHash: Buffer.from(account.ntHash, 'hex'),
    ...(unixUser !== undefined && { unixUser }),
  }))
}
