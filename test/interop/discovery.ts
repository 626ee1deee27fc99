/** Discovery on a LAN of the suite's own: Avahi and wsdd find exactly what is served, see it change, and see it go. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Avahi, type Resolved, startAvahi, startAvahiDaemon } from './discovery/avahi.ts'
import { addCable, inHost, ip, makeLan, onHost } from './discovery/network.ts'
import { startWsdd } from './discovery/wsdd.ts'
import { alice, makeAccounts, makeShareDirectory } from './environment.ts'
import { needs } from './needs.ts'
import { expect, type Report } from './report.ts'
import { startServer } from './server.ts'
import { delay, lastLines, type Server } from './server-process.ts'
import type { Suite } from './suite.ts'

const client = 'client'
const first = 'first'
const second = 'second'
/** Has an Avahi of its own. */
const third = 'third'
/** Probing takes up to a second, Avahi's resolving another. */
const foundSeconds = 5
/** Two rounds of probing, on a machine that does other things as well. */
const renamedSeconds = 10
/** Issue: new addresses are seen within this. */
const changeSeconds = 5
/** Avahi beside us goes; we ask for three seconds whether that is so, then probe. */
const takeOverSeconds = 8
const pollMilliseconds = 200
const model = 'TimeCapsule8,119'

export const discoverySuite: Suite = {
  name: 'discovery',
  about: 'avahi-browse and wsdd in network namespaces',
  needs: [needs.root, needs.ip, needs.dbus, needs.avahi, needs.avahiBrowse, needs.wsdd],
  limitSeconds: 120,
  run: discovery,
}

async function discovery(report: Report, directory: string): Promise<void> {
  const owner = await makeAccounts(directory)
  await makeLan([first, second, third, client])
  await addCable(first, client)
  for (const share of ['tm', 'plain']) await makeShareDirectory(join(directory, share), owner)
  await mkdir(join(directory, 'avahi'))
  const avahi = await startAvahi(client, join(directory, 'avahi'))
  const wsdd = startWsdd(client, directory)
  const servers: Server[] = []
  try {
    const server = await serve(first, directory)
    servers.push(server)
    await report.group('services', () => services(report, avahi, server))
    await report.group('Windows', () =>
      windows(report, () => wsdd.log(), 'discovered OCEAN in Workgroup:WORKGROUP on'),
    )
    await report.group('reload', () => reload(report, avahi, server, directory))
    await report.group('changes', () => changes(report, avahi))
    await report.group('conflict', () => conflict(report, avahi, directory, servers))
    await report.group('goodbye', () => goodbye(report, avahi, server, () => wsdd.log()))
    await report.group('beside Avahi', () => besideAvahi(report, avahi, directory))
  } finally {
    for (const server of servers.filter((each) => each.alive())) {
      if (report.failed > 0) report.note(lastLines(await server.log()))
      await server.stop()
    }
    await wsdd.stop()
    await avahi.stop()
  }
}

async function serve(host: string, directory: string, name = 'ocean'): Promise<Server> {
  const own = join(directory, `server-${host}-${name}`)
  await mkdir(own)
  return startServer({
    directory: own,
    accounts: [alice],
    shares: [
      { name: 'TimeMachine', path: join(directory, 'tm'), time_machine: true },
      { name: 'plain', path: join(directory, 'plain') },
    ],
    server: { name },
    smb: { listen: ['0.0.0.0:445', '[::]:445'] },
    prefix: onHost(host),
  })
}

/** Asks again until the answer is right. @throws what the last try threw */
async function within(seconds: number, attempt: () => Promise<void>): Promise<void> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() >= end) throw error
    }
    await delay(pollMilliseconds, undefined)
  }
}

