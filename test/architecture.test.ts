/** Checks the rules of architecture/rules.ts on every source of the project. */

import { dirname } from 'node:path'
import t from 'tap'
import {
  citation,
  citingFolders,
  type Exception,
  exceptions,
  type Layer,
  layers,
  maxFileLines,
  maxFunctionLines,
} from './architecture/rules.ts'
import { type Import, readSources, type Source } from './architecture/source.ts'
import { projectRoot } from './interop/paths.ts'

const product = readSources(projectRoot, ['server', 'protocols', 'storage', 'discovery', 'bench'])
const everything = [...product, ...readSources(projectRoot, ['test'])]
const used = new Set<Exception>()

function isExcused(rule: Exception['rule'], file: string): boolean {
  const exception = exceptions.find((candidate) => candidate.rule === rule && candidate.file === file)
  if (exception !== undefined) {
    used.add(exception)
  }
  return exception !== undefined
}

function layerOf(path: string): Layer | undefined {
  return layers.find((layer) => layer.files.test(path))
}

/** Why a file of a layer may not import something; undefined when it may. */
function objection(layer: Layer, found: Import): string | undefined {
  const allows = (list: readonly string[] | undefined, name: string) =>
    list !== undefined && (list.includes('*') || list.includes(name))
  if (found.isPackage) {
    return found.isTypeOnly || allows(layer.packages, found.target) ? undefined : `package ${found.target}`
  }
  const target = layerOf(found.target)
  if (target === undefined) {
    return `${found.target}, which belongs to no layer`
  }
  if (target === layer || allows(layer.mayImport, target.name)) {
    return undefined
  }
  if (allows(layer.mayImportTypes, target.name)) {
    return found.isTypeOnly ? undefined : `${found.target} (${target.name}) for more than its types`
  }
  return `${found.target} (${target.name})`
}

t.test('each layer imports what it may', async (t) => {
  t.ok(product.length > 0, 'there are sources')
  const violations = product.flatMap((source) => {
    const layer = layerOf(source.path)
    if (layer === undefined) {
      return [`${source.path} belongs to no layer`]
    }
    const found = source.imports.map((one) => objection(layer, one)).filter((one) => one !== undefined)
    return found.length === 0 || isExcused('imports', source.path)
      ? []
      : found.map((one) => `${source.path} (${layer.name}) imports ${one}`)
  })
  t.same(violations, [])
})

t.test('no import cycles', async (t) => {
  t.same(cycles(everything), [])
})

t.test('clock, timers, randomness and environment stay at the edges', async (t) => {
  const violations = product
    .filter((source) => layerOf(source.path)?.mayTouchTheWorld !== true && source.world.length > 0)
    .filter((source) => !isExcused('world', source.path))
    .flatMap((source) => source.world.map((use) => `${source.path}:${use}`))
  t.same(violations, [])
})

t.test(`no file has more than ${maxFileLines} lines`, async (t) => {
  const long = everything
    .filter((source) => source.lines > maxFileLines && !isExcused('file length', source.path))
    .map((source) => `${source.path}: ${source.lines}`)
  t.same(long, [])
})

t.test(`no function has more than ${maxFunctionLines} lines`, async (t) => {
  const long = product
    .filter((source) => source.functions.some((one) => one.lines > maxFunctionLines))
    .filter((source) => !isExcused('function length', source.path))
    .flatMap((source) => source.functions.map((one) => ({ ...one, path: source.path })))
    .filter((one) => one.lines > maxFunctionLines)
    .map((one) => `${one.path}:${one.line} ${one.name}: ${one.lines}`)
  t.same(long, [])
})

t.test('a file that speaks a protocol names its section first', async (t) => {
  const silent = product
    .filter((source) => citingFolders.some((folder) => folder.test(source.path)))
    .filter((source) => !(source.firstLine.startsWith('/**') && citation.test(source.firstLine)))
    .filter((source) => !isExcused('citation', source.path))
    .map((source) => source.path)
  t.same(silent, [])
})

t.test('every exception is needed and has its reason', async (t) => {
  t.same(
    exceptions.filter((exception) => !used.has(exception) || exception.reason === ''),
    [],
  )
})

/** Types of one folder may name each other: a connection has sessions, a session its connection (MS-SMB2 3.3.1). */
function isWithinFolder(path: string, found: Import): boolean {
  return found.isTypeOnly && dirname(path) === dirname(found.target)
}

/** Groups of files that import each other, by Tarjan's strongly connected components. */
function cycles(sources: readonly Source[]): string[][] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const found: string[][] = []
  const visit = (path: string): void => {
    index.set(path, index.size)
    low.set(path, index.size - 1)
    stack.push(path)
    const targets = byPath.get(path)?.imports.filter((one) => byPath.has(one.target)) ?? []
    for (const { target } of targets.filter((one) => !isWithinFolder(path, one))) {
      if (!index.has(target)) {
        visit(target)
        low.set(path, Math.min(low.get(path) ?? 0, low.get(target) ?? 0))
      } else if (stack.includes(target)) {
        low.set(path, Math.min(low.get(path) ?? 0, index.get(target) ?? 0))
      }
    }
    if (low.get(path) === index.get(path)) {
      const component = stack.splice(stack.indexOf(path))
      if (component.length > 1) {
        found.push(component.sort())
      }
    }
  }
  for (const { path } of sources) {
    if (!index.has(path)) {
      visit(path)
    }
  }
  return found
}
