/** Checks of the machine: where models lie, room on its disk, its memory and GPUs, what is loaded. Pure. */
import { formatBytes } from '../artifact/bytes.ts'
import { printable } from '../artifact/text.ts'
import { type Facts, installedIn } from './facts.ts'
import { type Finding, findingsOf } from './finding.ts'

/** Where the models are, and whether they lie in a second place that is easily taken for it. */
export function checkModels(facts: Facts): readonly Finding[] {
  const { ok, warning, unknown } = findingsOf('models')
  const { folder, server, environment } = facts
  const { here, mine, source } = folder
  if (folder.folder === null) {
    if (!server.loopback) return [unknown('folder-unknown', 'the folder is on another machine')]
    const why = installedIn(facts)?.length === 0 ? 'there is no model that names it' : environment.reason
    return [unknown('folder-unknown', `the folder is not known${why === '' ? '' : `: ${why}`}`)]
  }
  const shown = printable(folder.folder, 200)
  if (here === false && source === 'model')
    return [ok('folder-elsewhere', `${shown}, as the server names it; not this machine's, as of a container`)]
  const whose = folder.own === true ? 'yours' : folder.owner === null ? '' : `of the user ${folder.owner}`
  const found = ok('folder', whose === '' ? shown : `${shown}, ${whose}`)
  if (!folder.mineHasModels || mine === null) return [found]
  const other = printable(mine, 200)
  const message = folder.mineIsSet
    ? `the server uses ${shown}, but OLLAMA_MODELS is set to ${other} here, which has models too`
    : `the server uses ${shown}${folder.own === true || whose === '' ? '' : ` (${whose})`}; models in your ${other} are not its own`
  const hint = `to see what is in yours: ollama-config plan --store=${/\s/.test(other) ? `"${other}"` : other} --all`
  return [warning('folder-two', message, hint)]
}

/** A small model has half of it. */
const littleBytes = 5e9
const tooLittleBytes = 5e8

/** Whether another model fits on the disk on which models lie. */
export function checkDisk({ folder, config }: Facts): readonly Finding[] {
  const { ok, warning, error, unknown } = findingsOf('disk')
  const free = folder.freeBytes
  if (free === null)
    return [
      unknown(
        'disk-unknown',
        folder.folder === null ? 'not known, as the folder of the models' : 'not told to this program',
      ),
    ]
  const text = `${formatBytes(free)} free where models lie`
  if (free >= littleBytes) return [ok('disk', text)]
  const hint = `"ollama-config collect"${config.file === null ? '' : ', then "ollama-config plan --prune" shows what else could go'}`
  return [(free < tooLittleBytes ? error : warning)('disk-low', text, hint)]
}

/** A fact, never a fault. */
export function checkMemory({ memoryBytes, server }: Facts): readonly Finding[] {
  const { ok, unknown } = findingsOf('memory')
  if (memoryBytes !== null) return [ok('memory', formatBytes(memoryBytes))]
  return [unknown('memory-unknown', server.loopback ? 'not known' : 'not known of another machine')]
}

/** Which GPUs there are, and whether their drivers are loaded. */
export function checkGpu({ gpus, server }: Facts): readonly Finding[] {
  const { ok, warning, unknown } = findingsOf('gpu')
  if (!server.loopback) return [unknown('gpu-unknown', 'not known of another machine')]
  if (gpus === null) return [unknown('gpu-unknown', 'nothing here tells')]
  if (gpus.length === 0) return [ok('gpu-none', 'none found: models run on the CPU')]
  const texts = gpus.map(({ name, memoryBytes, vendor }) => {
    const memory = vendor === 'apple' ? ', with the memory of the machine' : ''
    return memoryBytes === null ? `${name}${memory}` : `${name} with ${formatBytes(memoryBytes)}`
  })
  if (gpus.some(({ driver }) => driver === false))
    return [
      warning(
        'gpu-driver',
        `${texts.join(', ')}, whose driver is not loaded`,
        'install its driver until nvidia-smi lists it',
      ),
    ]
  return [ok('gpu', texts.join(', '))]
}

/** What is in memory, and whether it is there on the CPU in spite of a GPU. Nothing where the server does not tell. */
export function checkLoaded({ server: { answers, loopback }, gpus }: Facts): readonly Finding[] {
  const { ok, warning } = findingsOf('loaded')
  if (answers === null || 'error' in answers.loaded) return []
  const models = answers.loaded.value
  if (models.length === 0) return [ok('loaded-none', 'no model is loaded')]
  const shareOf = ({ sizeBytes, vramBytes }: (typeof models)[number]) =>
    sizeBytes === 0 ? '' : vramBytes === 0 ? ', on the CPU' : `, ${formatBytes(vramBytes)} of it on the GPU`
  const text = models.map((model) => `${model.name} (${formatBytes(model.sizeBytes)}${shareOf(model)})`).join(', ')
  const slow =
    loopback && gpus?.some(({ vendor }) => vendor !== 'intel') && models.every(({ vramBytes }) => vramBytes === 0)
  return slow
    ? [
        warning(
          'loaded-on-cpu',
          `${text}, though there is a GPU`,
          'look for "gpu" in the log of the server: it says why none is used',
        ),
      ]
    : [ok('loaded', text)]
}
