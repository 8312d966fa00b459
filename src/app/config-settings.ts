import { delimiter } from 'node:path'
import {
  addressOrNetwork,
  atLeastOne,
  certificateText,
  databaseAddress,
  httpUrl,
  listOf,
  locationMapping,
  matching,
  oneOf,
  type Parse,
  share,
  text,
  wholeNumber,
  yesOrNo,
  zoneName,
} from './config-values.ts'

export interface Setting<T> {
  readonly parse: Parse<T>
  /** What help and documentation show in place of `fallback`, when that is worked out. */
  readonly shown?: string
  readonly fallback: T
  /** One line for `--help` and docs/configuration.md. */
  readonly doc: string
  /** Instead of the one made from the key. */
  readonly env?: string
  readonly flag?: string
  /** Never shown, and no flag: command lines are seen by every user of the machine. */
  readonly secret?: true
}

const setting = <T>(of: Setting<T>): Setting<T> => of
const optional = <T>(of: Omit<Setting<T>, 'fallback'>): Setting<T | undefined> => ({ ...of, fallback: undefined })

const KIB = 1024
const MIB = 1024 * KIB
const SECOND = 1000
const HOUR = 3600 * SECOND
const DAY = 24 * HOUR
const delays = (fallback: readonly number[], doc: string) =>
  setting({ parse: atLeastOne(listOf(',', wholeNumber(0, HOUR))), fallback, doc })

