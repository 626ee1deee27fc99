/** The plot of a run: the ratio of each row, beside those of earlier runs and the row's mark, as an SVG for a browser. */

import { writeFile } from 'node:fs/promises'
import * as echarts from 'echarts'
import type { EarlierRun } from './json.ts'
import { type Row, summarize } from './row.ts'
import { ratioText, verdict } from './table.ts'

const WIDTH = 1100
const ROW_HEIGHT = 22
const MARGIN = { top: 100, bottom: 40, left: 310, right: 150 }
const COLOURS = { pass: '#2a7d3f', fail: '#c0392b', refused: '#999999', earlier: '#9fb6cd', mark: '#222222' }
const THIS_SIZE = 12
const EARLIER_SIZE = 7
const MARK_SIZE = [2, ROW_HEIGHT - 6]
/** Later runs are drawn more clearly than those long ago. */
const FAINTEST = 0.25

/** A point: the ratio, and the row's place from the top. */
type Point = [ratio: number, row: number]

/**
 * Writes the plot. Rows without a peer are left out; those that were refused show where their pairs lie.
 * @param earlier the oldest first
 */
export async function writePlot(
  path: string,
  rows: readonly Row[],
  earlier: readonly EarlierRun[],
): Promise<void> {
  const shown = rows.filter(({ peer }) => peer.length > 0)
  const height = MARGIN.top + MARGIN.bottom + shown.length * ROW_HEIGHT
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: {
        text: 'Ours divided by the peer’s',
        subtext:
          'Line: the row’s mark (throughput must lie right of it, memory left). Bars: least to most of the pairs.',
        left: 'center',
      },
      legend: {
        top: 66,
        data: [...KINDS.map(([name]) => name), ...(earlier.length === 0 ? [] : ['earlier runs']), 'mark'],
      },
      grid: MARGIN,
      xAxis: { type: 'log', name: 'ratio', splitLine: { show: true } },
      yAxis: [
        categories(shown.map(({ name }) => name)),
        categories(shown.map((row) => ratioText(summarize(row)))),
      ],
      series: [
        spreads(shown),
        ...earlier.map((run, index) => pastRun(shown, run, (index + 1) / earlier.length)),
      ]
        .concat(verdicts(shown))
        .concat(marks(shown)),
    })
    await writeFile(path, chart.renderToSVGString())
  } finally {
    // Its timers would keep the process alive.
    chart.dispose()
  }
}

function spreads(rows: readonly Row[]): echarts.SeriesOption {
  const data = rows.flatMap((row, index) => {
    const { ratio } = summarize(row)
    return ratio === undefined
      ? []
      : [{ coords: [[ratio.least, index] as Point, [ratio.most, index] as Point] }]
  })
  return {
    type: 'lines',
    coordinateSystem: 'cartesian2d',
    silent: true,
    data,
    lineStyle: { color: '#666', width: 1.5, opacity: 1 },
  }
}

function pastRun(rows: readonly Row[], run: EarlierRun, age: number): echarts.SeriesOption {
  const byName = new Map(run.rows.map(({ name, summary }) => [name, summary]))
  const data = rows.flatMap(({ name }, index): Point[] => {
    const summary = byName.get(name)
    return summary?.ratio === undefined || summary.refused !== undefined
      ? []
      : [[summary.ratio.median, index]]
  })
  return {
    ...{ type: 'scatter', name: 'earlier runs', data, symbolSize: EARLIER_SIZE },
    itemStyle: { color: COLOURS.earlier, opacity: FAINTEST + (1 - FAINTEST) * age },
  }
}

/** What this run says of a row: how it is called, drawn, and how the verdict begins. */
const KINDS = [
  ['meets its mark', COLOURS.pass, 'circle', 'pass'],
  ['misses its mark', COLOURS.fail, 'diamond', 'FAIL'],
  ['refused', COLOURS.refused, 'emptyCircle', 'refused'],
] as const

function verdicts(rows: readonly Row[]): echarts.SeriesOption[] {
  const points = rows.map((row, index) => ({ row, index, summary: summarize(row) }))
  return KINDS.map(([name, color, symbol, begins]) => ({
    ...{ type: 'scatter' as const, name, symbol, symbolSize: THIS_SIZE, itemStyle: { color } },
    data: points
      .filter(({ summary }) => verdict(summary).startsWith(begins))
      .map(({ summary, index }): Point => [summary.ratio?.median ?? 1, index]),
  }))
}

/** One line for each row; of two such axes the second is on the right. */
function categories(data: string[]) {
  return { type: 'category' as const, inverse: true, data, axisTick: { show: false } }
}

function marks(rows: readonly Row[]): echarts.SeriesOption {
  return {
    ...{ type: 'scatter', name: 'mark', symbol: 'rect', symbolSize: MARK_SIZE, silent: true },
    itemStyle: { color: COLOURS.mark },
    data: rows.map(({ mark }, index): Point => [mark, index]),
  }
}
