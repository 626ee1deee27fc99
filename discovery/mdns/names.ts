/** The next name to try after a conflict: RFC 6762 9 leaves the form to us. Letters, digits and "-" only, which all clients take. */

/** RFC 1035 2.3.4: bytes of a label. */
const LABEL_MAXIMUM = 63

/** `ocean`, `ocean-2`, `ocean-3`. @param first as configured @param current as used now */
export function nextName(first: string, current: string): string {
  const number = current === first ? 2 : Number(/-(\d+)$/.exec(current)?.[1] ?? 1) + 1
  const suffix = `-${number}`
  return first.slice(0, LABEL_MAXIMUM - suffix.length) + suffix
}
