import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/**
 * Makes a folder in which the driver finds the library as it would be published: the packed files of `library`, which has
 * to be built already, beside links to the packages that it depends on, taken from `project`. Nothing is downloaded.
 */
export async function createWorkspace({ project, library, driver, options }) {
  const folder = await mkdtemp(path.join(tmpdir(), 'axios-oauth2-conformance-'))
  try {
    await unpackLibrary(library, folder)
    await linkDependencies(project, folder)
    await copyFile(driver, path.join(folder, 'driver.mjs'))
    await copyFile(options, path.join(folder, 'options.mjs'))
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return folder
}

/** Where the driver of a workspace is. */
export function driverOf(folder) {
  return path.join(folder, 'driver.mjs')
}

async function unpackLibrary(library, folder) {
  const target = packageFolder(folder, 'axios-oauth2')
  await mkdir(target, { recursive: true })
  await execute('npm', ['pack', '--ignore-scripts', '--offline', '--pack-destination', folder], { cwd: library })
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  await execute('tar', ['-xzf', path.join(folder, archive), '-C', target, '--strip-components', '1'])
}

async function linkDependencies(project, folder) {
  const manifest = JSON.parse(await readFile(path.join(packageFolder(folder, 'axios-oauth2'), 'package.json'), 'utf8'))
  for (const name of Object.keys({ axios: '', ...manifest.dependencies, ...manifest.peerDependencies })) {
    await mkdir(path.dirname(packageFolder(folder, name)), { recursive: true })
    await symlink(packageFolder(project, name), packageFolder(folder, name), 'dir')
  }
}

function packageFolder(folder, name) {
  return path.join(folder, 'node_modules', name)
}
