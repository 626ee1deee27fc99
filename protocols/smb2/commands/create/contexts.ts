/** MS-SMB2 2.2.13.2, 3.3.5.9.x: the create contexts that are served, read from the request and answered. */

import type { FileStat } from '../../../../storage/file-system.ts'
import { negotiateAapl } from '../../apple/negotiate.ts'
import type { CommandContext } from '../../context.ts'
import { decodeFullEaList, type FullEa } from '../../fscc/ea.ts'
import {
  type AaplServerQuery,
  decodeAaplResolveId,
  decodeAaplServerQuery,
} from '../../messages/create-context-aapl.ts'
import {
  decodeAllocationSize,
  decodeTimewarpToken,
  encodeQueryMaximalAccessResponse,
  encodeQueryOnDiskIdResponse,
} from '../../messages/create-context-data.ts'
import {
  decodeLeaseContext,
  encodeLeaseContext,
  type LeaseContext,
} from '../../messages/create-context-lease.ts'
import { decodePosixCreateRequest, encodePosixCreateResponse } from '../../messages/create-context-posix.ts'
import { type CreateContext, CreateContextName, findCreateContext } from '../../messages/create-contexts.ts'
import type { DurableHandle } from '../../state/durable-handle.ts'
import { Status } from '../../status.ts'
import { fileIdOf, posixFactsOf } from '../describe.ts'
import { answerDurable, type DurableContexts, readDurableContexts } from './durable.ts'

/** What a request asks for by contexts. Contexts that are not known are passed over (3.3.5.9). */
export interface RequestedContexts {
  /** ExtA */
  readonly extendedAttributes: readonly FullEa[]
  /** SecD: self-relative, checked when a file is made with it. */
  readonly securityDescriptor: Buffer | undefined
  /** AlSi, bytes. */
  readonly allocationSize: number | undefined
  /** MxAc */
  readonly wantsMaximalAccess: boolean
  /** QFid */
  readonly wantsOnDiskId: boolean
  /** RqLs, of either version. */
  readonly lease: LeaseContext | undefined
  /** DHnQ, DH2Q, DHnC, DH2C */
  readonly durable: DurableContexts
  /** TWrp: FILETIME of a snapshot. */
  readonly timewarp: bigint | undefined
  /** The open has POSIX' rules; `mode` is for what is made, undefined: the share's. */
  readonly posix: { readonly mode: number | undefined } | undefined
  /** AAPL, when it asks what the server can do. */
  readonly aapl: AaplServerQuery | undefined
  /** AAPL, when it asks for the path of this file id. */
  readonly resolvesId: bigint | undefined
}

/** Most requests have no contexts, and looking for each costs more than the rest of their decoding. */
const NOTHING_REQUESTED: RequestedContexts = {
  extendedAttributes: [],
  securityDescriptor: undefined,
  allocationSize: undefined,
  wantsMaximalAccess: false,
  wantsOnDiskId: false,
  lease: undefined,
  durable: readDurableContexts([]),
  timewarp: undefined,
  posix: undefined,
  aapl: undefined,
  resolvesId: undefined,
}

/**
 * @param posixExtensions they were negotiated; otherwise their context is one that is not known
 * @throws DecodeError when a context's data is malformed: the CREATE is INVALID_PARAMETER
 */
export function readContexts(
  contexts: readonly CreateContext[],
  posixExtensions: boolean,
): RequestedContexts {
  if (contexts.length === 0) return NOTHING_REQUESTED
  const find = (name: string): Buffer | undefined => findCreateContext(contexts, name)
  const eas = find(CreateContextName.EXTENDED_ATTRIBUTES)
  const allocation = find(CreateContextName.ALLOCATION_SIZE)
  const lease = find(CreateContextName.LEASE)
  const timewarp = find(CreateContextName.TIMEWARP_TOKEN)
  const posix = posixExtensions ? find(CreateContextName.POSIX) : undefined
  const aapl = find(CreateContextName.AAPL)
  return {
    extendedAttributes: eas === undefined ? [] : decodeFullEaList(eas),
    securityDescriptor: find(CreateContextName.SECURITY_DESCRIPTOR),
    allocationSize: allocation === undefined ? undefined : decodeAllocationSize(allocation),
    wantsMaximalAccess: find(CreateContextName.MAXIMAL_ACCESS) !== undefined,
    wantsOnDiskId: find(CreateContextName.ON_DISK_ID) !== undefined,
    lease: lease === undefined ? undefined : decodeLeaseContext(lease),
    durable: readDurableContexts(contexts),
    timewarp: timewarp === undefined ? undefined : decodeTimewarpToken(timewarp),
    posix: posix === undefined ? undefined : { mode: decodePosixCreateRequest(posix) },
    aapl: aapl === undefined ? undefined : decodeAaplServerQuery(aapl),
    resolvesId: aapl === undefined ? undefined : decodeAaplResolveId(aapl),
  }
}

/** What was asked for, and what of it was granted. */
export interface Answers {
  readonly requested: RequestedContexts
  readonly grantedLease: LeaseContext | undefined
  readonly grantedDurable: DurableHandle | undefined
  /** The answer to `resolvesId`. */
  readonly resolvedId?: CreateContext | undefined
}

/** The contexts of the response: only what was asked for, since Macs take others for an error. */
export function answerContexts(
  { connection, server, tree }: Pick<CommandContext, 'connection' | 'server' | 'tree'>,
  { requested, grantedLease, grantedDurable, resolvedId }: Answers,
  stat: FileStat,
  maximalAccess: number,
): CreateContext[] {
  const answers: CreateContext[] = []
  if (requested.aapl !== undefined) {
    answers.push(negotiateAapl(connection, server.settings, tree.share, requested.aapl))
  }
  if (resolvedId !== undefined) answers.push(resolvedId)
  if (requested.wantsMaximalAccess) {
    const data = encodeQueryMaximalAccessResponse({ queryStatus: Status.SUCCESS, maximalAccess })
    answers.push({ name: CreateContextName.MAXIMAL_ACCESS, data })
  }
  if (requested.wantsOnDiskId) {
    const diskFileId = fileIdOf(stat, tree.share, connection)
    const data = encodeQueryOnDiskIdResponse({ diskFileId, volumeId: stat.volumeId })
    answers.push({ name: CreateContextName.ON_DISK_ID, data })
  }
  if (grantedLease !== undefined) {
    answers.push({ name: CreateContextName.LEASE, data: encodeLeaseContext(grantedLease) })
  }
  if (grantedDurable !== undefined) answers.push(answerDurable(grantedDurable))
  if (requested.posix !== undefined) {
    const data = encodePosixCreateResponse(posixFactsOf(stat))
    answers.push({ name: CreateContextName.POSIX, data })
  }
  return answers
}
