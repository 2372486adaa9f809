/** Returns a function that picks key numbers from 0 to `keys` - 1: uniformly, by Zipf's law (s = 1.1), or always 0. */
export function pickerOf({ distribution, keys }) {
  if (distribution === 'hot') return () => 0
  if (distribution === 'uniform') return () => (Math.random() * keys) | 0
  if (distribution === 'zipf') return zipf(keys, 1.1)
  throw new Error(`Unknown distribution ${distribution}.`)
}

function zipf(keys, s) {
  const cumulated = new Float64Array(keys)
  let sum = 0
  for (let rank = 1; rank <= keys; rank++) {
    sum += rank ** -s
    cumulated[rank - 1] = sum
  }
  // Spread the ranks, so that hot keys are not neighbours in the tables.
  const stride = 7_919
  return () => {
    const wanted = Math.random() * sum
    let [low, high] = [0, keys - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (cumulated[middle] < wanted) low = middle + 1
      else high = middle
    }
    return (low * stride) % keys
  }
}