async function services(report: Report, avahi: Avahi, server: Server): Promise<void> {
  await report.check('avahi-browse resolves exactly the records, on each link with its addresses', () =>
    within(foundSeconds, async () => {
      const found = await avahi.browse()
      for (const link of ['eth0', 'eth1']) {
        const here = found.filter((service) => service.interface === link)
        expectServices(here, 'ocean')
        const address = new RegExp(`^(?:${link === 'eth0' ? '10\\.77\\.0\\.1' : '10\\.78\\.0\\.1'}|fe80:.*)$`)
        const strangers = here.filter((service) => !address.test(service.address))
        expect(strangers.length === 0, `on ${link}: ${show(strangers)}`)
      }
    }),
  )
  await report.check('the server says what it announces', async () => {
    const log = await server.log()
    for (const line of ['announcing mdns ocean.local on eth0, eth1', 'announcing wsd ocean on eth0, eth1']) {
      expect(log.includes(line), `no "${line}" in:\n${log}`)
    }
  })
  await report.check('IPv4 and IPv6 addresses resolve', async () => {
    const version4 = (await avahi.resolve('ocean.local', 4)) ?? ''
    const version6 = (await avahi.resolve('ocean.local', 6)) ?? ''
    expect(/^10\.7[78]\.0\.1$/.test(version4), `A: ${version4}`)
    expect(version6.startsWith('fe80:'), `AAAA: ${version6}`)
  })
}

/** Of one link: each service once for each family, and no others. */
function expectServices(found: readonly Resolved[], name: string): void {
  const ours = found.filter((service) => service.name === name)
  const types = ours.map(({ type, protocol }) => `${type} ${protocol}`).sort()
  const wanted = ['_adisk._tcp', '_device-info._tcp', '_smb._tcp'].flatMap((type) => [
    `${type} IPv4`,
    `${type} IPv6`,
  ])
  expect(types.join() === wanted.join(), `services: ${show(found)}`)
  for (const service of ours) {
    expect(service.host === `${name}.local`, `host of ${show([service])}`)
    const [port, txt] = expectation(service.type)
    expect(service.port === port && txt.test(service.txt.join(' ')), `port or TXT of ${show([service])}`)
  }
}

/** Port and TXT strings of discovery.md. */
function expectation(type: string): [number, RegExp] {
  if (type === '_smb._tcp') return [445, /^$/]
  if (type === '_device-info._tcp') return [0, new RegExp(`^model=${model}$`)]
  const uuid = '[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}'
  return [9, new RegExp(`^dk0=adVN=TimeMachine,adVF=0x82,adVU=${uuid} sys=waMa=0,adVF=0x100$`)]
}

function show(services: readonly Resolved[]): string {
  return services.map((service) => JSON.stringify(service)).join('\n')
}

async function windows(report: Report, log: () => Promise<string>, line: string): Promise<void> {
  await report.check('wsdd finds the host over IPv4 and IPv6', () =>
    within(foundSeconds, async () => {
      const text = await log()
      for (const address of ['10.77.0.1%eth0', '[fe80:']) {
        expect(text.includes(`${line} ${address}`), `no "${line} ${address}" in:\n${text}`)
      }
    }),
  )
}

async function reload(report: Report, avahi: Avahi, server: Server, directory: string): Promise<void> {
  const file = join(directory, `server-${first}-ocean`, 'poolhouse.toml')
  const text = await readFile(file, 'utf8')
  const disks = (count: number): Promise<void> =>
    within(foundSeconds, async () => {
      const found = await avahi.browse('_adisk._tcp')
      const texts = found.map((service) => service.txt.join(' '))
      const right = texts.every((each) => each.split('adVN=').length - 1 === count)
      expect(texts.length > 0 && right, `TXT: ${texts.join('\n')}`)
    })
  await report.check('a share that SIGHUP brings is announced, and withdrawn with it', async () => {
    const share = `[[share]]\nname = "Second"\npath = "${join(directory, 'plain')}"\ntime_machine = true\n`
    await writeFile(file, text + share)
    process.kill(server.pid, 'SIGHUP')
    await disks(2)
    await writeFile(file, text)
    process.kill(server.pid, 'SIGHUP')
    await disks(1)
  })
}