/** Every setting. The key is its place in `entrepot.yaml`; flag and environment variable are made from it (`config-names.ts`). */
export const SETTINGS = {
  host: setting({ parse: text, fallback: '127.0.0.1', doc: 'Address to listen on' }),
  port: setting({ parse: wholeNumber(0, 65_535), fallback: 8040, doc: 'Port to listen on; 0 takes a free one' }),
  data: setting({ parse: text, fallback: './data', doc: 'Data directory, made when it is not there' }),
  blobs: optional({ parse: text, shown: '<data>/blobs', doc: 'Directory of the stored bytes' }),
  database: setting({
    parse: databaseAddress,
    fallback: 'sqlite',
    doc: 'sqlite (a file in the data directory) or a postgres:// URL; give one with a password by environment or file',
  }),
  roles: setting({
    parse: atLeastOne(listOf(',', oneOf('api', 'worker'))),
    fallback: ['api', 'worker'],
    doc: 'What this process does: api answers requests, worker runs tasks',
  }),
  publicUrl: optional({
    parse: httpUrl,
    shown: 'the address listened on',
    doc: 'Where clients and other clusters reach this server',
  }),
  adminPassword: optional({
    parse: text,
    shown: 'generated and printed once',
    secret: true,
    doc: 'Password of admin; used on the very first start only',
  }),
  secretKey: optional({
    parse: text,
    shown: '<data>/keys/secret.key',
    secret: true,
    doc: 'Key that encrypts stored passwords: 32 bytes in hex or base64, or a passphrase of 12 characters or more',
  }),
  logLevel: setting({
    parse: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    fallback: 'info',
    doc: 'Least level that is logged: fatal, error, warn, info, debug, trace, silent',
  }),
  timeZone: setting({
    parse: zoneName,
    fallback: new Intl.DateTimeFormat().resolvedOptions().timeZone,
    shown: 'that of the process',
    doc: 'Zone of dates in requests and answers and of cron expressions',
  }),
  'cluster.name': setting({
    parse: matching(/^[^\s\u0000-\u001f](?:.{0,62}[^\s\u0000-\u001f])?$/, 'a name of 1 to 64 characters'),
    fallback: 'center',
    doc: 'Name of this cluster, as others see it',
  }),
  'security.allowPrivateTargets': setting({
    parse: yesOrNo,
    fallback: false,
    flag: 'allow-private-targets',
    env: 'ENTREPOT_ALLOW_PRIVATE_TARGETS',
    doc: 'Let registries, proxies and webhooks have loopback and private addresses; other clusters always may',
  }),
  'proxy.downloadsAtOnce': setting({
    parse: wholeNumber(1, 1000),
    fallback: 16,
    doc: 'Downloads at once from one upstream of REMOTE and COMPOSITE repositories',
  }),
  'proxy.absentMs': setting({
    parse: wholeNumber(0, DAY),
    fallback: 30 * SECOND,
    doc: 'How long an upstream is not asked again for a file that it did not have, in ms',
  }),
  'projects.creators': setting({
    parse: listOf(',', text),
    fallback: [],
    doc: 'Users who may create projects besides administrators, by id',
  }),
  'auth.platformAutoCreateUser': setting({
    parse: yesOrNo,
    fallback: true,
    doc: 'Make a user, without rights, that a platform account names in X-BKREPO-UID and nobody made',
  }),
  'auth.tokenKey': optional({
    parse: text,
    shown: '<data>/keys/token-*.pem',
    secret: true,
    doc: 'Keys that sign bearer tokens: P-256 private keys, PKCS#8 in PEM; the first signs, all verify',
  }),
  'auth.loginFailures': setting({
    parse: wholeNumber(1, 10_000),
    fallback: 5,
    doc: 'Wrong passwords for one user from one address before that pair has to wait',
  }),
  'auth.userFailures': setting({
    parse: wholeNumber(1, 100_000),
    fallback: 50,
    doc: 'Wrong passwords for one user from all addresses before new addresses have to wait',
  }),
  'auth.addressFailures': setting({
    parse: wholeNumber(1, 100_000),
    fallback: 100,
    doc: 'Different wrong credentials from one address before it has to wait',
  }),
  'auth.failureWindowMs': setting({
    parse: wholeNumber(SECOND, DAY),
    fallback: HOUR / 4,
    doc: 'Failed logins are forgotten when none came for so long, in ms',
  }),
  'auth.longestWaitMs': setting({
    parse: wholeNumber(SECOND, DAY),
    fallback: HOUR / 4,
    doc: 'Longest wait after failed logins, in ms; it starts with 1000 and doubles',
  }),
  'auth.trustedProxies': setting({
    parse: listOf(',', addressOrNetwork),
    fallback: [],
    doc: "Addresses or networks of proxies whose X-Forwarded-For tells the client's address",
  }),
  'audit.reserveDays': setting({
    parse: wholeNumber(1, 3650),
    fallback: 180,
    doc: 'How long rows of the audit log are kept, in days',
  }),
  'metrics.public': setting({
    parse: yesOrNo,
    fallback: true,
    doc: 'Answer /metrics to anybody; false: to administrators',
  }),
  'backup.allowedRoots': setting({
    parse: listOf(delimiter, text),
    fallback: [],
    shown: '<data>/backups',
    doc: `Directories that backups may be in, separated by ${delimiter}; relative locations are below the first`,
  }),
  'backup.locationMap': setting({
    parse: listOf(',', locationMapping),
    fallback: [],
    doc: 'Folders that stand for prefixes of Windows paths on other systems, e.g. F:\\=/srv/backups',
  }),
  'backup.usageThreshold': setting({
    parse: share,
    fallback: 0.8,
    doc: 'Share of a filesystem in use, 0 to 1, beyond which runs of backup and restore stop, where a task checks that',
  }),
  'backup.passphrase': optional({
    parse: text,
    shown: 'none: backups are not encrypted',
    secret: true,
    doc: 'Encrypts repositories of backups, and secrets in all backups; 12 characters or more',
  }),
  'backup.passphraseFile': optional({
    parse: text,
    shown: 'none',
    doc: 'File that holds it, in its place; nobody but its owner may read it (mode 0600)',
  }),
  'replication.linkTimeoutMs': setting({
    parse: wholeNumber(0, DAY),
    fallback: 60 * SECOND,
    doc: 'How long a run waits for a target that cannot be reached, in ms',
  }),
  'replication.storageCheckMs': setting({
    parse: wholeNumber(0, DAY),
    fallback: 600 * SECOND,
    doc: 'How long a target may take until what it wrote is in its storage, where a task checks that, in ms',
  }),
  'replication.circuitPauseMs': setting({
    parse: wholeNumber(1, HOUR),
    fallback: 5 * SECOND,
    doc: 'How long a target that failed five times in a row is left alone at first, in ms; doubled up to 5 minutes, less where a run waits for it',
  }),
  'replication.retryDelaysMs': delays(
    [1000, 4000, 16_000],
    'Waits before an artifact that the target refused is tried again, in ms',
  ),
  'replication.reconnectDelaysMs': delays(
    [250, 500, 1000, 2000, 4000, 5000],
    'Waits between attempts to reach a target, in ms; the last one repeats',
  ),
  'replication.batchFiles': setting({
    parse: wholeNumber(1, 500),
    fallback: 500,
    doc: 'Files of one batch, which is acknowledged as a whole',
  }),
  'replication.leaseMs': setting({
    parse: wholeNumber(SECOND, HOUR),
    fallback: 30 * SECOND,
    doc: 'After how long without a sign of life another worker takes over, in ms',
  }),
  'replication.partSizeBytes': setting({
    parse: wholeNumber(MIB, KIB * MIB),
    fallback: 16 * MIB,
    doc: 'Files above this size travel in resumable parts of this size',
  }),
  'replication.inlineMaxBytes': setting({
    parse: wholeNumber(0, MIB),
    fallback: 64 * KIB,
    doc: 'Files up to this size travel in a stream, many to one request',
  }),
  'replication.concurrency': setting({
    parse: wholeNumber(1, 64),
    fallback: 4,
    doc: 'Contents of one batch that are sent at once in requests of their own',
  }),
  'replication.streams': setting({
    parse: wholeNumber(1, 64),
    fallback: 2,
    doc: 'Streams to one target to begin with; as many as it takes well are opened',
  }),
  'replication.maxStreams': setting({
    parse: wholeNumber(1, 64),
    fallback: 16,
    doc: 'Most streams to one target',
  }),
  'replication.bytesPerSecond': setting({
    parse: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    fallback: 0,
    doc: 'Most bytes of contents per second that this process sends to other clusters; 0: no limit',
  }),
  'replication.healthCheckMs': setting({
    parse: wholeNumber(SECOND, DAY),
    fallback: 600 * SECOND,
    doc: 'Time between checks whether the other clusters answer, in ms',
  }),
  'replication.edgeSilenceMs': setting({
    parse: wholeNumber(SECOND, DAY),
    fallback: 60 * SECOND,
    doc: 'An edge that reports is UNHEALTHY when it was not heard of for so long, in ms',
  }),
  'edge.centreUrl': optional({
    parse: httpUrl,
    shown: 'none: this server is no edge',
    doc: 'Centre of this edge: it is told that the edge is there, and sends what the edge pulls',
  }),
  'edge.name': optional({
    parse: text,
    shown: 'cluster.name',
    doc: 'Name under which the centre has this edge registered',
  }),
  'edge.user': optional({
    parse: text,
    shown: 'none',
    doc: 'User of the centre: an administrator, or the one that the registration names',
  }),
  'edge.password': optional({
    parse: text,
    shown: 'none',
    secret: true,
    doc: 'Password or token of that user',
  }),
  'edge.certificate': optional({
    parse: certificateText,
    shown: 'those that the system trusts',
    doc: 'Certificate, PEM, that the centre is trusted by in place of the usual ones',
  }),
  'edge.heartbeatMs': setting({
    parse: wholeNumber(10, DAY),
    fallback: 30 * SECOND,
    doc: 'Time between signs of life to the centre, in ms',
  }),
  'edge.pollMs': setting({
    parse: wholeNumber(10, DAY),
    fallback: 30 * SECOND,
    doc: 'Time between questions to the centre what there is to pull, in ms',
  }),
  'edge.tunnels': setting({
    parse: wholeNumber(1, 32),
    fallback: 4,
    doc: 'Connections to the centre that wait to be used; others are opened as these are used',
  }),
  'webhooks.retryDelaysMs': delays(
    [10 * SECOND, 30 * SECOND, 120 * SECOND, 300 * SECOND, 900 * SECOND, 2700 * SECOND, 2 * HOUR, 6 * HOUR, 14 * HOUR],
    'Waits before a webhook that failed is told again, in ms; after the last one it is given up',
  ),
  'gc.graceMs': setting({
    parse: wholeNumber(0, 365 * DAY),
    fallback: HOUR,
    doc: 'How long stored bytes that nothing refers to are kept, in ms',
  }),
  'gc.intervalMs': setting({
    parse: wholeNumber(SECOND, DAY),
    fallback: HOUR,
    doc: 'Time between garbage collections, in ms',
  }),
  'images.looseBlobHours': setting({
    parse: wholeNumber(1, 8760),
    fallback: 24,
    doc: 'How long a blob of an image is kept that was pushed, or lost its manifest, and that no manifest names, in hours',
  }),
  'images.tokenSeconds': setting({
    parse: wholeNumber(1, 86_400),
    fallback: 900,
    doc: 'How long a token of the registry is good for, in seconds; an upload that takes longer goes on with another',
  }),
  'scrub.intervalDays': setting({
    parse: wholeNumber(1, 3650),
    fallback: 30,
    doc: 'From the end of one check of all stored bytes to the next, in days',
  }),
  'scrub.bytesPerSecond': setting({
    parse: wholeNumber(1, 1024 * 1024 * MIB),
    fallback: 20 * MIB,
    doc: 'How fast stored bytes are checked when nobody asked for it',
  }),
  'search.lookAtMost': setting({
    parse: wholeNumber(1000, 100_000_000),
    fallback: 500_000,
    doc: 'Nodes that one search looks at when no index bounds it; 500,000 take about 0.5 s',
  }),
  'nodes.deletedReserveDays': setting({
    parse: wholeNumber(0, 3650),
    fallback: 15,
    doc: 'How long deleted files can be restored, in days',
  }),
} as const satisfies Record<string, Setting<unknown>>

export type SettingKey = keyof typeof SETTINGS
/** Values by key, checked. */
export type Values = { readonly [K in SettingKey]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never }
