/** The configuration as the program sees it: checked, complete, frozen, in camel case, with absolute paths. */

import type * as z from 'zod'
import type {
  afpSchema,
  discoverySchema,
  iscsiSchema,
  logSchema,
  replicateSchema,
  serverSchema,
  shareSchema,
  smbSchema,
  snapshotsSchema,
  statusSchema,
  targetSchema,
} from './schema.ts'

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S

/** The same value with camel-case keys and nothing to write to. */
export type CamelKeys<T> = T extends readonly (infer Item)[]
  ? readonly CamelKeys<Item>[]
  : T extends object
    ? { readonly [Key in keyof T as CamelCase<Key & string>]: CamelKeys<T[Key]> }
    : T

type ServerKeys = CamelKeys<z.output<typeof serverSchema>>
export type ServerConfiguration = Omit<ServerKeys, 'name'> & { readonly name: string }
export type LogConfiguration = CamelKeys<z.output<typeof logSchema>>
export type SmbConfiguration = CamelKeys<z.output<typeof smbSchema>>
export type AfpConfiguration = CamelKeys<z.output<typeof afpSchema>>
export type IscsiConfiguration = CamelKeys<z.output<typeof iscsiSchema>>
export type DiscoveryConfiguration = CamelKeys<z.output<typeof discoverySchema>>
export type SnapshotsConfiguration = CamelKeys<z.output<typeof snapshotsSchema>>
export type StatusConfiguration = CamelKeys<z.output<typeof statusSchema>>
/** `path` or `dataset` is set, never both; once its dataset was found mounted, a share has both. */
export type ShareConfiguration = CamelKeys<z.output<typeof shareSchema>>
export type TargetConfiguration = CamelKeys<z.output<typeof targetSchema>>

/** `share` or `dataset` is set, never both. */
export type ReplicateConfiguration = CamelKeys<z.output<typeof replicateSchema>>

export interface Configuration {
  /** The file it came from; undefined: the built-in default. */
  readonly source: string | undefined
  readonly server: ServerConfiguration
  readonly log: LogConfiguration
  readonly smb: SmbConfiguration
  readonly afp: AfpConfiguration
  readonly iscsi: IscsiConfiguration
  readonly discovery: DiscoveryConfiguration
  readonly snapshots: SnapshotsConfiguration
  readonly status: StatusConfiguration
  readonly replicate: readonly ReplicateConfiguration[]
  readonly shares: readonly ShareConfiguration[]
  readonly targets: readonly TargetConfiguration[]
}

/** One thing that is wrong in a configuration file. */
export interface ConfigurationProblem {
  readonly file: string
  /** Counted from 1; undefined when the file as a whole is meant. */
  readonly line: number | undefined
  /** Dotted, without array positions: `share.path`. */
  readonly key: string
  readonly message: string
}

export type ConfigurationOutcome =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly problems: readonly ConfigurationProblem[] }
