/** SPC-4 6.24: what EXTENDED COPY leaves to be asked for. */

import type { CopyResult, CopyResults } from './command.ts'

/** List identifiers have 8 bits; more than this many per nexus are forgotten, the oldest first. */
const RESULTS_PER_NEXUS = 16

export class LastCopies implements CopyResults {
  readonly #byNexus = new Map<string, Map<number, CopyResult>>()

  note(nexusKey: string, list: number, result: CopyResult): void {
    const results = this.#byNexus.get(nexusKey) ?? new Map<number, CopyResult>()
    this.#byNexus.set(nexusKey, results)
    results.delete(list)
    results.set(list, result)
    const [oldest] = results.keys()
    if (results.size > RESULTS_PER_NEXUS && oldest !== undefined) results.delete(oldest)
  }

  find(nexusKey: string, list: number): CopyResult | undefined {
    return this.#byNexus.get(nexusKey)?.get(list)
  }

  forget(nexusKey: string): void {
    this.#byNexus.delete(nexusKey)
  }
}
