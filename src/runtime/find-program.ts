/** Looks up a program on PATH, as a shell does. */
import { accessSync, constants, lstatSync, statSync } from 'node:fs'
import path from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The first file of this name on PATH that can be run; on Windows with an extension of PATHEXT. Entries that are relative, which would
 * mean the working directory, are passed over: nothing that lies there is run by its name.
 */
export function findProgram(name: string, env: Environment, platform: string): string | undefined {
  const windows = platform === 'win32'
  const folders = (variable(env, 'PATH', windows) ?? '')
    .split(windows ? ';' : ':')
    // Windows allows quotes around them.
    .map((folder) => (windows ? folder.replace(/^"(.*)"$/, '$1') : folder))
    .filter((folder) => path.isAbsolute(folder))
  for (const folder of folders) {
    for (const file of programNames(name, env, platform).map((candidate) => path.join(folder, candidate))) {
      if (isProgram(file, windows)) return file
    }
  }
  return undefined
}

/** The names of files that a program of this name may have. */
export function programNames(name: string, env: Environment, platform: string): readonly string[] {
  if (platform !== 'win32') return [name]
  const extensions = (variable(env, 'PATHEXT', true) || '.COM;.EXE;.BAT;.CMD').split(';')
  const isWhole = extensions.some(
    (extension) => extension !== '' && name.toUpperCase().endsWith(extension.toUpperCase()),
  )
  return [...(isWhole ? [name] : []), ...extensions.map((extension) => `${name}${extension}`)]
}

/** A copy of Windows' environment has lost that its names have no case. */
function variable(env: Environment, name: string, anyCase: boolean): string | undefined {
  if (env[name] !== undefined || !anyCase) return env[name]
  const key = Object.keys(env).find((other) => other.toUpperCase() === name)
  return key === undefined ? undefined : env[key]
}

/** @param windows Where the extension alone decides */
export function isProgram(file: string, windows: boolean): boolean {
  try {
    // A program of the store is a link there that cannot be followed.
    if (windows) return !lstatSync(file).isDirectory()
    if (!statSync(file).isFile()) return false
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
