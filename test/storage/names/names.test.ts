/** MS-FSA 2.1.4.4 and MS-FSCC 2.1.5: folding, expressions, short names, private-range names, validity. */

import fc from 'fast-check'
import t from 'tap'
import { compile, isWild, MAXIMUM_EXPRESSION_UNITS } from '../../../storage/names/expression.ts'
import { foldKey, normalKey } from '../../../storage/names/fold.ts'
import { toClient, toNative } from '../../../storage/names/sfm.ts'
import { isShortName, looksGenerated, shortNameOf } from '../../../storage/names/short-name.ts'
import { componentError, streamNameError } from '../../../storage/names/valid.ts'

t.test('fold: one unit to one, nothing beyond ASCII into it', async (t) => {
  t.equal(foldKey('Straße ÿ çéΣσς я'), 'STRAßE Ÿ ÇÉΣΣΣ Я')
  t.equal(foldKey('ıſ'), 'ıſ')
  t.equal(foldKey('\u{10428}'), '\u{10428}', 'surrogates stay')
  t.not(foldKey('caf\u00e9'), foldKey('cafe\u0301'))
  t.equal(normalKey('CAF\u00c9'), normalKey('cafe\u0301'))
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const key = foldKey(name)
      return (
        key.length === name.length && foldKey(key) === key && normalKey(normalKey(name)) === normalKey(name)
      )
    }),
  )
})

t.test('expression: the wildcards of FsRtlIsNameInExpression', async (t) => {
  const rows: [pattern: string, matching: string[], other: string[]][] = [
    ['*', ['', 'a', 'a.b', '.'], []],
    ['*.*', ['a.b', '.', 'a.'], ['a', '']],
    ['?', ['a', '.'], ['', 'ab']],
    ['a?c*', ['abc', 'A.CD'], ['ac', 'abd']],
    ['*.TXT', ['a.txt', '.txt', 'a.b.Txt'], ['a.txt1', 'atxt']],
    ['<.txt', ['a.txt', 'a.b.txt'], ['a.txt.b']],
    ['<', ['abc', '', 'a.'.slice(0, 1)], ['a.b']],
    ['<.', ['a.'], ['a', 'a.b']],
    ['<"*', ['a', 'a.b', 'a.b.c', ''], []],
    ['<"', ['a', 'a.', 'a.b.'], ['a.b']],
    ['>>>', ['abc', 'ab', ''], ['abcd', 'a.b']],
    ['>>>.txt', ['a.txt', 'abc.txt', '.txt'], ['abcd.txt']],
    ['>>>>>>>>">>>', ['abcdefgh.txt', 'abc', 'abc.t', 'abc.'], ['abcdefghi.txt', 'a.b.c']],
    ['foo">>>', ['foo', 'foo.', 'foo.a', 'FOO.abc'], ['foo.abcd', 'fooa']],
    ['a"b', ['a.b'], ['ab', 'a']],
    ['ÄB*', ['äbc'], ['abc']],
    ['name', ['NAME'], ['name2', '']],
  ]
  for (const [pattern, matching, other] of rows) {
    for (const name of matching) t.equal(compile(pattern)(name), true, `${pattern} has "${name}"`)
    for (const name of other) t.equal(compile(pattern)(name), false, `${pattern} has not "${name}"`)
  }
  t.equal(compile('')(''), false)
  t.equal(isWild('a.b'), false)
  for (const wild of '*?<>"') t.equal(isWild(`a${wild}`), true)
  t.throws(() => compile('?'.repeat(MAXIMUM_EXPRESSION_UNITS + 1)), {
    code: 'name-invalid',
  })
})

