/** Property lists as XML (the DTD PropertyList-1.0). */

import { readXml, type XmlElement, XmlError } from '../../discovery/xml/reader.ts'
import { PLIST_DEPTH_MAXIMUM, PLIST_VALUES_MAXIMUM, PlistError, type PlistValue } from './plist-value.ts'

/** Apple's own, which declares nothing here and is not fetched; one with declarations in it is refused. */
const DOCTYPE =
  /^(\s*(?:<\?xml[^<>]{0,100}\?>)?\s*)<!DOCTYPE plist PUBLIC "[^"<>[\]]{0,200}" "[^"<>[\]]{0,200}">/
const INTEGER = /^[+-]?(?:0x[0-9a-f]{1,16}|\d{1,20})$/i
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/** @throws PlistError */
export function readXmlPlist(bytes: Buffer): PlistValue {
  const limits = { depth: PLIST_DEPTH_MAXIMUM, elements: PLIST_VALUES_MAXIMUM }
  try {
    const root = readXml(bytes.toString('utf8').replace(DOCTYPE, '$1'), limits)
    // As on a Mac, a value without its envelope will do.
    if (root.name !== 'plist') return toValue(root)
    const [value, ...more] = root.children
    if (value === undefined || more.length > 0) throw new PlistError('no single value in <plist>')
    return toValue(value)
  } catch (error) {
    throw error instanceof XmlError ? new PlistError(error.message) : error
  }
}

function toValue(element: XmlElement): PlistValue {
  const text = element.text.trim()
  switch (element.name) {
    case 'dict':
      return dictionary(element.children)
    case 'array':
      return element.children.map(toValue)
    case 'string':
      return element.text
    case 'integer':
      return integer(text)
    case 'real':
      return real(text)
    case 'date':
      return date(text)
    case 'data':
      return Buffer.from(text, 'base64')
    case 'true':
      return true
    case 'false':
      return false
    default:
      throw new PlistError(`<${element.name}> is no value`)
  }
}

function dictionary(children: readonly XmlElement[]): ReadonlyMap<string, PlistValue> {
  const members = new Map<string, PlistValue>()
  for (let at = 0; at < children.length; at += 2) {
    const key = children[at]
    const value = children[at + 1]
    if (key?.name !== 'key' || value === undefined) throw new PlistError('a key and a value were expected')
    members.set(key.text, toValue(value))
  }
  return members
}

function integer(text: string): bigint {
  if (!INTEGER.test(text)) throw new PlistError('not an integer')
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''))
}

function real(text: string): number {
  const value = Number(text)
  if (text === '' || Number.isNaN(value)) throw new PlistError('not a number')
  return value
}

function date(text: string): Date {
  const value = new Date(text)
  if (!DATE.test(text) || Number.isNaN(value.getTime())) throw new PlistError('not a date')
  return value
}
