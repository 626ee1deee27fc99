/** What authentication asks of an account, and what it answers about a client. */

export interface Credential {
  /** The account's name in its own case. */
  readonly name: string
  /** 16 bytes (`ntHash`). */
  readonly ntHash: Buffer
  readonly disabled?: boolean
}

/** Finds an account by the names a client sent, which are not to be trusted in case or content. */
export type CredentialLookup = (user: string, domain: string) => Credential | undefined

export type AuthenticatedPrincipal =
  | {
      readonly kind: 'user'
      /** The account's name. */
      readonly user: string
      /** As the client sent it. */
      readonly domain: string
      readonly workstation: string
    }
  | { readonly kind: 'anonymous' }

export type FailureReason =
  | 'no-such-user'
  | 'wrong-password'
  | 'account-disabled'
  | 'bad-mic'
  | 'malformed'
  | 'not-supported'
