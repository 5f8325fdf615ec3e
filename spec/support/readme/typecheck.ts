import path from 'node:path'
import ts from 'typescript'
import { repository } from './program'

/**
 * What the compiler says about files under the strict options of this repository, one line for each complaint.
 * `isolatedDeclarations` is for what the package exports; programs of users are not asked to.
 */
export function complaintsAbout(files: readonly string[]): string[] {
  const configFile = path.join(repository, 'tsconfig.json')
  const { config } = ts.readConfigFile(configFile, (file) => ts.sys.readFile(file)) as { config: unknown }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, repository, undefined, configFile)
  const program = ts.createProgram(files, { ...options, isolatedDeclarations: false, declaration: false })
  return files
    .map((file) => program.getSourceFile(file))
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(({ file, start = 0, messageText }) => {
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1
      const name = path.basename(file?.fileName ?? '')
      return `${name}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
}

/** The members of an interface, or of a union of string literals, in a file below lib/. */
export function membersOf(file: string, name: string): Member[] {
  const full = path.join(repository, 'lib', file)
  const text = ts.sys.readFile(full) ?? ''
  const tree = ts.createSourceFile(full, text, ts.ScriptTarget.ES2022, true)
  for (const statement of tree.statements) {
    if (ts.isInterfaceDeclaration(statement) && statement.name.text === name) {
      return statement.members.filter(ts.isPropertySignature).map((member) => describe(member, tree))
    }
    if (ts.isTypeAliasDeclaration(statement) && statement.name.text === name && ts.isUnionTypeNode(statement.type)) {
      return statement.type.types.map((type) => ({
        name: type.getText(tree).replace(/'/g, ''),
        type: '',
        default: undefined,
      }))
    }
  }
  throw new Error(`lib/${file} has no ${name}`)
}

export interface Member {
  readonly name: string
  readonly type: string
  /** The text of its `@default` tag. */
  readonly default: string | undefined
}

function describe(member: ts.PropertySignature, tree: ts.SourceFile): Member {
  const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default')
  const comment = ts.getTextOfJSDocComment(tag?.comment)
  return {
    name: member.name.getText(tree),
    type: member.type?.getText(tree) ?? '',
    default: comment?.replace(/\s+/g, ' ').trim(),
  }
}
