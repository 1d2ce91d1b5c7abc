/** What each check makes of the facts: nothing else is read, so that facts of any machine can be given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseListedName } from '../../src/artifact/reference.ts'
import type { ServerAnswers } from '../../src/backend/probe.ts'
import { checkAll } from '../../src/doctor/check.ts'
import type { Facts } from '../../src/doctor/facts.ts'
import { type Subject, subjects } from '../../src/doctor/finding.ts'
import { proxiesOf } from '../../src/doctor/proxies.ts'

const digest = (digit: string) => `sha256:${digit.repeat(64)}`
const model = (name: string, digit: string) => ({
  name,
  reference: parseListedName(name),
  digest: digest(digit),
  sizeBytes: 1,
})

const answers: ServerAnswers = {
  version: { value: '0.33.0' },
  listing: { value: { models: [model('a:latest', 'a')], unreadable: [] } },
  loaded: { value: [] },
  cloud: { value: { enabled: true, source: 'none' } },
}

const server: Facts['server'] = {
  address: 'http://127.0.0.1:11434',
  source: 'the default',
  loopback: true,
  warning: null,
  answers,
  error: null,
}
const environment: Facts['environment'] = {
  values: {},
  source: 'process',
  complete: true,
  manager: null,
  own: true,
  reason: '',
}
const folder: Facts['folder'] = {
  folder: '/home/ada/.ollama/models',
  source: 'model',
  here: true,
  owner: 'ada',
  own: true,
  freeBytes: 1e12,
  mine: '/home/ada/.ollama/models',
  mineIsSet: false,
  mineHasModels: false,
}
const config: Facts['config'] = {
  file: '/p/ollama.config.ts',
  error: null,
  models: [{ reference: 'a:latest', cloud: false, alias: false }],
  plugins: [],
  pluginProblems: [],
  lock: { error: null, models: new Map([['a:latest', digest('a')]]) },
  record: { error: null, models: new Map([['a:latest', digest('a')]]) },
}
const healthy: Facts = {
  platform: 'linux',
  server,
  program: '/usr/local/bin/ollama',
  upgrade: 'UPGRADE',
  proxies: { https: null },
  environment,
  folder,
  memoryBytes: 64e9,
  gpus: [{ vendor: 'nvidia', name: 'NVIDIA T4', memoryBytes: 16e9, driver: true }],
  config,
}

const withServer = (more: Partial<Facts['server']>): Partial<Facts> => ({ server: { ...server, ...more } })
const withAnswers = (more: Partial<ServerAnswers>) => withServer({ answers: { ...answers, ...more } })
const withEnvironment = (more: Partial<Facts['environment']>, rest: Partial<Facts> = {}): Partial<Facts> => ({
  environment: { ...environment, ...more },
  ...rest,
})
const withFolder = (more: Partial<Facts['folder']>): Partial<Facts> => ({ folder: { ...folder, ...more } })
const withConfig = (more: Partial<Facts['config']>): Partial<Facts> => ({ config: { ...config, ...more } })
const lockOf = (models: Readonly<Record<string, string | null>>) =>
  withConfig({ lock: { ...config.lock, models: new Map(Object.entries(models)) } })
const error = (code: 'host-unreachable' | 'host-error' | 'host-timeout') => ({
  error: { code, message: 'it is so', hint: 'HINT' },
})
const silent: ServerAnswers = {
  version: error('host-unreachable'),
  listing: error('host-unreachable'),
  loaded: error('host-unreachable'),
  cloud: error('host-unreachable'),
}
const unknown = { source: 'unknown', complete: false, values: {}, own: null, reason: 'REASON' } as const

/** What is said of one subject: its marks and codes, and the texts. */
function saidOf(subject: Subject, more: Partial<Facts>) {
  const found = checkAll({ ...healthy, ...more }).filter((finding) => finding.subject === subject)
  return {
    codes: found.map(({ status, code }) => `${status} ${code}`).join(', '),
    text: found.map(({ message, hint = '' }) => `${message} > ${hint}`).join('\n'),
  }
}

test('of a machine on which all is well every line is good, in the order of the subjects', () => {
  const found = checkAll(healthy)
  assert.deepEqual(
    found.filter(({ status }) => status !== 'ok'),
    [],
  )
  assert.deepEqual(
    found.map(({ subject }) => subject),
    subjects.filter((subject) => subject !== 'plugins'),
  )
})

