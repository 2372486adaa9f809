import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

export const readme = readFileSync('README.md', 'utf8')

/** A fenced block of the README. */
export interface Block {
  language: string
  text: string
}

export const blocks: Block[] = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
  ([, language = '', text = '']) => ({ language, text }),
)

export const blocksOf = (language: string) => blocks.filter((block) => block.language === language)

/** Stricter than `--strict`, so that the examples can be pasted into a project with any of these options. */
const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
  // Node.js 22.18 and later run such files as they are.
  erasableSyntaxOnly: true,
  target: 'es2023',
  module: 'nodenext',
  types: ['node'],
  outDir: 'out',
}

/** A temporary TypeScript project with the packages of this repository. */
export class ExampleProject {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /**
   * Writes the files, by name without extension, and compiles them under strict settings.
   * @throws Error with the compiler's messages
   */
  static async compile(files: Record<string, string>): Promise<ExampleProject> {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-examples-'))
    await symlink(resolve('node_modules'), join(directory, 'node_modules'))
    await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module' }))
    await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, `${name}.ts`), text)
    const compiler = resolve('node_modules/typescript/bin/tsc')
    await promisify(execFile)(process.execPath, [compiler, '-p', directory]).catch(({ stdout, stderr }) => {
      throw new Error(`The examples do not compile:\n${stdout}${stderr}`)
    })
    return new ExampleProject(directory)
  }

  /** The compiled file, for `node`. */
  fileOf(name: string): string {
    return join(this.#directory, 'out', `${name}.js`)
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
