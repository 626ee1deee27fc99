/** sshd(8), command=: the few commands of zfs that a replication key may give, word for word; everything else is refused. */

import {
  BOOKMARK_QUESTION,
  DATASET_QUESTION,
  HOLDS_QUESTION,
  SNAPSHOT_QUESTION,
} from '../../storage/zfs/replica-state.ts'
import { SNAPSHOT_REASONS } from '../../storage/zfs/snapshot.ts'
import { PLAIN_DATASET } from '../config/places.ts'
import { done, failed, type Outcome } from '../outcome.ts'

/** What a key may do. Receiving and holding below the root is always allowed. */
export interface Grant {
  /** Only datasets below it, not itself. */
  readonly root: string
  /** Snapshots that were made by us may be destroyed. */
  readonly thin: boolean
  /** Datasets may be sent from here: for `pull`. */
  readonly send: boolean
}

export interface PermittedCommand {
  /** For zfs. */
  readonly args: readonly string[]
  /** Must be marked as ours before. */
  readonly ownSnapshot?: string
  /** Says what it is of only when it is read: that must be below the root. */
  readonly token?: string
}

const NAME = '[A-Za-z0-9][A-Za-z0-9_.:-]*'
const POINT = '[A-Za-z0-9_.:-]+'
const SNAPSHOT = new RegExp(`^(${NAME}(?:/${NAME})*)@${POINT}$`)
const BOOKMARK = new RegExp(`^(${NAME}(?:/${NAME})*)#${POINT}$`)
const OWN_BOOKMARK = new RegExp(`^(${NAME}(?:/${NAME})*)#poolhouse:${POINT}$`)
const OWN_TAG = /^poolhouse:[A-Za-z0-9_.:@/-]+$/
const TOKEN = /^[0-9a-f-]{1,16384}$/
const REASON = new RegExp(`^poolhouse:reason=(?:${SNAPSHOT_REASONS.join('|')})$`)
const LONGEST_COMMAND = 128 * 1024

/** Nothing that a shell would take apart: such words go over ssh as they are. */
export const PLAIN_WORD = /^[A-Za-z0-9_.:/@#,=+-]+$/

type Slot = 'dataset' | 'snapshot' | 'bookmark' | 'own bookmark' | 'tag' | 'token' | 'reason'

interface Rule {
  /** Each word as it is, or what it must be. */
  readonly words: readonly (string | { readonly slot: Slot })[]
  /** The last one may come any number of times. */
  readonly repeats?: boolean
  readonly needs?: 'thin' | 'send'
  readonly check?: 'own snapshot' | 'token'
}

const slot = (name: Slot): { readonly slot: Slot } => ({ slot: name })

const RULES: readonly Rule[] = [
  { words: [...DATASET_QUESTION, slot('dataset')] },
  { words: [...SNAPSHOT_QUESTION, slot('dataset')] },
  { words: [...BOOKMARK_QUESTION, slot('dataset')] },
  { words: [...HOLDS_QUESTION, slot('snapshot')], repeats: true },
  { words: ['hold', slot('tag'), slot('snapshot')] },
  { words: ['release', slot('tag'), slot('snapshot')] },
  { words: ['receive', '-s', '-u', slot('dataset')] },
  { words: ['receive', '-A', slot('dataset')] },
  { words: ['set', 'readonly=on', slot('dataset')] },
  { words: ['set', slot('reason'), slot('snapshot')], repeats: true, needs: 'thin' },
  { words: ['destroy', slot('snapshot')], needs: 'thin', check: 'own snapshot' },
  { words: ['bookmark', slot('snapshot'), slot('own bookmark')], needs: 'send' },
  { words: ['destroy', slot('own bookmark')], needs: 'send' },
  ...[[], ['-nvP']].flatMap((estimate): Rule[] => [
    { words: ['send', ...estimate, '-w', slot('snapshot')], needs: 'send' },
    { words: ['send', ...estimate, '-w', '-I', slot('snapshot'), slot('snapshot')], needs: 'send' },
    { words: ['send', ...estimate, '-w', '-i', slot('bookmark'), slot('snapshot')], needs: 'send' },
    { words: ['send', ...estimate, '-t', slot('token')], needs: 'send', check: 'token' },
  ]),
]

/** The dataset that a word names, or that it is no name at all; undefined: it is not what the slot takes. */
function subjectOf(name: Slot, word: string): string | 'none' | undefined {
  const dataset = (pattern: RegExp): string | undefined => pattern.exec(word)?.[1]
  const plain = (pattern: RegExp): 'none' | undefined => (pattern.test(word) ? 'none' : undefined)
  switch (name) {
    case 'dataset':
      return PLAIN_DATASET.test(word) ? word : undefined
    case 'snapshot':
      return dataset(SNAPSHOT)
    case 'bookmark':
      return dataset(BOOKMARK)
    case 'own bookmark':
      return dataset(OWN_BOOKMARK)
    case 'tag':
      return plain(OWN_TAG)
    case 'token':
      return plain(TOKEN)
    case 'reason':
      return plain(REASON)
  }
}

export function isBelow(root: string, dataset: string): boolean {
  return dataset.startsWith(`${root}/`)
}

/** @param line what the client asked for: `zfs`, and words with one space between them */
export function permitCommand(line: string, grant: Grant): Outcome<PermittedCommand> {
  const shown = JSON.stringify(line.slice(0, 200))
  if (line.length > LONGEST_COMMAND) return failed('this command is too long for this key')
  const [program, ...args] = line.split(' ')
  const rule = program === 'zfs' ? RULES.find((each) => subjectsOf(each, args) !== undefined) : undefined
  if (rule === undefined) return failed(`this key may not do that: ${shown}`)
  const subjects = subjectsOf(rule, args) ?? []
  const outside = subjects.find((subject) => subject !== 'none' && !isBelow(grant.root, subject))
  if (outside !== undefined) {
    return failed(`this key is for datasets below "${grant.root}" alone, and not for "${outside}"`)
  }
  if (rule.needs !== undefined && !grant[rule.needs]) {
    const purpose = rule.needs === 'thin' ? 'thin snapshots' : 'send from here'
    return failed(`this key may not ${purpose}: ${shown}; its line in authorized_keys needs --${rule.needs}`)
  }
  const last = args.at(-1) ?? ''
  return done({
    args,
    ...(rule.check === 'own snapshot' ? { ownSnapshot: last } : {}),
    ...(rule.check === 'token' ? { token: last } : {}),
  })
}

/** What the words are of, when they are the rule's. */
function subjectsOf({ words, repeats = false }: Rule, args: readonly string[]): string[] | undefined {
  if (repeats ? args.length < words.length : args.length !== words.length) return undefined
  const subjects: string[] = []
  for (const [index, word] of args.entries()) {
    const wanted = words[Math.min(index, words.length - 1)]
    if (typeof wanted === 'string') {
      if (word !== wanted) return undefined
    } else if (wanted !== undefined) {
      const subject = subjectOf(wanted.slot, word)
      if (subject === undefined) return undefined
      subjects.push(subject)
    }
  }
  return subjects
}

/** The dataset that a token's stream is of, from what a trial of sending says about it; undefined: that is not clear. */
export function datasetOfToken(trial: string): string | undefined {
  const names = [...trial.matchAll(/toname = (.*)/g)].map(([, name = '']) => name)
  const [only] = names
  return names.length === 1 && only !== undefined ? SNAPSHOT.exec(only)?.[1] : undefined
}
