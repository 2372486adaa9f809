import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, sep } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import Negotiator from 'negotiator'

interface StaticFile {
  type: string
  etag: string
  body: Buffer
  /** The compressed bodies, each created on its first request. */
  encoded: Map<Encoding, Promise<Buffer>>
}

type Encoding = keyof typeof encode

/** A higher Brotli quality would save a few percent of the size and delay the first client. */
const encode = {
  br: (body: Buffer) => promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (body: Buffer) => promisify(gzip)(body, { level: 9 }),
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}

const compressible = /^text\/|json|svg/

/**
 * The files of a folder, held in memory: a page and its assets come from the same build even while the next one is
 * written, and no request reaches the file system.
 */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>

  private constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files
  }

  /** Reads all files of the types above. A folder that does not exist has none. */
  static async read(directory: string): Promise<StaticFiles> {
    const files = new Map<string, StaticFile>()
    const entries = await readdir(directory, { recursive: true }).catch(absent)
    for (const path of entries) {
      const type = types[extname(path)]
      if (!type) continue
      const body = await readFile(join(directory, path))
      const etag = `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
      files.set(path.replaceAll(sep, '/'), { type, etag, body, encoded: new Map() })
    }
    return new StaticFiles(files)
  }

  has(path: string): boolean {
    return this.#files.has(path)
  }

  /** Answers GET and HEAD with the file at a path for which `has` is true. Keeps headers that were set before. */
  async send(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { type, etag, body, encoded } = this.#files.get(path) as StaticFile
    response.setHeader('etag', etag)
    response.setHeader('vary', 'Accept-Encoding')
    if (request.headers['if-none-match']?.includes(etag)) return void response.writeHead(304).end()
    const encoding = compressible.test(type) ? encodingFor(request) : undefined
    let sent = body
    if (encoding) {
      const made = encoded.get(encoding) ?? encode[encoding](body)
      encoded.set(encoding, made)
      sent = await made
    }
    response.writeHead(200, {
      'content-type': type,
      'content-length': sent.length,
      ...(encoding ? { 'content-encoding': encoding } : {}),
    })
    response.end(request.method === 'HEAD' ? undefined : sent)
  }
}

function absent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}

/** The smallest encoding that the client accepts; undefined if it accepts none. */
function encodingFor(request: IncomingMessage): Encoding | undefined {
  const accepted = new Negotiator(request).encodings(['br', 'gzip'])
  return accepted.includes('br') ? 'br' : accepted.includes('gzip') ? 'gzip' : undefined
}
