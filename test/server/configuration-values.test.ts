/** The parts the configuration is read with: lines of keys, sizes, addresses, suggestions. */

import fc from 'fast-check'
import { parse as parseToml } from 'smol-toml'
import t from 'tap'
import type { AddressRange } from '../../server/config/addresses.ts'
import {
  addressAllowed,
  formatListenAddress,
  isLoopback,
  parseAddressRange,
  parseListenAddress,
} from '../../server/config/addresses.ts'
import { locateKeys } from '../../server/config/locate.ts'
import { formatSize, parseSize } from '../../server/config/sizes.ts'
import { editDistance, nearest } from '../../server/config/suggest.ts'

t.test('lines of keys', async (t) => {
  const text = [
    '# comment = 1', // 1
    'a.b = 1 # x', // 2
    'text = """', // 3
    '[not.a.table]', // 4
    'c = 1"""', // 5
    "lit = '''", // 6
    "[x]'''", // 7
    '["quoted key".sub] # [no]', // 8
    'list = [', // 9
    '  "a]", # comment ]', // 10
    '  { k = [1, 2], "w x" = "}" },', // 11
    '  3,', // 12
    ']', // 13
    'after = 1979-05-27T07:32:00Z', // 14
    '[[t]]', // 15
    '[[t.u]]', // 16
    'v = 1', // 17
    '[[t.u]]', // 18
    'v = 2', // 19
    '[t.w]', // 20
    '[[t]]', // 21
    "u = [{ v = '#' }]", // 22
  ].join('\r\n')
  parseToml(text)
  const { lineOf } = locateKeys(text)
  const expected: [(string | number)[], number | undefined][] = [
    [['a'], 2],
    [['a', 'b'], 2],
    [['text'], 3],
    [['not'], undefined],
    [['c'], undefined],
    [['lit'], 6],
    [['x'], undefined],
    [['quoted key', 'sub'], 8],
    [['quoted key', 'sub', 'list', 0], 10],
    [['quoted key', 'sub', 'list', 1, 'w x'], 11],
    [['quoted key', 'sub', 'list', 1, 'k', 1], 11],
    [['quoted key', 'sub', 'list', 2], 12],
    [['quoted key', 'sub', 'after'], 14],
    [['t', 0, 'u', 0, 'v'], 17],
    [['t', 0, 'u', 1, 'v'], 19],
    [['t', 0, 'w'], 20],
    [['t', 1], 21],
    [['t', 1, 'u', 0, 'v'], 22],
    [['t', 1, 'absent'], 21],
  ]
  for (const [path, line] of expected) t.equal(lineOf(path), line, JSON.stringify(path))
})

t.test('the locator ends on any text', async (t) => {
  const pieces = fc.constantFrom(
    '[',
    ']',
    '[[',
    '=',
    '"',
    "'",
    '"""',
    '.',
    ',',
    '{',
    '}',
    '#',
    '\n',
    ' ',
    'a',
    '\\',
    '1',
  )
  const property = fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
    locateKeys(parts.join('')).lineOf(['a'])
  })
  t.doesNotThrow(() => fc.assert(property))
})

t.test('sizes', async (t) => {
  const cases: [unknown, number | undefined][] = [
    [0, 0],
    [4096, 4096],
    ['4096', 4096],
    ['1K', 1024],
    ['1k', 1024],
    ['500G', 500 * 1024 ** 3],
    ['500 GiB', 500 * 1024 ** 3],
    ['1TiB', 1024 ** 4],
    ['2TB', 2e12],
    ['2tb', 2e12],
    ['7B', 7],
    ['8191T', 8191 * 1024 ** 4],
    ['8192T', undefined],
    ['8E', undefined],
    [2 ** 53, undefined],
    [-1, undefined],
    [1.5, undefined],
    ['1.5G', undefined],
    ['-1G', undefined],
    ['G', undefined],
    ['5 X', undefined],
    ['', undefined],
    [true, undefined],
    [10n, undefined],
  ]
  for (const [value, bytes] of cases) t.equal(parseSize(value), bytes, String(value))
  t.strictSame([0, 1023, 1024, 1536, 10 * 1024 ** 3, 1.5 * 1024 ** 4].map(formatSize), [
    '0 B',
    '1023 B',
    '1 KiB',
    '1.5 KiB',
    '10 GiB',
    '1.5 TiB',
  ])
})

t.test('suggestions', async (t) => {
  t.equal(editDistance('signing', 'singing'), 1, 'neighbours swapped')
  t.equal(editDistance('', 'abc'), 3)
  t.equal(nearest('lisen', ['listen', 'level']), 'listen')
  t.equal(nearest('validusers', ['valid_users']), 'valid_users')
  t.equal(nearest('banana', ['listen', 'level']), undefined)
  t.equal(nearest('id', ['name', 'path']), undefined, 'a short word is not just anything')
})

t.test('addresses', async (t) => {
  t.strictSame(parseListenAddress('[fe80::1]:445'), { host: 'fe80::1', port: 445 })
  t.strictSame(parseListenAddress('localhost:0'), { host: '127.0.0.1', port: 0 })
  for (const wrong of [
    '1.2.3.4',
    '::1:445',
    '1.2.3:445',
    '1.2.3.4:65536',
    'host:445',
    '[1.2.3.4]:445',
    ':445',
    445,
  ]) {
    t.equal(parseListenAddress(wrong), undefined, String(wrong))
  }
  t.equal(formatListenAddress({ host: '::', port: 445 }), '[::]:445')
  t.ok(isLoopback('127.3.2.1') && isLoopback('::1') && !isLoopback('0.0.0.0'))
  const ranges = (...texts: string[]): AddressRange[] =>
    texts.map((text) => parseAddressRange(text) as AddressRange)
  const cases: [string, string[], string[], boolean][] = [
    ['192.0.2.1', [], [], true],
    ['192.0.2.1', ['192.0.2.0/24'], [], true],
    ['::ffff:192.0.2.1', ['192.0.2.0/24'], [], true],
    ['198.51.100.1', ['192.0.2.0/24'], [], false],
    ['192.0.2.1', [], ['192.0.2.0/24'], false],
    ['198.51.100.1', [], ['192.0.2.0/24'], true],
    ['192.0.2.1', ['192.0.2.0/24'], ['192.0.2.1'], false],
    ['192.0.2.1', ['192.0.2.1'], ['0.0.0.0/0'], true],
    ['192.0.2.1', ['192.0.2.0/24'], ['192.0.2.0/24'], true],
    ['198.51.100.1', ['192.0.2.0/24'], ['203.0.113.0/24'], false],
    ['fd00::5', ['fd00::/8'], [], true],
    ['2001:db8::1', ['0.0.0.0/0'], [], false],
    ['not an address', [], ['192.0.2.0/24'], false],
  ]
  for (const [client, allow, deny, expected] of cases) {
    t.equal(
      addressAllowed(client, ranges(...allow), ranges(...deny)),
      expected,
      `${client} +${allow} -${deny}`,
    )
  }
  for (const wrong of ['10.0.0.0/33', '10.0/8', 'fd00::/129', '1.2.3.4/', '1.2.3.4/8/8', 'lan', 7]) {
    t.equal(parseAddressRange(wrong), undefined, String(wrong))
  }
})
