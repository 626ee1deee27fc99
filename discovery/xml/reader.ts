/** A strict reader for the XML 1.0 of SOAP messages and property lists: elements, attributes, text and namespaces; no DTD, no processing instructions, no entities but the five. */

/** What is not XML, or more than a message of WS-Discovery has any use for. */
export class XmlError extends Error {
  override readonly name = 'XmlError'
}

/** A name with the namespace that its prefix stood for. */
export interface QName {
  readonly namespace: string
  readonly name: string
}

export interface XmlElement extends QName {
  /** Attributes without a prefix, by name; prefixed ones as `{namespace}name`. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** The text directly in it, joined. */
  readonly text: string
  /** What a prefix means here, for names in text; '' is the default namespace. */
  resolve(prefix: string): string | undefined
}

/** Bounds of a document. */
export interface XmlLimits {
  readonly depth: number
  readonly elements: number
}

/** Messages of Windows have a depth of 5 and some 15 elements. */
const MESSAGE_LIMITS: XmlLimits = { depth: 16, elements: 256 }
const ATTRIBUTES_MAXIMUM = 32
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace'

const DECLARATION = /<\?xml\s[^?<>]{0,100}\?>/y
const COMMENT = /<!--(?:[^-]|-(?!-))*-->/y
const SPACE = /[ \t\r\n]*/y
const TEXT = /[^<]+/y
const CDATA = /<!\[CDATA\[([\s\S]*?)\]\]>/y
const NAME_PATTERN = '[A-Za-z_][A-Za-z0-9_.-]*'
const OPEN = new RegExp(`<((?:${NAME_PATTERN}:)?${NAME_PATTERN})`, 'y')
const CLOSE = new RegExp(`</((?:${NAME_PATTERN}:)?${NAME_PATTERN})[ \\t\\r\\n]*>`, 'y')
const ATTRIBUTE = new RegExp(
  `[ \\t\\r\\n]+((?:${NAME_PATTERN}:)?${NAME_PATTERN})[ \\t\\r\\n]*=[ \\t\\r\\n]*(?:"([^"<]*)"|'([^'<]*)')`,
  'y',
)
const TAG_END = /[ \t\r\n]*(\/?)>/y
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
const HIGHEST_CODE_POINT = 0x10ffff
/** XML 1.0 2.2: no control characters but these three. */
const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

interface Scope {
  readonly prefixes: ReadonlyMap<string, string>
  readonly depth: number
}

/** Reads a whole document. @throws XmlError for anything that is not well-formed, refused here, or too much */
export function readXml(text: string, limits = MESSAGE_LIMITS): XmlElement {
  return new Reader(text, limits).document()
}

class Reader {
  readonly #text: string
  #position = 0
  readonly #limits: XmlLimits
  #elements = 0

