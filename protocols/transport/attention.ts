/** No specification: looks for the next request a moment longer before the process sleeps, while a client asks one thing after another. */

/** Answers that follow each other this closely are those of a client that waits for each. */
const CLOSE_MILLISECONDS = 0.4
/**
 * The next request is looked for this long. To be woken takes 20 to 50 us, and longer where the processor is a virtual one; a client
 * on the same machine or a fast network has sent it by then.
 */
const LOOK_MILLISECONDS = 0.1

let lastAnswer = Number.NEGATIVE_INFINITY
let lastClient: object | undefined
let until = 0
let isLooking = false

/**
 * Answers were sent. Costs at most one look in vain when the client then rests. With several clients in turns there is always one that has
 * asked already, or the processor is better left to them.
 */
export function answered(client: object): void {
  const now = performance.now()
  const isClose = client === lastClient && now - lastAnswer < CLOSE_MILLISECONDS
  lastAnswer = now
  lastClient = client
  if (!isClose) return
  until = now + LOOK_MILLISECONDS
  if (isLooking) return
  isLooking = true
  setImmediate(look)
}

/** Each turn of the event loop takes what has come, and does not sleep while another turn is due. */
function look(): void {
  isLooking = performance.now() < until
  if (isLooking) setImmediate(look)
}
