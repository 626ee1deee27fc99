/** All interop suites. Those that want the machine for themselves run first, the quick ones before others; then those that bear company, the longest first. */

import { crowdSuite } from './crowd.ts'
import { discoverySuite } from './discovery.ts'
import { fuzzSuite } from './fuzz.ts'
import { impacketSuite } from './impacket.ts'
import { kernelSuite } from './kernel.ts'
import { kernelIscsiSuite } from './kernel-iscsi.ts'
import { kernelWorkloadSuite } from './kernel-workload.ts'
import { libiscsiSuite } from './libiscsi.ts'
import { macSuite } from './mac/suite.ts'
import { namesSuite } from './names.ts'
import { powerCutLongSuite, powerCutSuite } from './power-cut.ts'
import { rcloneSuite } from './rclone.ts'
import { restartSuite } from './restart.ts'
import { smbclientSuite } from './smbclient.ts'
import { smbtortureSuite } from './smbtorture.ts'
import type { Suite } from './suite.ts'
import { zfsSuite } from './zfs.ts'

export const suites: readonly Suite[] = [
  crowdSuite,
  fuzzSuite,
  restartSuite,
  macSuite,
  discoverySuite,
  namesSuite,
  smbtortureSuite,
  zfsSuite,
  kernelSuite,
  kernelIscsiSuite,
  libiscsiSuite,
  impacketSuite,
  rcloneSuite,
  smbclientSuite,
  powerCutSuite,
  kernelWorkloadSuite,
  powerCutLongSuite,
]
