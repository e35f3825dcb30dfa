// The vocabulary of the HTTP API (/api/v1): what the recorder says, as types. No behaviour here.
// Times are RFC 3339 UTC strings as they come; units stand in the names.

export type StateCode =
  | 'ok'
  | 'starting'
  | 'no_signal'
  | 'unreachable'
  | 'wrong_password'
  | 'unsupported_codec'
  | 'not_found'
  | 'stalled'
  | 'failed'

export type StreamKind = 'main' | 'sub'
export type UserRole = 'owner' | 'integrator' | 'operator' | 'viewer'

export interface RecorderState {
  claimed: boolean
  name: string
  version: string
}

export interface Session {
  user: string
  role: UserRole
  csrf: string
}

/** The first owner's session, and the recovery key; null when the recorder could not make one. */
export interface Claimed extends Session {
  recovery_key: string | null
}

export interface Stream {
  codec: string
  width: number
  height: number
  frame_rate: number | null
  bit_rate_bps: number | null
}

export interface Channel {
  channel: number
  title: string
  source: 'input' | 'camera'
  state: { code: StateCode; since: string; message: string }
  recording: boolean
  /** Footage is deleted after so many days; null: as long as there is room. */
  keep_days: number | null
  /** The same of what is recorded while something happens; null: as the rest. */
  keep_event_days: number | null
  main: Stream | null
  sub: Stream | null
  audio: { codec: string; sample_rate: number; channels: number } | null
  motion_percent: number | null
}

export interface Camera {
  channel: number
  title: string
  url: string
  user?: string | null
  has_password: boolean
  transport: 'tcp' | 'udp'
}

export interface CameraInput {
  channel?: number
  title: string
  url: string
  user?: string
  password?: string
  transport: 'tcp' | 'udp'
}

export interface Span {
  start: string
  end: string
}

export interface Timeline {
  channels: { channel: number; runs: Span[]; oldest: string | null; newest: string | null }[]
}

export interface Recording {
  start: string
  end: string
  bytes: number
  mime: string
  frame_rate: number | null
  pieces: (Span & { media_start_sec: number })[]
}

export interface RoleStatus {
  role: string
  state: 'running' | 'starting' | 'restarting' | 'stopped'
  pid: number | null
  restarts: number
  since: string | null
  memory_bytes: number | null
  note?: string | null
}

/** Footage that is not deleted until it is unlocked. */
export interface Lock extends Span {
  id: number
  channels: number[]
  reason: string
  by: string
  at: string
}

/** What is deleted, or would be. */
export interface DeletionScope {
  /** Those that have something there. */
  channels: number[]
  start: string | null
  end: string | null
  bytes: number
  /** Disks that do not answer now. */
  silent_disks: number
}

/** A deletion that is not done. */
export interface Deletion extends Span {
  id: number
  channels: number[]
  by: string
  at: string
}

/** For how long the footage of channels with one number of days stays on a disk. */
export interface Retention {
  /** Null: as long as there is room. */
  keep_days: number | null
  used_bytes: number
  /** Null in the first hour, and where nothing is recorded. */
  expected_hours: number | null
}

export interface Disk {
  /** Where it is mounted; empty while it is not. */
  path: string
  /** Such as `sda`; null where the operating system looks after disks. */
  device: string | null
  state: 'ok' | 'full' | 'error' | 'unformatted' | 'missing' | 'locked'
  /** Who can read its footage: anybody, this recorder, this recorder and its recovery key, another recorder. */
  encryption: 'off' | 'device_only' | 'recoverable' | 'locked' | null
  message?: string | null
  total_bytes: number
  used_bytes: number
  /** What locks keep of that from being deleted. */
  locked_bytes: number
  retention: Retention[]
  write_bytes_per_sec: number
  oldest: string | null
  newest: string | null
  /** What is wrong although footage is recorded, and what to do. */
  concerns: string[]
}

/** Footage of one channel that came and did not get onto a disk, for one reason, since the recording process was started. */
export interface LostFootage {
  channel: number
  /** Its sound is missing; else its picture. */
  sound: boolean
  cause: 'disk_failed' | 'disk_slow' | 'refused'
  /** How much in all, rounded up. */
  lost_sec: number
  /** In how many stretches. */
  times: number
  /** The end of the last one. */
  last: string
  /** What is missing, and why. */
  message: string
}

/** The software that runs. */
export interface Image {
  version: string
  commit: string
  root_sha256: string | null
  slot: 'a' | 'b' | null
  /** New, and has still to show that it is healthy. */
  trying: boolean
  created: string | null
  signed_by: KeyKind | null
}

export type KeyKind = 'release' | 'owner'
export type StageCode = 'idle' | 'receiving' | 'verifying' | 'installing' | 'restarting' | 'checking' | 'failed'

export interface LastUpdate {
  version: string
  outcome: 'good' | 'rolled_back' | 'refused'
  message: string
  at: string
}

export interface UsbBundle {
  device: string
  file: string
  /** What the file says, not verified. */
  version: string | null
  bytes: number
}

/** The recorder's software, and an update on its way. */
export interface Update {
  supported: boolean
  reason: string | null
  stage: { code: StageCode; message: string; done_bytes: number; total_bytes: number; version: string | null }
  installed: Image
  other: { slot: 'a' | 'b'; version: string | null; state: 'good' | 'failed' | 'empty' } | null
  last: LastUpdate | null
  /** Versions below are never installed. */
  floor: string
  keys: { id: string; kind: KeyKind }[]
  usb: UsbBundle[]
}

export interface System {
  version: string
  image: Image
  uptime_sec: number
  time: string
  roles: RoleStatus[]
  disks: Disk[]
  /** What did not get onto them, by channel and reason; empty where nothing was lost. */
  lost: LostFootage[]
  sandbox: { level: string; message: string }
}

export interface Watching {
  user: string
  from: string
  channel: number
  stream: string
  via: 'browser' | 'rtsp' | 'playback' | 'export'
  since: string
}

export interface Trust {
  watching: Watching[]
  disk: { state: string; message: string }
  roles: { running: number; total: number }
  recording: { channels: number; total: number }
  /** null while there is no disk for it. */
  ledger: TrustLedger | null
}

/** How far the ledger is signed. */
export interface TrustLedger {
  fingerprint: string
  size: number
  root: string
  /** null until this run of the recorder signs. */
  signed: string | null
}

/** A part of the ledger, newest first. */
export interface Ledger {
  origin: string
  public_key: string
  fingerprint: string
  /** A signed note. */
  checkpoint: string
  size: number
  entries: LedgerEntry[]
}

export interface LedgerEntry {
  index: number
  /** JSON, as it is signed. */
  leaf: string
}

export interface StreamKey {
  name: string
  created: string
  /** Opens recordings too. */
  replay: boolean
}

/** A key as it is shown once. */
export interface NewStreamKey {
  name: string
  key: string
  /** null while plain RTSP is off. */
  rtsp_port: number | null
  rtsps_port: number
}

/** Live streams sent once for all players, and seen by whoever is in the network. */
export interface RtspMulticast {
  enabled: boolean
  /** The first of 256 addresses, such as 239.192.0.0. */
  group: string
  /** 1: the recorder's own network; one more for each router. */
  ttl: number
}

export interface Settings {
  name: string
  time_zone: string
  rtsp_enabled: boolean
  /** Networks that may connect to RTSP; none: everybody. */
  rtsp_allow: string[]
  rtsp_multicast: RtspMulticast
  encrypt_new_disks: boolean
  /** Every channel on two disks, while there are two. */
  mirror_disks: boolean
}
