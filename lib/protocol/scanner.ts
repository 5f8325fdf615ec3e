const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'
const tokenCharacters: ReadonlySet<string> = new Set(letters + digits + "!#$%&'*+-.^_`|~")
const token68Characters: ReadonlySet<string> = new Set(letters + digits + '-._~+/')
const blanks: ReadonlySet<string> = new Set(' \t')
const valueEnds: ReadonlySet<string> = new Set(' \t,"')
const equals: ReadonlySet<string> = new Set('=')

/**
 * A cursor over one field value (RFC 9110 §5.6). It moves forward only, but for one bounded look ahead within a list
 * element ({@link takeToken68}), so that reading costs time linear in the length of the text.
 */
export class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Whether everything was read. */
  get atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Whether the list element under the cursor ends here. */
  get atElementEnd(): boolean {
    return this.atEnd || this.#next === ','
  }

  /** Whether a quoted string begins here. */
  get atQuote(): boolean {
    return this.#next === '"'
  }

  get #next(): string {
    return this.#text.charAt(this.#at)
  }

  /** Steps over spaces and tabs and says whether there were any. */
  skipBlanks(): boolean {
    return this.#takeWhile(blanks) !== ''
  }

  /** Steps over exactly this character, if it is here. */
  skip(character: string): boolean {
    if (this.#next !== character) return false
    this.#at++
    return true
  }

  /** Takes a `token` (RFC 9110 §5.6.2), the empty text when there is none. */
  takeToken(): string {
    return this.#takeWhile(tokenCharacters)
  }

  /** Takes a `token68` (RFC 9110 §11.2) that is the whole rest of the element; otherwise stays where it is. */
  takeToken68(): string | undefined {
    const start = this.#at
    const text = this.#takeWhile(token68Characters)
    const padding = this.#takeWhile(equals)
    this.skipBlanks()
    if (text !== '' && this.atElementEnd) return text + padding
    this.#at = start
    return undefined
  }

  /** Takes a `quoted-string` (RFC 9110 §5.6.4) without its escapes; undefined, at the end, when it is not closed. */
  takeQuoted(): string | undefined {
    let value = ''
    let start = ++this.#at
    for (; !this.atEnd; this.#at++) {
      const character = this.#next
      if (character !== '"' && character !== '\\') continue
      value += this.#text.slice(start, this.#at)
      start = this.#at + 1
      if (character === '"') {
        this.#at++
        return value
      }
      this.#at++ // the escaped character is the first of the next slice
    }
    return undefined
  }

  /** Takes what stands before the next comma, blank or quote, which is more than a `token`: URLs come unquoted too. */
  takeUnquoted(): string {
    const start = this.#at
    while (!this.atEnd && !valueEnds.has(this.#next)) this.#at++
    return this.#text.slice(start, this.#at)
  }

  /** Steps over the rest of the element, commas in quoted strings included; false when a quote is not closed. */
  skipElement(): boolean {
    while (!this.atElementEnd) {
      if (!this.atQuote) this.#at++
      else if (this.takeQuoted() === undefined) return false
    }
    return true
  }

  #takeWhile(characters: ReadonlySet<string>): string {
    const start = this.#at
    while (characters.has(this.#next)) this.#at++
    return this.#text.slice(start, this.#at)
  }
}
