/** How {@link readPastes} reads: from where, and what to do with a line; true ends the reading. */
export interface PasteReading {
  readonly input: NodeJS.ReadableStream
  readonly accept: (text: string) => boolean
}

/** Longest line (characters) that is kept while its end has not come. */
const maxLine = 64 * 1024

/**
 * Whether a person can paste into the input: it is a terminal, and nobody else is reading from it. A program that reads
 * its own commands from the terminal would otherwise lose them to us, and read callbacks as commands.
 */
export function canReadPastes(input: NodeJS.ReadableStream): boolean {
  const isFlowing = input.listenerCount('data') > 0 && !input.isPaused()
  return 'isTTY' in input && input.isTTY === true && !isFlowing && input.listenerCount('readable') === 0
}

/**
 * Reads lines until one is accepted or the returned function is called; then the input is paused, so that the process
 * can exit, and what was read beyond the accepted line is put back for the next reader.
 *
 * The terminal stays in its line mode: Ctrl-C ends the program as ever, and no state of the terminal has to be restored.
 */
export function readPastes({ input, accept }: PasteReading): () => void {
  let unread = ''
  const read = (chunk: Buffer | string): void => {
    // Byte for byte, so that what is put back is what came; a callback is ASCII.
    unread += typeof chunk === 'string' ? chunk : chunk.toString('latin1')
    for (let line = takeLine(); line !== undefined; line = takeLine()) {
      if (line !== '' && accept(line)) return stop()
    }
    if (unread.length > maxLine) unread = unread.slice(0, maxLine)
  }
  const takeLine = (): string | undefined => {
    const end = /\r\n|\r|\n/.exec(unread)
    if (end === null) return undefined
    const line = unread.slice(0, end.index)
    unread = unread.slice(end.index + end[0].length)
    return cleanLine(line)
  }
  const stop = (): void => {
    if (!input.listeners('data').includes(read)) return
    input.off('data', read).off('end', stop).off('error', stop)
    input.pause()
    if (unread !== '' && input.readable) input.unshift(Buffer.from(unread, 'latin1'))
  }
  // A terminal that goes away ends the reading, not the wait for the browser.
  input.on('data', read).on('end', stop).on('error', stop)
  input.resume()
  return stop
}

/** Strips what surrounds a pasted address: blanks, quotes, and the marks of bracketed paste. */
function cleanLine(line: string): string {
  // eslint-disable-next-line no-control-regex -- ESC begins the marks
  const text = line.replace(/\u001b\[20[01]~/g, '').trim()
  return text.replace(/^(["'<])(.*)["'>]$/, '$2')
}
