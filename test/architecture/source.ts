/** Reads the project's sources with the TypeScript compiler: imports, functions, what they touch. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

export interface Import {
  /** A path from the project's root, or the name of a package. */
  readonly target: string
  readonly isPackage: boolean
  /** Erased by the compiler: only types are used. */
  readonly isTypeOnly: boolean
}

export interface FunctionLength {
  readonly name: string
  readonly line: number
  readonly lines: number
}

export interface Source {
  readonly path: string
  readonly lines: number
  readonly firstLine: string
  readonly imports: readonly Import[]
  readonly functions: readonly FunctionLength[]
  /** Uses of clock, timers, randomness and environment, as `line: what`. */
  readonly world: readonly string[]
}

/** All TypeScript files below some folders of the project. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
        join(folder, path),
      ),
    )
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => parse(path, readFileSync(join(root, path), 'utf8')))
}

function parse(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1
  const imports: Import[] = []
  const functions: FunctionLength[] = []
  const world: string[] = []
  const visit = (node: ts.Node): void => {
    const found = importOf(path, node)
    if (found !== undefined) {
      imports.push(found)
    }
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const line = lineOf(node.getStart())
      functions.push({ name: nameOf(node), line, lines: lineOf(node.getEnd()) - line + 1 })
    }
    const touched = worldOf(node)
    if (touched !== undefined) {
      world.push(`${lineOf(node.getStart())}: ${touched}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  const lines = text.split('\n')
  return { path, lines: lines.length - 1, firstLine: lines[0] ?? '', imports, functions, world }
}

function importOf(path: string, node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    const specifier = node.moduleSpecifier
    if (specifier !== undefined && ts.isStringLiteral(specifier)) {
      return targetOf(path, specifier.text, isErased(node))
    }
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments
    if (argument !== undefined && ts.isStringLiteral(argument)) {
      return targetOf(path, argument.text, false)
    }
  }
  return undefined
}

function isErased(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) {
    return node.isTypeOnly
  }
  const clause = node.importClause
  if (clause === undefined || clause.isTypeOnly) {
    return clause !== undefined
  }
  const bindings = clause.namedBindings
  const isNamed = clause.name === undefined && bindings !== undefined && ts.isNamedImports(bindings)
  return isNamed && bindings.elements.every((element) => element.isTypeOnly)
}

function targetOf(path: string, specifier: string, isTypeOnly: boolean): Import {
  const isPackage = !specifier.startsWith('.')
  return { target: isPackage ? specifier : join(dirname(path), specifier), isPackage, isTypeOnly }
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) {
    return node.name.getText()
  }
  const parent = node.parent
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)
    ? parent.name.getText()
    : 'a function'
}

const worldlyProperties = ['Date.now', 'Math.random', 'process.env', 'performance.now', 'process.hrtime']
const worldlyCalls = ['setTimeout', 'setInterval', 'setImmediate']

function worldOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const text = `${node.expression.getText()}.${node.name.text}`
    return worldlyProperties.includes(text) ? text : undefined
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    return worldlyCalls.includes(node.expression.text) ? node.expression.text : undefined
  }
  const isToday =
    ts.isNewExpression(node) && node.expression.getText() === 'Date' && node.arguments?.length === 0
  return isToday ? 'new Date()' : undefined
}