t.test('expression: as a regular expression says for * and ?, and never slow', async (t) => {
  const letters = fc.string({
    unit: fc.constantFrom('a', 'b', '.'),
    maxLength: 8,
  })
  const patterns = fc.string({
    unit: fc.constantFrom('a', 'b', '.', '*', '?'),
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(patterns, letters, (pattern, name) => {
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
      return compile(pattern)(name) === new RegExp(`^${source}$`).test(name)
    }),
    { numRuns: 2000 },
  )
  const began = process.hrtime.bigint()
  compile('<a*'.repeat(100))('a'.repeat(254))
  t.ok(process.hrtime.bigint() - began < 500_000_000n, 'a hostile expression takes less than half a second')
})

t.test('short names are valid, deterministic and rarely collide', async (t) => {
  for (const name of ['A', 'foo.txt', 'ABCDEFGH.EXT', 'a~1.b', '$%-_@!'])
    t.equal(isShortName(name), true, name)
  for (const name of ['', '.', '..', '.a', 'a.', 'a b', 'abcdefghi', 'a.bcde', 'a.b.c', 'ä', 'a+b', 'a,b']) {
    t.equal(isShortName(name), false, name)
  }
  t.equal(shortNameOf('foo.txt'), 'FOO.TXT')
  t.match(shortNameOf('A long name.jpeg'), /^A~[0-9A-Z]{6}\.JPE$/)
  t.match(shortNameOf('.profile'), /^P~[0-9A-Z]{6}$/)
  t.match(shortNameOf('日本語'), /^_~[0-9A-Z]{6}$/)
  t.match(shortNameOf('日本.語'), /^_~[0-9A-Z]{6}$/)
  t.equal(shortNameOf('A Long Name'), shortNameOf('a long name'))
  t.equal(shortNameOf('Caf\u00e9'), shortNameOf('Cafe\u0301'))
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
      const short = shortNameOf(name)
      return (
        isShortName(short) && (isShortName(name) || looksGenerated(short)) && short === short.toUpperCase()
      )
    }),
  )
  const count = 100_000
  const seen = new Set(Array.from({ length: count }, (_, i) => shortNameOf(`Document number ${i}.txt`)))
  t.ok(count - seen.size < 30, `${count - seen.size} collisions in ${count}`)
})

t.test('private-range names', async (t) => {
  t.equal(toNative('a\uf022b\uf020\uf021\uf023\uf024\uf025\uf026\uf027\uf001\uf01f'), 'a:b"*<>?\\|\x01\x1f')
  t.equal(toNative('end\uf028'), 'end ')
  t.equal(toNative('end\uf029'), 'end.')
  t.equal(toClient('a:b'), 'a\uf022b')
  t.equal(toClient('a b.c '), 'a b.c\uf028')
  t.equal(toClient('etc..'), 'etc.\uf029')
  t.equal(toClient('\x01'), '\uf001')
  t.same(['.', '..'].map(toClient), ['.', '..'])
  t.equal(toNative(toClient('\uf022')), ':', 'a name stored as sent is found through its native form')
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(...'ab .:*?"<>|\\\x01\x1fé'),
        minLength: 1,
      }),
      (native) => {
        const client = toClient(native)
        return (
          toNative(client) === native && (/^\.{1,2}$/.test(native) || componentError(client) === undefined)
        )
      },
    ),
  )
})

t.test('valid names', async (t) => {
  const ok = ['a', ' a', 'a.', 'a ', '日本', '\u{1f600}', '...', 'a\uf022b', 'x'.repeat(255)]
  for (const name of ok) t.equal(componentError(name), undefined, JSON.stringify(name))
  for (const unit of '"*:<>?/\\|\0\x01\x1f')
    t.equal(componentError(`a${unit}`), 'name-invalid', JSON.stringify(unit))
  const invalid = ['', '.', '..', '\uf029', '\uf029\uf029', '.\uf029', '\ud800', 'a\udc00b', '\udc00\ud800']
  for (const name of invalid) t.equal(componentError(name), 'name-invalid', JSON.stringify(name))
  t.equal(componentError('x'.repeat(256)), 'name-too-long')
  t.equal(componentError('é'.repeat(128)), 'name-too-long')
  t.equal(streamNameError('?Stream*\x05'), undefined)
  t.equal(streamNameError('a:b'), 'name-invalid')
  t.equal(streamNameError(''), 'name-invalid')
  t.equal(streamNameError('x'.repeat(256)), 'name-too-long')
})
