/** RFC 6762 6: the answer to a Mac's question for the file server, with what it will ask next. */

import { additionalsFor, answersTo } from '../../discovery/mdns/answers.ts'
import { makeZone } from '../../discovery/mdns/zone.ts'
import { type Micro, must } from './micro.ts'

const QUESTION = { name: '_smb._tcp.local', type: 'PTR' } as const

export const mdnsMicros: readonly Micro[] = [
  { name: 'mDNS answer', isFlat: false, sizes: [{ label: '1', prepare }] },
]

function prepare() {
  const zone = makeZone({
    name: 'ocean',
    services: [
      { type: 'smb', port: 445, txt: {} },
      { type: 'adisk', port: 9, txt: { sys: 'waMa=0,adVF=0x100', dk0: 'adVN=backups,adVF=0x82' } },
      { type: 'device-info', port: 0, txt: { model: 'TimeCapsule8,119' } },
    ],
    addresses: [
      { family: 4, address: '192.168.1.2', prefixLength: 24, isLinkLocal: false },
      { family: 6, address: 'fe80::1', prefixLength: 64, isLinkLocal: true },
    ],
  })
  const answer = () => {
    const answers = answersTo(QUESTION, zone)
    return [...answers, ...additionalsFor(answers, zone)]
  }
  return {
    check: () =>
      must(
        answer().some(({ type }) => type === 'A'),
        'the answer lacks the address',
      ),
    call: () => void answer(),
  }
}