  constructor(text: string, limits: XmlLimits) {
    this.#limits = limits
    this.#text = text.startsWith('\ufeff') ? text.slice(1) : text
    if (FORBIDDEN.test(this.#text)) throw new XmlError('a character that XML does not allow')
  }

  document(): XmlElement {
    this.#take(DECLARATION)
    this.#skipMisc()
    const root = this.#element({ prefixes: new Map([['xml', XML_NAMESPACE]]), depth: 1 })
    this.#skipMisc()
    if (this.#position < this.#text.length) throw new XmlError('text after the root element')
    return root
  }

  #element(outer: Scope): XmlElement {
    const [, tag] = this.#take(OPEN) ?? []
    if (tag === undefined) throw new XmlError('an element was expected; DTDs and instructions are refused')
    this.#elements += 1
    if (outer.depth > this.#limits.depth || this.#elements > this.#limits.elements)
      throw new XmlError('too many elements')
    const written = this.#attributes()
    const scope = { prefixes: declare(outer.prefixes, written), depth: outer.depth + 1 }
    const end = this.#take(TAG_END)
    if (end === undefined) throw new XmlError(`<${tag}> does not end`)
    const content = end[1] === '/' ? { text: '', children: [] } : this.#content(tag, scope)
    return {
      ...resolveName(tag, scope.prefixes, true),
      attributes: resolveAttributes(written, scope.prefixes),
      ...content,
      resolve: (prefix) => scope.prefixes.get(prefix),
    }
  }

  #attributes(): Map<string, string> {
    const attributes = new Map<string, string>()
    for (let match = this.#take(ATTRIBUTE); match !== undefined; match = this.#take(ATTRIBUTE)) {
      const [, name = '', double, single] = match
      if (attributes.has(name)) throw new XmlError(`attribute ${name} twice`)
      if (attributes.size >= ATTRIBUTES_MAXIMUM) throw new XmlError('too many attributes')
      attributes.set(name, decodeEntities(double ?? single ?? ''))
    }
    return attributes
  }

  #content(tag: string, scope: Scope): { text: string; children: XmlElement[] } {
    const children: XmlElement[] = []
    let text = ''
    for (;;) {
      const characters = this.#take(TEXT)
      const data = characters === undefined ? this.#take(CDATA) : undefined
      const close = characters === undefined && data === undefined ? this.#take(CLOSE) : undefined
      if (characters !== undefined) {
        text += decodeEntities(characters[0])
      } else if (data !== undefined) {
        text += data[1] ?? ''
      } else if (close !== undefined) {
        if (close[1] !== tag) throw new XmlError(`</${close[1]}> closes <${tag}>`)
        return { text, children }
      } else if (this.#take(COMMENT) === undefined) {
        children.push(this.#element(scope))
      }
    }
  }

  /** White space and comments around the root element. */
  #skipMisc(): void {
    do this.#take(SPACE)
    while (this.#take(COMMENT) !== undefined)
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#position
    const match = pattern.exec(this.#text) ?? undefined
    this.#position += match?.[0].length ?? 0
    return match
  }
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replaceAll(/&([^;&]{0,8});?/g, (whole, name: string) => {
    if (!whole.endsWith(';')) throw new XmlError('"&" without an entity')
    const [, decimal, hex] = /^#(?:([0-9]+)|x([0-9A-Fa-f]+))$/.exec(name) ?? []
    if (decimal === undefined && hex === undefined) {
      const known = ENTITIES[name]
      if (known === undefined || !Object.hasOwn(ENTITIES, name))
        throw new XmlError(`entity ${name} is refused`)
      return known
    }
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '', 16)
    const character = code <= HIGHEST_CODE_POINT ? String.fromCodePoint(code) : '\0'
    if (FORBIDDEN.test(character)) throw new XmlError('a character that XML does not allow')
    return character
  })
}

/** The prefixes in scope, with those that an element declares. */
function declare(
  outer: ReadonlyMap<string, string>,
  written: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const declared = [...written].filter(([name]) => name === 'xmlns' || name.startsWith('xmlns:'))
  if (declared.length === 0) return outer
  const prefixes = new Map(outer)
  for (const [name, namespace] of declared) prefixes.set(name.slice('xmlns:'.length), namespace)
  return prefixes
}

/** @throws XmlError for a prefix that was not declared */
function resolveName(written: string, prefixes: ReadonlyMap<string, string>, usesDefault: boolean): QName {
  const [first = '', second] = written.split(':')
  if (second === undefined) return { namespace: usesDefault ? (prefixes.get('') ?? '') : '', name: first }
  const namespace = prefixes.get(first)
  if (namespace === undefined) throw new XmlError(`prefix ${first} is not declared`)
  return { namespace, name: second }
}

function resolveAttributes(
  written: ReadonlyMap<string, string>,
  prefixes: ReadonlyMap<string, string>,
): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [name, value] of written) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) continue
    const { namespace, name: local } = resolveName(name, prefixes, false)
    const key = namespace === '' ? local : `{${namespace}}${local}`
    if (attributes.has(key)) throw new XmlError(`attribute ${key} twice`)
    attributes.set(key, value)
  }
  return attributes
}

/** The first child of that name. */
export function childOf(
  element: XmlElement | undefined,
  namespace: string,
  name: string,
): XmlElement | undefined {
  return element?.children.find((child) => child.namespace === namespace && child.name === name)
}

/** A name in text, such as `wsdp:Device`, by the prefixes in scope there. @throws XmlError for a prefix that was not declared */
export function qualifiedName(element: XmlElement, written: string): QName {
  const [first = '', second] = written.split(':')
  const namespace = element.resolve(second === undefined ? '' : first)
  if (namespace === undefined && second !== undefined) throw new XmlError(`prefix ${first} is not declared`)
  return { namespace: namespace ?? '', name: second ?? first }
}

/** Text as it stands in an element or an attribute in double quotes. */
export function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { '<': 'lt', '>': 'gt', '&': 'amp', '"': 'quot' }
  return text.replaceAll(/[<>&"]/g, (character) => `&${names[character]};`)
}
