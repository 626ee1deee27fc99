/** How often one address is answered: anyone on the link can send, and can send under another's address. */

import type { Environment } from './environment.ts'

const MILLISECONDS_PER_SECOND = 1000

export interface RateLimitOptions {
  /** Answers an address may have at once after a quiet time. */
  readonly burst: number
  readonly perSecond: number
  /** How many addresses are remembered; the one heard longest ago is forgotten. */
  readonly addresses: number
}

/** What one address of a home network plausibly asks for, and several times that. */
export const ANSWER_LIMIT: RateLimitOptions = { burst: 40, perSecond: 20, addresses: 512 }

interface Bucket {
  tokens: number
  filled: number
}

/** A token bucket for each address. */
export class RateLimit {
  readonly #environment: Environment
  readonly #options: RateLimitOptions
  readonly #buckets = new Map<string, Bucket>()

  constructor(environment: Environment, options: RateLimitOptions = ANSWER_LIMIT) {
    this.#environment = environment
    this.#options = options
  }

  /** Counts one message of this address. @returns false when it has had its share */
  take(address: string): boolean {
    const { burst, perSecond, addresses } = this.#options
    const now = this.#environment.now()
    const bucket = this.#buckets.get(address) ?? { tokens: burst, filled: now }
    // Re-inserting keeps the map in the order in which addresses were heard.
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    if (this.#buckets.size > addresses) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    const passed = Math.max(0, now - bucket.filled)
    bucket.tokens = Math.min(burst, bucket.tokens + (passed * perSecond) / MILLISECONDS_PER_SECOND)
    bucket.filled = now
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}