const cases: readonly [subject: Subject, more: Partial<Facts>, codes: string, text?: RegExp][] = [
  ['program', { program: null }, 'unknown program-missing'],
  [
    'program',
    { program: null, ...withServer({ answers: silent }) },
    'error program-missing',
    /> "ollama-config setup"$/,
  ],
  ['program', { program: null, ...withServer({ answers: silent, loopback: false }) }, 'unknown program-missing'],
  ['server', withServer({ answers: silent }), 'error host-unreachable', /\(the default\) > "ollama-config setup --run/],
  ['server', withServer({ answers: silent, loopback: false }), 'error host-unreachable', /> HINT/],
  ['server', withAnswers({ listing: error('host-error') }), 'error host-error', /runs, but .* > look at its log/],
  ['server', withServer({ warning: 'odd' }), 'warning address, ok server-answers', /^odd > write it as HOST:PORT\n/],
  [
    'server',
    withServer({ address: null, answers: null, error: { code: 'invalid-address', message: 'M', hint: 'H' } }),
    'error invalid-address',
    /^M > H$/,
  ],
  ['version', withAnswers({ version: { value: '0.32.7' } }), 'ok version'],
  ['version', withAnswers({ version: { value: '0.32.6' } }), 'warning version-lacks', /cannot be foreseen > UPGRADE/],
  ['version', withAnswers({ version: { value: '0.19.0-rc1' } }), 'warning version-lacks', /^(?!.*manifests)/],
  ['version', withAnswers({ version: { value: '0.18.9' } }), 'warning version-lacks', /stores manifests otherwise/],
  ['version', withAnswers({ version: { value: '0.6.3' } }), 'error version-lacks', /> UPGRADE$/],
  [
    'version',
    withServer({ loopback: false, answers: { ...answers, version: { value: '0.6.3' } } }),
    'error version-lacks',
    /> update Ollama on that machine$/,
  ],
  ['version', withAnswers({ version: { value: '1.0.0' } }), 'ok version'],
  ['version', withAnswers({ version: { value: '0.0.0' } }), 'ok version', /development build/],
  ['version', withAnswers({ version: { value: 'odd' } }), 'unknown version-unknown'],
  ['cloud', withAnswers({ cloud: error('host-error') }), 'unknown cloud-unknown'],
  ['cloud', withAnswers({ cloud: { value: { enabled: false, source: 'env' } } }), 'ok cloud-off', /by OLLAMA_NO_CLOUD/],
  [
    'cloud',
    {
      ...withAnswers({ cloud: { value: { enabled: false, source: 'config' } } }),
      ...withConfig({ models: [{ reference: 'big:cloud', cloud: true, alias: false }] }),
    },
    'error cloud-needed',
    /declares big:cloud > set "disable_ollama_cloud" to false in its ~\/.ollama\/server.json, restart it$/,
  ],
  [
    'cloud',
    {
      ...withAnswers({ cloud: { value: { enabled: false, source: 'env' } } }),
      ...withConfig({ models: [{ reference: 'big:cloud', cloud: true, alias: false }] }),
    },
    'error cloud-needed',
    /> unset OLLAMA_NO_CLOUD for the server, restart it$/,
  ],
  ['models', withFolder({ own: false, owner: 'ollama' }), 'ok folder', /of the user ollama/],
  [
    'models',
    withFolder({ folder: '/srv/m', own: false, owner: 'ollama', mineHasModels: true }),
    'warning folder-two',
    /the server uses \/srv\/m \(of the user ollama\); models in your \/home\/ada\S+ are not its own > .*--store=\/home/,
  ],
  [
    'models',
    withFolder({ folder: '/srv/m', mine: '/mine', mineIsSet: true, mineHasModels: true }),
    'warning folder-two',
    /OLLAMA_MODELS is set to \/mine here/,
  ],
  ['models', withFolder({ here: false }), 'ok folder-elsewhere'],
  ['models', { ...withFolder({ folder: null }), ...withServer({ loopback: false }) }, 'unknown folder-unknown'],
  [
    'models',
    { ...withFolder({ folder: null }), ...withAnswers({ listing: { value: { models: [], unreadable: [] } } }) },
    'unknown folder-unknown',
    /there is no model that names it/,
  ],
  ['disk', withFolder({ freeBytes: 4e9 }), 'warning disk-low', /4 GB free.* > "ollama-config collect"/],
  ['disk', withFolder({ freeBytes: 0 }), 'error disk-low', /collect", then "ollama-config plan --prune" shows/],
  [
    'disk',
    { ...withFolder({ freeBytes: 0 }), ...withConfig({ file: null }) },
    'error disk-low',
    /> "ollama-config collect"$/,
  ],
  ['disk', withFolder({ freeBytes: null }), 'unknown disk-unknown'],
  ['memory', { memoryBytes: null }, 'unknown memory-unknown'],
  ['gpu', { gpus: [] }, 'ok gpu-none'],
  ['gpu', { gpus: null }, 'unknown gpu-unknown'],
  [
    'gpu',
    { gpus: [{ vendor: 'nvidia', name: 'N', memoryBytes: null, driver: false }] },
    'warning gpu-driver',
    /> install its driver/,
  ],
  [
    'loaded',
    withAnswers({ loaded: { value: [{ name: 'a', sizeBytes: 2e9, vramBytes: 1e9 }] } }),
    'ok loaded',
    /a \(2 GB, 1 GB of it on the GPU\)/,
  ],
  [
    'loaded',
    withAnswers({ loaded: { value: [{ name: 'a', sizeBytes: 2e9, vramBytes: 0 }] } }),
    'warning loaded-on-cpu',
    /on the CPU\), though there is a GPU > look for "gpu" in the log/,
  ],
  [
    'loaded',
    { ...withAnswers({ loaded: { value: [{ name: 'a', sizeBytes: 2e9, vramBytes: 0 }] } }), gpus: [] },
    'ok loaded',
  ],
  ['pruning', withEnvironment({ values: { OLLAMA_NOPRUNE: '1' } }), 'warning noprune-on', /env -u OLLAMA_NOPRUNE/],
  [
    'pruning',
    withEnvironment({ values: { OLLAMA_NOPRUNE: '1' }, manager: 'systemd' }),
    'warning noprune-on',
    /> sudo systemctl edit ollama: .*UnsetEnvironment=OLLAMA_NOPRUNE; then sudo systemctl restart ollama$/,
  ],
  [
    'pruning',
    withEnvironment({ values: { OLLAMA_NOPRUNE: '1' } }, { platform: 'darwin' }),
    'warning noprune-on',
    /> launchctl unsetenv OLLAMA_NOPRUNE/,
  ],
  ['pruning', withEnvironment({ values: { OLLAMA_NOPRUNE: 'yes' } }), 'warning noprune-on'],
  ['pruning', withEnvironment({ values: { OLLAMA_NOPRUNE: ' "false" ' } }), 'ok noprune-off'],
  ['pruning', withEnvironment({ values: { OLLAMA_NOPRUNE: '' } }), 'ok noprune-off'],
  ['pruning', withEnvironment(unknown), 'unknown noprune-unknown', /REASON/],
  [
    'config',
    withConfig({ file: null, error: { code: 'config-not-found', message: 'M' } }),
    'warning config-not-found',
    /ollama-config init/,
  ],
  [
    'config',
    withConfig({
      file: null,
      error: {
        code: 'config-invalid',
        message: 'Found 1 problem',
        diagnostics: [{ severity: 'error', code: 'wrong-type', message: 'models is 3' }],
      },
    }),
    'error config-invalid',
    /^models is 3 > "ollama-config plan --config-only/,
  ],
  ['config', withConfig({ models: [] }), 'warning nothing-declared', /declares no model > add names to "models"$/],
  [
    'config',
    withConfig({ error: { code: 'config-load-failed', message: 'M', hint: 'H' } }),
    'error config-load-failed',
    /^M > H$/,
  ],
  ['plugins', withConfig({ plugins: ['p', 'q'] }), 'ok plugins', /p, q/],
  [
    'plugins',
    withConfig({ pluginProblems: [{ severity: 'error', code: 'invalid-plugin', message: 'M', hint: 'H' }] }),
    'error invalid-plugin',
    /M > H/,
  ],
  ['lock', withConfig({ lock: { ...config.lock, models: null } }), 'ok lock-none'],
  [
    'lock',
    withConfig({ lock: { ...config.lock, models: null, error: { code: 'lock-invalid', message: 'M', hint: 'H' } } }),
    'error lock-invalid',
    /M > H/,
  ],
  ['lock', lockOf({}), 'warning lock-lacks', /> "ollama-config lock a:latest/],
  [
    'lock',
    lockOf({ 'A:latest': digest('a'), 'b:1': digest('b') }),
    'warning lock-spare',
    /b:1, not declared any more > "ollama-config lock"$/,
  ],
  [
    'lock',
    lockOf({ 'a:latest': digest('b') }),
    'warning lock-differs',
    /locked version: a:latest > "ollama-config plan/,
  ],
  // What is built is locked by its declaration; and an old server has digests of its own.
  ['lock', lockOf({ 'a:latest': null }), 'ok lock'],
  ['lock', { ...lockOf({ 'a:latest': digest('b') }), ...withAnswers({ version: { value: '0.18.0' } }) }, 'ok lock'],
  [
    'lock',
    {
      ...withConfig({ models: [{ reference: 'x:latest', cloud: false, alias: true }], lock: config.lock }),
    },
    'warning lock-spare',
  ],
  ['record', withConfig({ record: { error: null, models: null } }), 'ok record-none'],
  [
    'record',
    withConfig({ record: { error: { code: 'record-invalid', message: 'M', hint: 'H' }, models: null } }),
    'warning record-invalid',
    /^M > H$/,
  ],
  [
    'record',
    withConfig({
      record: {
        error: null,
        models: new Map([
          ['a:latest', digest('b')],
          ['gone:1', digest('c')],
          ['once:1', digest('d')],
        ]),
      },
      models: ['a:latest', 'gone:1'].map((reference) => ({ reference, cloud: false, alias: false })),
    }),
    'warning record-differs',
    // What is not declared any more may be gone.
    /a:latest, gone:1 > "ollama-config plan"$/,
  ],
  // Nobody knows what is there.
  ['record', withServer({ answers: silent }), 'ok record'],
]

test('each check tells what is wrong, what is right and what is not known', () => {
  for (const [subject, more, codes, text] of cases) {
    const said = saidOf(subject, more)
    assert.equal(said.codes, codes, said.text)
    if (text !== undefined) assert.match(said.text, text)
  }
})

test('whatever is wrong comes with the next thing to do', () => {
  for (const [subject, more, codes] of cases) {
    const wrong = checkAll({ ...healthy, ...more }).filter(({ status }) => status === 'warning' || status === 'error')
    for (const { code, hint } of wrong) assert.ok(hint, `${subject}, ${codes}: ${code}`)
  }
})

test('of a server that runs and does not list its models, the log is named as it is read there', () => {
  const logs: readonly [Partial<Facts>, RegExp][] = [
    [withEnvironment({ manager: 'systemd' }), /> look at its log: journalctl -e -u ollama$/],
    [{ platform: 'darwin' }, /> look at its log: tail ~\/.ollama\/logs\/server.log$/],
    [{ platform: 'win32' }, /> look at its log: %LOCALAPPDATA%\\Ollama\\server.log$/],
    [{}, /> look at its log: what "ollama serve" printed$/],
    // Of another machine nobody knows where it is.
    [withServer({ loopback: false, answers: { ...answers, listing: error('host-error') } }), /> HINT$/],
  ]
  for (const [more, text] of logs)
    assert.match(saidOf('server', { ...withAnswers({ listing: error('host-error') }), ...more }).text, text)
})

test('a proxy that is set here and not on the server is told, with how to set it there', () => {
  const here: Partial<Facts> = { proxies: { https: 'http://p:3128' } }
  const has = { HTTPS_PROXY: 'http://p:3128' }
  const proxyCases: readonly [Partial<Facts>, string, RegExp?][] = [
    [{}, 'ok proxy-same', /^none/],
    [here, 'error proxy-not-on-server', /set here, but not on the server.* > .*ollama serve/],
    [withEnvironment({ values: has }, here), 'ok proxy-same'],
    [withEnvironment({ values: has }), 'ok proxy-server'],
    [
      withEnvironment({ values: { https_proxy: 'http://q:1' } }, here),
      'warning proxy-other',
      /> stop the server, and start it from this shell: ollama serve$/,
    ],
    // The registry is left out there.
    [withEnvironment({ values: { ...has, NO_PROXY: '.ollama.ai' } }, here), 'error proxy-not-on-server'],
    [withEnvironment(unknown, here), 'warning proxy-unknown', /REASON > set HTTPS_PROXY where the server is started/],
    [withEnvironment(unknown), 'unknown proxy-unknown'],
    [{ ...withEnvironment(unknown, here), ...withServer({ loopback: false }) }, 'unknown proxy-unknown'],
    [
      withEnvironment({ source: 'systemd', manager: 'systemd', own: false }, here),
      'error proxy-not-on-server',
      /sudo systemctl edit ollama: .*Environment="HTTPS_PROXY=http:\/\/p:3128"; then sudo systemctl restart ollama/,
    ],
    // A part of its unit cannot be read.
    [withEnvironment({ source: 'systemd', complete: false, reason: 'REASON' }, here), 'warning proxy-unknown'],
    [{ ...withEnvironment({ ...unknown }, here), platform: 'darwin' }, 'warning proxy-unknown', /launchctl setenv/],
  ]
  for (const [more, codes, text = /^/] of proxyCases) {
    const said = saidOf('proxy', more)
    assert.equal(said.codes, codes, said.text)
    assert.match(said.text, text)
  }
})

test('of a proxy neither user nor password is kept', () => {
  const cases: readonly [string, string | null][] = [
    ['http://user:secret@proxy.corp:3128/', 'http://…@proxy.corp:3128'],
    ['secret@proxy.corp:3128', 'http://…@proxy.corp:3128'],
    ['proxy.corp:3128', 'http://proxy.corp:3128'],
    ['http://user:sec/ret@proxy', 'a proxy'],
    ['', null],
  ]
  for (const [HTTPS_PROXY, shown] of cases) {
    const { https } = proxiesOf({ HTTPS_PROXY })
    assert.equal(https?.includes('sec') ?? false, false)
    assert.equal(https, shown)
  }
})
