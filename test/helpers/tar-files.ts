const BLOCK_BYTES = 512

/** A plain file of an archive: text, or as many bytes as it says. */
export interface TarFile {
  /** Below the root, 100 characters at most. */
  readonly name: string
  readonly sizeBytes: number
  readonly content: () => Iterable<Buffer>
  readonly executable?: boolean
}
export const textFile = (name: string, text: string): TarFile => ({
  ...{ name, sizeBytes: Buffer.byteLength(text) },
  content: () => [Buffer.from(text)],
})

/** An archive in the format `ustar`, piece by piece; the same bytes for the same files. */
export function* tarOf(files: readonly TarFile[]): Generator<Buffer> {
  for (const file of files) {
    yield headerOf(file)
    yield* file.content()
    yield Buffer.alloc((BLOCK_BYTES - (file.sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES)
  }
  yield Buffer.alloc(2 * BLOCK_BYTES)
}

function headerOf({ name, sizeBytes, executable = false }: TarFile): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at)
  header.write(name, 0)
  octal(executable ? 0o755 : 0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(sizeBytes, 124, 12)
  octal(1_000_000_000, 136, 12)
  header.write(' '.repeat(8), 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
