/** Measures micro rows with tinybench: all sizes in turns, several rounds, so that what else the machine does falls on all alike. */

import { Bench } from 'tinybench'
import type { Micro, MicroRow, MicroSubject } from './micro.ts'

const ROUNDS = 5
/** Of one size in one round. */
const ROUND_MILLISECONDS = 60
const WARM_MILLISECONDS = 30
/** Calls that are timed together take at least so long, against the clock's own steps. */
const SAMPLE_NANOSECONDS = 20_000
const NANOSECONDS_PER_MILLISECOND = 1e6

export async function measureMicro(micro: Micro): Promise<MicroRow> {
  const subjects: MicroSubject[] = []
  try {
    for (const size of micro.sizes) subjects.push(await size.prepare())
    for (const { check } of subjects) check?.()
    const batches = subjects.map(({ call }) => batchOf(call))
    const found: number[][] = subjects.map(() => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, { call }] of subjects.entries()) {
        found[index]?.push(await nanosecondsOf(micro.name, call, batches[index] ?? 1))
      }
    }
    const sizes = micro.sizes.map(({ label, bytes }, index) => ({
      ...{ label, nanoseconds: found[index] ?? [] },
      ...(bytes === undefined ? {} : { bytes }),
    }))
    return { name: micro.name, isFlat: micro.isFlat, sizes }
  } finally {
    for (const { end } of subjects) end?.()
  }
}

/** How many calls to time together. */
function batchOf(call: () => void): number {
  for (let batch = 1; ; batch *= 2) {
    const started = process.hrtime.bigint()
    for (let index = 0; index < batch; index++) call()
    if (process.hrtime.bigint() - started >= SAMPLE_NANOSECONDS) return batch
  }
}

/** The median of a call. */
async function nanosecondsOf(name: string, call: () => void, batch: number): Promise<number> {
  const bench = new Bench({ time: ROUND_MILLISECONDS, warmupTime: WARM_MILLISECONDS, throws: true })
  bench.add(name, () => {
    for (let index = 0; index < batch; index++) call()
  })
  const [task] = await bench.run()
  const result = task?.result
  if (result?.state !== 'completed') throw new Error(`${name}: the measurement was not completed`)
  return (result.latency.p50 * NANOSECONDS_PER_MILLISECOND) / batch
}