async function changes(report: Report, avahi: Avahi): Promise<void> {
  await report.check('another address is seen within five seconds, and the first is gone', async () => {
    await ip(`-n ${first} addr add 10.77.0.99/24 dev eth0`)
    await ip(`-n ${first} addr del 10.77.0.1/24 dev eth0`)
    await ip(`-n ${first} addr replace 10.77.0.99/24 dev eth0`)
    await within(changeSeconds, async () => {
      const found = (await avahi.browse('_smb._tcp')).filter(
        (service) => service.interface === 'eth0' && service.protocol === 'IPv4',
      )
      const addresses = found.map((service) => service.address).filter((each) => each.includes('.'))
      const other = await avahi.resolve('ocean.local', 4)
      expect(addresses.join() === '10.77.0.99', `addresses: ${addresses.join()}, resolved: ${other}`)
    })
  })
  await report.check('a new interface is seen within five seconds', async () => {
    await ip(`-n ${first} link add eth2 type veth peer name eth2 netns ${client}`)
    await ip(`-n ${first} addr add 10.79.0.1/24 dev eth2`)
    await ip(`-n ${client} addr add 10.79.0.2/24 dev eth2`)
    await ip(`-n ${client} link set eth2 up`)
    await ip(`-n ${first} link set eth2 up`)
    await within(changeSeconds, async () => {
      const found = (await avahi.browse('_smb._tcp')).filter((service) => service.interface === 'eth2')
      expect(found.length > 0, 'nothing on eth2')
    })
  })
}

async function conflict(report: Report, avahi: Avahi, directory: string, servers: Server[]): Promise<void> {
  await report.check('a second server of the same name renames itself, services and host', async () => {
    servers.push(await serve(second, directory))
    await within(renamedSeconds, async () => {
      const here = (await avahi.browse()).filter((service) => service.interface === 'eth0')
      expectServices(here, 'ocean')
      expectServices(here, 'ocean-2')
    })
  })
}

async function goodbye(
  report: Report,
  avahi: Avahi,
  server: Server,
  wsddLog: () => Promise<string>,
): Promise<void> {
  const watch = avahi.watch('_adisk._tcp')
  await report.check('a stopped server says goodbye before it ends', async () => {
    await within(foundSeconds, async () => {
      expect(watch.output().includes('=;eth0;IPv4;ocean;'), 'the watch does not see it yet')
    })
    await server.stop()
    // Avahi forgets a second after the goodbye (RFC 6762 10.1); without one, after two minutes.
    await within(2, async () => {
      for (const protocol of ['IPv4', 'IPv6']) {
        const line = `-;eth0;${protocol};ocean;`
        expect(watch.output().includes(line), `no "${line}" in:\n${watch.output()}`)
      }
    })
    expect(!watch.output().includes('-;eth0;IPv4;ocean-2;'), 'the other server went as well')
  })
  await report.check('and Bye to Windows', async () => {
    expect(/10\.77\.0\.(?:1|99):.*"Bye urn:uuid:/.test(await wsddLog()), 'wsdd saw no Bye')
  })
  await watch.stop()
}

async function besideAvahi(report: Report, avahi: Avahi, directory: string): Promise<void> {
  const neighbour = await startAvahiDaemon(third, directory, 'harbour')
  const server = await serve(third, directory, 'harbour')
  const resolves = (): Promise<void> =>
    within(takeOverSeconds, async () => {
      const here = (await avahi.browse()).filter((service) => service.interface === 'eth0')
      expectServices(here, 'harbour')
      const address = await avahi.resolve('harbour.local', 4)
      expect(address === '10.77.0.3', `harbour.local: ${address}`)
    })
  await report.check("shares the host's name with an Avahi on the same machine", async () => {
    await resolves()
    const log = await inHost(third, ['cat', join(directory, `avahi-${third}.log`)])
    expect(!/conflict|withdraw/i.test(log), `Avahi was disturbed:\n${log}`)
  })
  await report.check('answers for the name itself when that Avahi stops', async () => {
    await neighbour.stop()
    await delay(1500, undefined)
    await resolves()
  })
  await report.check('the server stops at SIGTERM', () => server.stop())
}
