import { control } from './control.mjs'
import { customers } from './customers.mjs'
import { dependencies } from './dependencies.mjs'
import { strangers } from './strangers.mjs'

/**
 * Every attack: its name in the table, who it comes from, the settings that it needs, what the attacker asks for in
 * advance (`prepare`), and what it does. Most were once faults of Latchkey.
 */
export const attacks = [
  ...control.map((attack) => ({ from: 'nobody', ...attack })),
  ...strangers.map((attack) => ({ from: 'strangers without a token', ...attack })),
  ...customers.map((attack) => ({ from: 'one customer', ...attack })),
  ...dependencies.map((attack) => ({ from: 'what it depends on', ...attack })),
]

export const attackOf = (name) => attacks.find((attack) => attack.name === name)
