/** The bench's report: what is a pass, a failure, and a row that says nothing; records and the plot of ratios. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { MicroRow } from '../../bench/micro/micro.ts'
import { QUICK_ROWS, quickStep } from '../../bench/quick.ts'
import { readRecords, writeRecord } from '../../bench/report/json.ts'
import { renderMicros, summarizeMicro } from '../../bench/report/micro.ts'
import { writePlot } from '../../bench/report/plot.ts'
import { type Row, type Sample, summarize } from '../../bench/report/row.ts'
import { renderTable } from '../../bench/report/table.ts'
import { knownNames, select, selectFirst } from '../../bench/selection.ts'
import { BYTES, MEMORY, type Unit } from '../../bench/workloads/workload.ts'

const MEBIBYTE = 2 ** 20

const sample = (amount: number, peakMebibytes = 100): Sample => ({
  ...{ amount: amount * MEBIBYTE, seconds: 1, processorSeconds: 0.5 },
  peakBytes: peakMebibytes * MEBIBYTE,
})

function row(name: string, unit: Unit, mark: number, ratios: readonly number[], peak = 100): Row {
  return {
    ...{ name, unit, mark },
    ours: ratios.map((ratio) => sample(ratio * 100, peak)),
    peer: ratios.map(() => sample(100)),
  }
}

t.test('more of a rate is better, less of an amount', async (t) => {
  t.same(summarize(row('fast', BYTES, 1.2, [1.2, 1.3, 1.3])).failures, [])
  t.same(summarize(row('slow', BYTES, 1.2, [1.1, 1.1, 1.2])).failures, ['ratio below 1.2'])
  t.same(summarize(row('lean', MEMORY, 0.25, [0.2, 0.2, 0.25])).failures, [])
  t.same(summarize(row('fat', MEMORY, 0.25, [0.3, 0.3, 0.31])).failures, ['ratio above 0.25'])
  t.same(summarize(row('large', BYTES, 1, [1, 1, 1], 300)).failures, ['memory not below 200 MiB'])
})

t.test('with leniency half a mark is enough, and no less', async (t) => {
  t.same(summarize(row('slow', BYTES, 1.2, [0.61, 0.61, 0.61]), 0.5).failures, [])
  t.same(summarize(row('slower', BYTES, 1.2, [0.59, 0.59, 0.59]), 0.5).failures, ['ratio below 0.6'])
  t.same(summarize(row('fat', MEMORY, 0.25, [0.49, 0.49, 0.49]), 0.5).failures, [])
  t.same(summarize(row('fatter', MEMORY, 0.25, [0.51, 0.51, 0.51]), 0.5).failures, ['ratio above 0.5'])
})

t.test('a row whose pairs disagree, or are few, has no verdict and no median', async (t) => {
  const apart = row('apart', BYTES, 1.2, [0.2, 0.5, 1, 2, 3])
  t.equal(summarize(apart).refused, 'pairs disagree')
  t.same(summarize(apart).failures, [])
  t.match(renderTable([apart]), /│ +\(0\.20-3\.00\) │.*refused: pairs disagree/)
  t.equal(summarize(row('few', BYTES, 1.2, [2, 2])).refused, 'fewer than 3 pairs')
  const alone: Row = { ...row('alone', BYTES, 1.2, [2, 2, 2]), peer: [] }
  t.match(renderTable([alone]), /no peer/)
  const large = row('large', BYTES, 1.2, [0.2, 0.5, 1, 2, 3], 300)
  t.same(
    summarize(large).failures,
    ['memory not below 200 MiB'],
    'what is not of the pairs counts all the same',
  )
})

const micro = (name: string, costs: readonly (readonly number[])[]): MicroRow => ({
  ...{ name, isFlat: true },
  sizes: costs.map((nanoseconds, index) => ({ label: String(10 ** index), nanoseconds })),
})

t.test('cost that grows with size fails, whatever a call costs', async (t) => {
  t.same(
    summarizeMicro(
      micro('flat', [
        [10, 10, 10],
        [11, 12, 12],
        [14, 15, 14],
      ]),
    ).failures,
    [],
  )
  const grown = summarizeMicro(
    micro('grows', [
      [10, 10, 10],
      [14, 14, 14],
      [20, 20, 21],
    ]),
  )
  t.same(grown.failures, ['more than 1.5 times the cost'])
  t.same(
    grown.sizes.map(({ growth }) => growth),
    [1, 1.4, 2],
  )
  const apart = micro('apart', [
    [10, 10, 10],
    [10, 20, 40],
    [10, 10, 10],
  ])
  t.equal(summarizeMicro(apart).refused, 'rounds disagree')
  t.match(renderMicros([apart]), /refused: rounds disagree/)
})

t.test('names choose rows', async (t) => {
  const names = (rows: readonly string[]) =>
    select(rows).contests.flatMap(({ workloads }) => workloads.map(({ name }) => name))
  t.same(names(['read']), ['read'], 'one row by its whole name')
  t.ok(names(['read signed']).length > 1, 'several by how they begin')
  t.ok(names(['smb']).includes('write bands, 16 clients'), 'a protocol')
  t.throws(() => select(['read', 'nothing']), /there is no row nothing/)
  t.equal(new Set(knownNames()).size, knownNames().length, 'no name stands for two rows')
  const quick = selectFirst(QUICK_ROWS).contests.flatMap(({ workloads }) => workloads)
  t.equal(quick.length, QUICK_ROWS.length, 'each quick row is there')
  t.match(quickStep().args, [/main\.js$/, 'quick'])
})

t.test('a record is read again, and drawn beside the run', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'poolhouse-bench-test-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const description = { pairs: 3, fileBytes: 1, entries: 1, files: 1 }
  const rows = [
    row('read', BYTES, 1.2, [1.5, 1.5, 1.6]),
    row('apart', BYTES, 1.2, [0.2, 1, 3]),
    row('fat', MEMORY, 0.25, [0.3, 0.3, 0.3]),
  ]
  const measured = { rows, compared: [], micros: [], broken: [] }
  const path = await writeRecord(directory, measured, description)
  const record = JSON.parse(readFileSync(path, 'utf8'))
  t.equal(record.rows[0].ours.length, 3, 'with every sample')
  t.same(await readRecords(directory, path), [], 'not beside itself')
  writeFileSync(join(directory, 'torn.json'), '{')
  const earlier = await readRecords(directory, '')
  t.same(
    earlier.map((run) => run.rows.map(({ summary }) => summary.ratio?.median)),
    [[1.5, 1, 0.3]],
  )
  const plot = join(directory, 'ratios.svg')
  await writePlot(plot, rows, earlier)
  const svg = readFileSync(plot, 'utf8')
  t.match(svg, /^<svg /)
  for (const text of ['read', 'apart', 'fat', 'earlier runs', '1.50 (1.50-1.60)', '(0.20-3.00)']) {
    t.ok(svg.includes(text), `it shows ${text}`)
  }
})
