/** Names of snapshot folders that say when they were made, as strftime(3) would write them in UTC. */

/** What a field stands for, and how it is written. */
const FIELDS: Readonly<Record<string, string>> = {
  '%Y': '(?<year>\\d{4})',
  '%m': '(?<month>\\d\\d)',
  '%d': '(?<day>\\d\\d)',
  '%H': '(?<hours>\\d\\d)',
  '%M': '(?<minutes>\\d\\d)',
  '%S': '(?<seconds>\\d\\d)',
  '%s': '(?<epoch>\\d{1,11})',
  '%%': '%',
  '*': '.*',
}
const PARTS = /%.|\*|[^%*]+/g
const MILLISECONDS = 1000

/** What a `snapshot_format` may be: the date or the seconds since 1970, each field once at most, no other fields. */
export const NAME_FORMAT =
  /^(?=.*%s|(?=.*%Y)(?=.*%m).*%d)(?!.*(%[YmdHMSs]).*\1)(?:[^%/\0]|%[YmdHMSs%]){1,255}$/s

/**
 * @param format matches NAME_FORMAT; `*` stands for anything
 * @returns what tells the time of a name in milliseconds since 1970; undefined: it has none
 */
export function nameParser(format: string): (name: string) => number | undefined {
  const parts = format.match(PARTS) ?? []
  const pattern = new RegExp(`^${parts.map((part) => FIELDS[part] ?? literal(part)).join('')}$`, 's')
  return (name) => {
    const groups = pattern.exec(name)?.groups
    return groups === undefined ? undefined : momentOf(groups)
  }
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function momentOf(groups: Readonly<Record<string, string | undefined>>): number | undefined {
  const { epoch, year, month, day, hours = '00', minutes = '00', seconds = '00' } = groups
  const moment =
    epoch === undefined
      ? Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`)
      : Number(epoch) * MILLISECONDS
  return Number.isNaN(moment) ? undefined : moment
}
