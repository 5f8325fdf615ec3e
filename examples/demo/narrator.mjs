/**
 * Tells the story: one line per step, and what is being waited for while it lasts. On a terminal the latter is a line
 * that redraws itself; elsewhere nothing is written that the next line would not say as well.
 */
export function createNarrator(output) {
  const isTerminal = output.isTTY === true
  const useColor = isTerminal && !process.env.NO_COLOR
  const paint = (code, text) => (useColor ? `\x1b[${code}m${text}\x1b[0m` : text)
  let waiting // { text, since, frame, timer }

  const erase = () => (isTerminal && waiting ? output.write('\r\x1b[K') : undefined)
  const draw = () => {
    const { text, since, frame } = waiting
    const spinner = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'[frame % 10]
    const line = `${spinner} ${text} (${Math.floor((Date.now() - since) / 1000)} s)`
    output.write(`\r\x1b[K${line.slice(0, (output.columns || 80) - 1)}`)
    waiting.frame += 1
  }

  function print(mark, title, detail, duration) {
    erase()
    const time = duration === undefined ? '' : paint(2, `  ${formatDuration(duration)}`)
    output.write(`${mark} ${title.padEnd(20)} ${detail}${time}\n`)
  }

  return {
    say: (text) => {
      erase()
      output.write(`${text}\n`)
    },
    /** A step that was verified. */
    done: (title, detail, duration) => print(paint(32, '✓'), title, detail, duration),
    failed: (title, detail) => print(paint(31, '✗'), title, detail),
    /** Shows what is waited for until `work` settles. */
    async during(text, work) {
      waiting = { text, since: Date.now(), frame: 0 }
      if (isTerminal) waiting.timer = setInterval(draw, 80)
      try {
        return await work()
      } finally {
        clearInterval(waiting.timer)
        erase()
        waiting = undefined
      }
    },
    /** Says what is waited for now. */
    update: (text) => {
      if (waiting) waiting.text = text
    },
  }
}

function formatDuration(ms) {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
