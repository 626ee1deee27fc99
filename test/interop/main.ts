/** One interop suite in a process of its own: `main.js DIRECTORY SUITE [PART OF A GROUP'S NAME]...`; test/run.ts starts it. */

import { Report } from './report.ts'
import { suites } from './suites.ts'

const [directory, name, ...filter] = process.argv.slice(2)
const suite = suites.find((candidate) => candidate.name === name)
if (suite === undefined || directory === undefined) {
  process.stderr.write(`suites: ${suites.map((candidate) => candidate.name).join(', ')}\n`)
  process.exit(2)
}
const report = new Report(suite.name, filter)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(1))
}
try {
  await suite.run(report, directory)
} catch (error) {
  report.fail('the suite itself', error)
}
process.stdout.write(`${suite.name}: ${report.passed} passed, ${report.failed} failed\n`)
process.exit(report.failed === 0 ? 0 : 1)
