/** MS-SMB2 2.2.3 and 2.2.4: dialect revisions, security modes and global capabilities. */

export const Dialect = {
  SMB_2_0_2: 0x0202,
  SMB_2_1: 0x0210,
  SMB_3_0: 0x0300,
  SMB_3_0_2: 0x0302,
  SMB_3_1_1: 0x0311,
  /** 2.2.4: the answer to an SMB1 "SMB 2.???"; the client then negotiates again with SMB2. */
  WILDCARD: 0x02ff,
} as const

export const SecurityMode = {
  SIGNING_ENABLED: 0x01,
  SIGNING_REQUIRED: 0x02,
} as const

export const Capability = {
  DFS: 0x0000_0001,
  LEASING: 0x0000_0002,
  LARGE_MTU: 0x0000_0004,
  MULTI_CHANNEL: 0x0000_0008,
  PERSISTENT_HANDLES: 0x0000_0010,
  DIRECTORY_LEASING: 0x0000_0020,
  ENCRYPTION: 0x0000_0040,
  NOTIFICATIONS: 0x0000_0080,
} as const
