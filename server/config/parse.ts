/** From the text of a configuration file to a checked, frozen `Configuration`. */

import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { parse as parseToml, TomlError } from 'smol-toml'
import type * as z from 'zod'
import { locateKeys } from './locate.ts'
import { problemAt, problemsOf } from './problems.ts'
import { fileSchema } from './schema.ts'
import { checkSemantics } from './semantics.ts'
import type { CamelKeys, Configuration, ConfigurationOutcome } from './types.ts'

const HOST_NAME_MAXIMUM = 63
const FALLBACK_NAME = 'poolhouse'

export interface ConfigurationText {
  readonly text: string
  /** For messages. */
  readonly file: string
  /** Relative paths count from here. */
  readonly baseDirectory: string
  /** Kept as `Configuration.source`; undefined: the built-in default. */
  readonly source: string | undefined
}

/** Checks the whole text and reports all that is wrong with it at once, in the order of the file. */
export function parseConfiguration(input: ConfigurationText): ConfigurationOutcome {
  const { text, file, baseDirectory } = input
  let data: unknown
  try {
    data = parseToml(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const message = error.message.replace('Invalid TOML document: ', 'not valid TOML: ').trimEnd()
    return { ok: false, problems: [{ file, line: error.line, key: '', message }] }
  }
  const lines = locateKeys(text)
  const parsed = fileSchema.safeParse(data)
  const problems = parsed.success ? [] : problemsOf(file, lines, parsed.error.issues)
  for (const finding of checkSemantics(data, baseDirectory)) {
    problems.push(problemAt(file, lines, finding.path, finding.message))
  }
  if (!parsed.success || problems.length > 0) {
    return { ok: false, problems: problems.sort((one, other) => (one.line ?? 0) - (other.line ?? 0)) }
  }
  return { ok: true, configuration: assemble(parsed.data, input) }
}

function assemble(file: z.output<typeof fileSchema>, input: ConfigurationText): Configuration {
  const { share, target, ...sections } = camelKeys(file)
  const absolute = (path: string): string => resolve(input.baseDirectory, path)
  return deepFreeze({
    source: input.source,
    ...sections,
    server: {
      ...sections.server,
      name: sections.server.name ?? hostName(),
      stateDir: absolute(sections.server.stateDir),
    },
    replicate: sections.replicate.map((one) =>
      one.sshKey === undefined ? one : { ...one, sshKey: absolute(one.sshKey) },
    ),
    shares: share.map((one) => (one.path === undefined ? one : { ...one, path: absolute(one.path) })),
    targets: target.map((one) => ({
      ...one,
      ...(one.chap && { chap: resolveSecrets(one.chap, absolute) }),
      lun: one.lun.map((lun) => resolveLun(lun, absolute)),
    })),
  })
}

type Target = CamelKeys<z.output<typeof fileSchema>>['target'][number]
type Absolute = (path: string) => string

function resolveSecrets(chap: NonNullable<Target['chap']>, absolute: Absolute): NonNullable<Target['chap']> {
  const mutual = chap.mutualSecretFile
  return {
    ...chap,
    secretFile: absolute(chap.secretFile),
    ...(mutual !== undefined && { mutualSecretFile: absolute(mutual) }),
  }
}

function resolveLun(lun: Target['lun'][number], absolute: Absolute): Target['lun'][number] {
  return {
    ...lun,
    ...(lun.path !== undefined && { path: absolute(lun.path) }),
    ...(lun.extents && {
      extents: lun.extents.map((extent) => ({ ...extent, path: absolute(extent.path) })),
    }),
  }
}

/** This host's name, cut down to what mDNS and NetBIOS take. */
function hostName(): string {
  const label = (hostname().split('.')[0] ?? '').replaceAll(/[^A-Za-z0-9-]/g, '-').replace(/^-+/, '')
  return label.slice(0, HOST_NAME_MAXIMUM) || FALLBACK_NAME
}

function camelKeys<T>(value: T): CamelKeys<T> {
  return camelize(value) as CamelKeys<T>
}

function camelize(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelize)
  if (value === null || typeof value !== 'object') return value
  const camel = (key: string): string =>
    key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), camelize(inner)]))
}

function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== 'object') return value
  for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}
