/** MS-SMB2 3.3.5.2.7 and 3.3.4.2: runs a frame's requests in order and sends their responses; the last may be answered asynchronously. */

import { CompoundChain, isRelated, type Member } from './compound.ts'
import { type AnyCommandRow, CommandContext, type CommandRow } from './context.ts'
import { dispatch, failureOf, updateChain } from './dispatch.ts'
import { Command } from './messages/commands.ts'
import { type Header, HeaderFlag } from './messages/header.ts'
import type { Outcome } from './outcome.ts'
import { encodeErrorReply, encodeReply, type Reply, sendReplies } from './reply.ts'
import type { Connection } from './state/connection.ts'
import type { Request } from './state/request.ts'
import type { Server } from './state/server.ts'
import type { Session } from './state/session.ts'
import { isFull } from './state/usage.ts'
import { Status } from './status.ts'

type Settled = Exclude<Outcome<unknown>, { kind: 'pending' }>
type Pending = Extract<Outcome<unknown>, { kind: 'pending' }>

/** Interim responses and their final ones carry no more credits than this each (3.3.4.2). */
const CREDITS_WITH_FINAL_ASYNC_RESPONSE = 0
/** macos.md section 9: a Mac gives a request up after 35 seconds without a word, and other requests wait behind it. */
const INTERIM_AFTER_MILLISECONDS = 5000

export class FrameRun {
  readonly #server: Server
  readonly #connection: Connection
  readonly #table: ReadonlyMap<number, AnyCommandRow>
  readonly #members: readonly Member[]
  readonly #encryptedWith: Session | undefined
  readonly #release: () => void
  readonly #chain = new CompoundChain()
  readonly #replies: Reply[] = []
  /** Who wants to know that the replies went out. */
  readonly #onSent: (() => void)[] = []
  #next = 0

  constructor(
    server: Server,
    connection: Connection,
    table: ReadonlyMap<number, AnyCommandRow>,
    members: readonly Member[],
    encryptedWith: Session | undefined,
    release: () => void,
  ) {
    this.#server = server
    this.#connection = connection
    this.#table = table
    this.#members = members
    this.#encryptedWith = encryptedWith
    this.#release = release
  }

  /** Runs all that can be run now; goes on by itself when something has to be waited for. */
  start(): void {
    for (;;) {
      const member = this.#members[this.#next]
      if (member === undefined) return this.#finish()
      this.#next++
      const context = this.#contextOf(member)
      const outcome = dispatch(this.#table.get(member.header.command), context, member, this.#chain)
      if (outcome instanceof Promise) return this.#await(context, outcome)
      if (!this.#arrived(context, outcome)) return
    }
  }

  /** Waits for storage. When that takes long the client is told so, lest it takes the server for dead. */
  #await(context: CommandContext, outcome: Promise<Outcome<unknown>>): void {
    const stop = context.last
      ? this.#server.environment.after(INTERIM_AFTER_MILLISECONDS, () => this.#goAsync(context))
      : undefined
    outcome.then((settled) => {
      stop?.()
      if (this.#arrived(context, settled)) this.start()
    })
  }

  /** Takes an outcome. @returns whether to go on with the next member at once */
  #arrived(context: CommandContext, outcome: Outcome<unknown>): boolean {
    if (outcome.kind === 'pending') {
      this.#wait(context, outcome)
      return false
    }
    return this.#settle(context, outcome)
  }

  #settle(context: CommandContext, outcome: Settled): boolean {
    this.#connection.requestList.delete(context.header.messageId)
    if (context.admission !== undefined) context.open.channelSequence.done(context.admission)
    if (context.request.asyncId !== undefined)
      this.#connection.asyncCommandList.delete(context.request.asyncId)
    if (outcome.kind === 'disconnect') {
      for (const reply of this.#replies.splice(0)) reply.payload?.release?.()
      this.#release()
      this.#connection.disconnect(outcome.reason)
      return false
    }
    updateChain(this.#chain, context, outcome)
    if (outcome.kind !== 'silent') this.#replies.push(this.#replyTo(context, outcome))
    if (context.onSent !== undefined) this.#onSent.push(context.onSent)
    return true
  }

  /** 3.3.4.2: the last request of a frame gets an interim response; one amid a compound holds up those behind it. */
  #wait(context: CommandContext, pending: Pending): void {
    if (this.#mayNotWait(context)) return this.#refuseToWait(context, pending)
    const { request } = context
    request.cancel = pending.cancel
    if (context.last) this.#goAsync(context)
    this.#waited(context, pending).then((outcome) => {
      if (!this.#settle(context, outcome)) return
      if (context.last) this.#finish()
      else this.start()
    })
  }

  /** 3.3.4.2: the server limits these, as a request that waits takes memory, but no credit. */
  #mayNotWait({ sessionIfAny }: CommandContext): boolean {
    if (this.#connection.asyncCommandList.size < this.#server.limits.asyncCommands) {
      return isFull(this.#server, 'pendingRequests', sessionIfAny)
    }
    this.#server.usage.refuse('pendingRequests')
    return true
  }

  /** Counts the request as long as it waits. */
  async #waited(context: CommandContext, pending: Pending): Promise<Settled> {
    const { sessionIfAny: session } = context
    const count = (by: number): void => {
      this.#server.usage.pendingRequests += by
      if (session !== undefined) session.pendingRequests += by
    }
    count(1)
    const outcome = await this.#completion(context, pending)
    count(-1)
    return outcome
  }

