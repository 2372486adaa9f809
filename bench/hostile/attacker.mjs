// An attacker, a process of its own. Reads an order from stdin as JSON, and prints what it did as JSON.
import { setPriority } from 'node:os'
import { json } from 'node:stream/consumers'
import { attackOf } from './attacks.mjs'
import { Attack } from './wire.mjs'

/** Attackers of the real world have machines of their own; here they must not take the server's processor time. */
setPriority(10)

const { name, target, seconds } = await json(process.stdin)
const { prepare, run } = attackOf(name)
const prepared = await prepare?.(target)
const attack = new Attack(target, seconds)
await run(attack, prepared)
process.stdout.write(JSON.stringify(attack.report()), () => process.exit(0))
