/** By extension, lower case: what people keep in artifact repositories. A longer extension wins (`tar.gz`). */
const BY_EXTENSION: Readonly<Record<string, string>> = {
  '7z': 'application/x-7z-compressed',
  apk: 'application/vnd.android.package-archive',
  avif: 'image/avif',
  bmp: 'image/bmp',
  br: 'application/x-brotli',
  bz2: 'application/x-bzip2',
  cjs: 'text/javascript; charset=utf-8',
  conf: 'text/plain; charset=utf-8',
  css: 'text/css; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  deb: 'application/vnd.debian.binary-package',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: 'text/html; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/x-icon',
  ini: 'text/plain; charset=utf-8',
  jar: 'application/java-archive',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  log: 'text/plain; charset=utf-8',
  map: 'application/json',
  md: 'text/markdown; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  pom: 'application/xml',
  properties: 'text/plain; charset=utf-8',
  py: 'text/x-python; charset=utf-8',
  rpm: 'application/x-rpm',
  sh: 'application/x-sh',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  'tar.gz': 'application/gzip',
  tgz: 'application/gzip',
  toml: 'application/toml',
  ts: 'text/plain; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  war: 'application/java-archive',
  wasm: 'application/wasm',
  webm: 'video/webm',
  webp: 'image/webp',
  whl: 'application/zip',
  woff2: 'font/woff2',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  xml: 'application/xml',
  xz: 'application/x-xz',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
  zst: 'application/zstd',
}

/** `Content-Type` of a file by its name. */
export function mediaTypeOf(name: string): string {
  const lower = name.toLowerCase()
  for (let dot = lower.indexOf('.'); dot >= 0; dot = lower.indexOf('.', dot + 1)) {
    const extension = lower.slice(dot + 1)
    if (Object.hasOwn(BY_EXTENSION, extension)) return BY_EXTENSION[extension]!
  }
  return 'application/octet-stream'
}
