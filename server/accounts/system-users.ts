/** System users and groups: /etc/passwd and /etc/group at once, others (LDAP, sssd) through id(1) and getent(1). */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Identity } from '../../storage/file-system.ts'

const COMMAND_TIMEOUT_MILLISECONDS = 10_000
/** Also keeps a name from being read as an option. */
const LOOKUP_NAME = /^[A-Za-z0-9_.][A-Za-z0-9_.@\\$-]{0,104}$/

export interface GroupEntry {
  readonly gid: number
  readonly members: readonly string[]
}

/** passwd(5): name:password:uid:gid:comment:home:shell */
export function parsePasswd(text: string): Map<string, { readonly uid: number; readonly gid: number }> {
  const users = new Map<string, { uid: number; gid: number }>()
  for (const line of text.split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (!name || !isId(uid) || !isId(gid)) continue
    if (!users.has(name)) users.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  return users
}

/** group(5): name:password:gid:member,member */
export function parseGroup(text: string): Map<string, GroupEntry> {
  const groups = new Map<string, GroupEntry>()
  for (const line of text.split('\n')) {
    const [name, , gid, members] = line.split(':')
    if (!name || !isId(gid)) continue
    if (!groups.has(name))
      groups.set(name, { gid: Number(gid), members: (members ?? '').split(',').filter(Boolean) })
  }
  return groups
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text)
}

/** Where the names come from; a test puts its own texts and commands here. */
export interface SystemSources {
  passwd(): Promise<string>
  group(): Promise<string>
  /** Runs a command. @returns its output; undefined when it fails or is missing */
  run(command: string, args: readonly string[]): Promise<string | undefined>
}

export const HOST_SOURCES: SystemSources = {
  passwd: () => readFile('/etc/passwd', 'utf8').catch(() => ''),
  group: () => readFile('/etc/group', 'utf8').catch(() => ''),
  run: async (command, args) => {
    try {
      const { stdout } = await promisify(execFile)(command, [...args], {
        timeout: COMMAND_TIMEOUT_MILLISECONDS,
      })
      return stdout
    } catch {
      return undefined
    }
  },
}

/**
 * Answers from memory, so that a login or tree connect need not wait. `prepare` reads everything
 * anew (at start and at SIGHUP) and asks the system for the names that the files do not have.
 */
export class SystemUsers {
  private readonly sources: SystemSources
  private users: ReadonlyMap<string, Identity> = new Map()
  private groups: ReadonlyMap<string, number> = new Map()
  private namesByUid: ReadonlyMap<number, string> = new Map()
  private namesByGid: ReadonlyMap<number, string> = new Map()

  constructor(sources: SystemSources = HOST_SOURCES) {
    this.sources = sources
  }

  /** @param userNames and @param groupNames that will be asked for; what the files list is known anyway */
  async prepare(userNames: Iterable<string> = [], groupNames: Iterable<string> = []): Promise<void> {
    const passwd = parsePasswd(await this.sources.passwd())
    const group = parseGroup(await this.sources.group())
    const users = new Map<string, Identity>()
    for (const [name, { uid, gid }] of passwd)
      users.set(name, { uid, gid, groups: groupsOf(name, gid, group) })
    const groups = new Map([...group].map(([name, { gid }]) => [name, gid]))
    for (const name of userNames) {
      const identity = users.has(name) ? undefined : await this.askForUser(name)
      if (identity) users.set(name, identity)
    }
    for (const name of groupNames) {
      const gid = groups.has(name) ? undefined : await this.askForGroup(name)
      if (gid !== undefined) groups.set(name, gid)
    }
    this.users = users
    this.groups = groups
    this.namesByUid = firstNames(users, ({ uid }) => uid)
    this.namesByGid = firstNames(groups, (gid) => gid)
  }

  /** @returns the system user's ids; undefined when there is none of this name */
  user(name: string): Identity | undefined {
    return this.users.get(name)
  }

  /** @returns the group's id; undefined when there is none of this name */
  group(name: string): number | undefined {
    return this.groups.get(name)
  }

  /** Whether a user's ids include the group. */
  isMember(identity: Identity, groupName: string): boolean {
    const gid = this.groups.get(groupName)
    return gid !== undefined && (identity.gid === gid || identity.groups.includes(gid))
  }

  /** Name of the user with an id, for what has to be shown. */
  nameOf(uid: number): string | undefined {
    return this.namesByUid.get(uid)
  }

  /** Name of the group with an id. */
  groupNameOf(gid: number): string | undefined {
    return this.namesByGid.get(gid)
  }

  private async askForUser(name: string): Promise<Identity | undefined> {
    if (!LOOKUP_NAME.test(name)) return undefined
    const answers: (readonly number[])[] = []
    for (const option of ['-u', '-g', '-G']) {
      const output = (await this.sources.run('id', [option, '--', name]))?.trim()
      if (!output?.split(/\s+/).every(isId)) return undefined
      answers.push(output.split(/\s+/).map(Number))
    }
    const [[uid] = [], [gid] = [], groups = []] = answers
    return uid === undefined || gid === undefined ? undefined : { uid, gid, groups }
  }

  private async askForGroup(name: string): Promise<number | undefined> {
    if (!LOOKUP_NAME.test(name)) return undefined
    return parseGroup((await this.sources.run('getent', ['group', name])) ?? '').get(name)?.gid
  }
}

function groupsOf(user: string, primary: number, groups: ReadonlyMap<string, GroupEntry>): number[] {
  const ids = new Set([primary])
  for (const { gid, members } of groups.values()) if (members.includes(user)) ids.add(gid)
  return [...ids]
}

/** Several names may have one id: the first is what the system shows, too. */
function firstNames<T>(byName: ReadonlyMap<string, T>, idOf: (value: T) => number): Map<number, string> {
  const names = new Map<number, string>()
  for (const [name, value] of byName) if (!names.has(idOf(value))) names.set(idOf(value), name)
  return names
}