  #refuseToWait(context: CommandContext, pending: Pending): void {
    pending.cancel()
    this.#completion(context, pending).then((outcome) => {
      const isCancelled = outcome.kind === 'fail' && outcome.status === Status.CANCELLED
      const answer: Settled = isCancelled ? { kind: 'fail', status: Status.INSUFFICIENT_RESOURCES } : outcome
      if (this.#settle(context, answer)) this.start()
    })
  }

  /** Sends what was answered before, and the interim response of this one. */
  #goAsync(context: CommandContext): void {
    const { request } = context
    if (request.asyncId !== undefined) return
    const before = this.#replies.splice(0)
    if (before.length > 0) this.#send(before)
    request.asyncId = this.#connection.nextAsyncId++
    this.#connection.asyncCommandList.set(request.asyncId, request)
    const interim = this.#headerOf(context, Status.PENDING)
    this.#send([encodeErrorReply(interim, undefined, this.#connection.dialect, context.signingKey)])
  }

  async #completion(context: CommandContext, pending: Pending): Promise<Settled> {
    try {
      const outcome = await pending.completion
      return outcome.kind === 'pending' ? this.#completion(context, outcome) : outcome
    } catch (error) {
      return failureOf(error, context) as Settled
    }
  }

  #finish(): void {
    if (this.#replies.length > 0) this.#send(this.#replies)
    this.#release()
  }

  #send(replies: readonly Reply[]): void {
    const effect = sendReplies(this.#connection, replies, this.#encryptedWith)
    for (const chunk of effect.chunks) this.#connection.bytesSent += chunk.length
    this.#connection.apply(effect)
    for (const sent of this.#onSent.splice(0)) sent()
  }

  #contextOf(member: Member): CommandContext {
    const request: Request = {
      header: member.header,
      session: undefined,
      asyncId: undefined,
      cancel: undefined,
    }
    this.#server.counters.requests++
    // CANCEL answers nothing and is never cancelled itself.
    if (member.header.command !== Command.CANCEL) {
      this.#connection.requestList.set(member.header.messageId, request)
    }
    return new CommandContext({
      server: this.#server,
      connection: this.#connection,
      request,
      message: member.message,
      encrypted: this.#encryptedWith !== undefined,
      last: this.#next === this.#members.length,
    })
  }

  #replyTo(context: CommandContext, outcome: Exclude<Settled, { kind: 'silent' | 'disconnect' }>): Reply {
    try {
      return this.#encode(context, outcome)
    } catch (error) {
      // A body that cannot be encoded is a bug of its command; the client gets an answer all the same.
      if (outcome.kind === 'ok') outcome.payload?.release?.()
      return this.#encode(context, failureOf(error, context) as Extract<Settled, { kind: 'fail' }>)
    }
  }

  #encode(context: CommandContext, outcome: Exclude<Settled, { kind: 'silent' | 'disconnect' }>): Reply {
    const header = this.#headerOf(context, outcome.status)
    const reply =
      outcome.kind === 'fail'
        ? encodeErrorReply(header, outcome.errorData, this.#connection.dialect, context.signingKey)
        : this.#encodeBody(context, header, outcome)
    return context.onResponse === undefined ? reply : { ...reply, onSigned: context.onResponse }
  }

  #encodeBody(context: CommandContext, header: Header, outcome: Extract<Settled, { kind: 'ok' }>): Reply {
    // The row that ran gave the body, so its encode takes it; the table has forgotten the type.
    const row = this.#table.get(header.command) as unknown as CommandRow
    return encodeReply(
      header,
      (writer) => row.encode(writer, outcome.body),
      outcome.payload,
      context.signingKey,
    )
  }

  #headerOf(context: CommandContext, status: number): Header {
    const { header, request } = context
    const isAsync = request.asyncId !== undefined
    const isFinalAsync = isAsync && status !== Status.PENDING
    // There is no key any more; but who signs takes no answer without the flag, and does not verify this status.
    const isOrphaned = status === Status.USER_SESSION_DELETED && context.signingKey === undefined
    return {
      creditCharge: header.creditCharge,
      status,
      command: header.command,
      credits: isFinalAsync
        ? CREDITS_WITH_FINAL_ASYNC_RESPONSE
        : this.#connection.commandSequenceWindow.grant(header.credits),
      flags:
        HeaderFlag.SERVER_TO_REDIR |
        (isAsync ? HeaderFlag.ASYNC_COMMAND : 0) |
        (isOrphaned ? header.flags & HeaderFlag.SIGNED : 0) |
        (isRelated(header) ? HeaderFlag.RELATED_OPERATIONS : 0),
      nextCommand: 0,
      messageId: header.messageId,
      asyncId: request.asyncId ?? 0n,
      treeId: context.treeConnectIfAny?.treeId ?? header.treeId,
      sessionId: context.sessionIfAny?.sessionId ?? header.sessionId,
    }
  }
}
