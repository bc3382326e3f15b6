/** A worker that serves nobody: does what its argument says, as fast as a process can. */
import process from 'node:process'

const [how = ''] = process.argv.slice(2)
const keepAlive = setInterval(() => {}, 1_000)

process.on('message', ({ type, id }: { type: string, id: number }) => {
  if (type === 'tell') process.send?.({ type: 'figures', id, figures: { status: null, metrics: null } })
  else if (how !== 'deaf') {
    clearInterval(keepAlive)
    process.disconnect()
  }
})
// `mute` never gets that far.
if (how !== 'mute') process.send?.({ type: 'ready' }, undefined, undefined, () => { if (how === 'crash') process.exit(7) })
