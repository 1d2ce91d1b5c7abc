/** A registry that is nothing but files, served by nginx from Debian: the fastest that there is on loopback. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { ggufHead } from '../src/demo/tiny-model.ts'

export interface StaticRegistry {
  readonly url: string
  /** `127.0.0.1:PORT/library/big:latest`. */
  readonly model: string
  readonly blobUrl: string
  readonly blobFile: string
  readonly digest: string
  readonly sizeBytes: number
  close(): void
}

/** @returns `undefined` where there is no nginx */
export async function startStaticRegistry(folder: string, sizeBytes: number): Promise<StaticRegistry | undefined> {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined
  const repository = path.join(folder, 'www/v2/library/big')
  mkdirSync(path.join(repository, 'blobs'), { recursive: true })
  mkdirSync(path.join(repository, 'manifests'), { recursive: true })
  const weights = writeWeights(path.join(folder, 'weights'), sizeBytes)
  copyFileSync(path.join(folder, 'weights'), path.join(repository, 'blobs', weights))
  const config = JSON.stringify({ model_format: 'gguf', model_family: 'llama', architecture: 'amd64', os: 'linux' })
  const configDigest = `sha256:${createHash('sha256').update(config).digest('hex')}`
  writeFileSync(path.join(repository, 'blobs', configDigest), config)
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      digest: configDigest,
      size: config.length,
    },
    layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: weights, size: sizeBytes }],
  }
  writeFileSync(path.join(repository, 'manifests/latest'), JSON.stringify(manifest))
  const port = await freePort()
  writeFileSync(path.join(folder, 'nginx.conf'), nginxConfig(folder, port))
  const nginx = spawn('nginx', ['-c', path.join(folder, 'nginx.conf'), '-p', folder], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; tries < 100; tries++) {
    const answered = await fetch(`${url}/v2/library/big/manifests/latest`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    url,
    model: `127.0.0.1:${port}/library/big:latest`,
    blobUrl: `${url}/v2/library/big/blobs/${weights}`,
    blobFile: path.join(folder, 'weights'),
    digest: weights,
    sizeBytes,
    close: () => nginx.kill(),
  }
}

/** A GGUF file of bytes that no file system makes smaller. */
export function writeWeights(file: string, sizeBytes: number, name = 'big'): string {
  const head = ggufHead(name, (sizeBytes - 512) / 2)
  const piece = randomFillSync(Buffer.alloc(4 * 1024 * 1024))
  const hash = createHash('sha256')
  const descriptor = openSync(file, 'w')
  for (let at = 0; at < sizeBytes; at += piece.length) {
    piece.writeDoubleLE(at, 0)
    if (at === 0) piece.set(head)
    const part = piece.subarray(0, Math.min(piece.length, sizeBytes - at))
    hash.update(part)
    writeSync(descriptor, part)
  }
  closeSync(descriptor)
  return `sha256:${hash.digest('hex')}`
}

/** `Location` is what an Ollama server wants to see on a blob. */
function nginxConfig(folder: string, port: number): string {
  return `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off; sendfile on; default_type application/octet-stream; client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server {
    listen 127.0.0.1:${port}; root ${folder}/www;
    location ~ /blobs/ { add_header Location $scheme://$http_host$uri; }
  }
}
`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
