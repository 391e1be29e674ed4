// Why: a bundle is one file everybody can open. POSIX ustar (IEEE 1003.1) with what we need of it: plain files. Pure.

export type TarFile = { readonly path: string; readonly text: string };

const BLOCK = 512;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

/** The archive, not compressed. `seconds`: time of all files since 1970. @throws RangeError for a path ustar cannot hold */
export function tarOf(files: readonly TarFile[], seconds: number): Uint8Array {
  const parts: Buffer[] = [];
  for (const { path, text } of files) {
    const content = Buffer.from(text);
    parts.push(header(path, content.length, seconds), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, bytes: number, seconds: number): Buffer {
  const { prefix, name } = split(path);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`;
  const fields: readonly (readonly [offset: number, text: string])[] = [
    [0, name],
    [100, octal(0o600, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(bytes, 12)],
    [136, octal(seconds, 12)],
    [148, " ".repeat(8)], // the checksum counts itself as blanks
    [156, "0"],
    [257, "ustar\u000000"],
    [345, prefix],
  ];
  for (const [offset, text] of fields) block.write(text, offset, "utf8");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "utf8");
  return block;
}

function split(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { prefix: "", name: path };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(name) <= NAME_BYTES && Buffer.byteLength(prefix) <= PREFIX_BYTES) return { prefix, name };
  }
  throw new RangeError(`a path of ${path.length} characters does not fit into an archive`);
}
