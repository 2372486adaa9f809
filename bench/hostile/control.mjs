import { delay } from '../load/stats.mjs'

/** What the figures are compared with: no attack, and an attacker that only takes processor time. */
export const control = [
  {
    name: 'nothing',
    run: (attack) => {
      attack.sent = 1
      return delay(attack.leftMs)
    },
  },
  {
    name: 'two processes that only compute',
    attackers: 2,
    run: (attack) => {
      while (!attack.isOver) attack.sent++
    },
  },
]
