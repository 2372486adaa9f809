// The page in the iframe requests its first token, and another before a token expires.
addEventListener('message', async ({ data, origin, source }) => {
  const frame = document.querySelector('iframe')
  const latchkey = new URL(frame.src).origin
  if (data?.type !== 'latchkey:get-token' || origin !== latchkey || source !== frame.contentWindow) return
  const response = await fetch('/token')
  if (response.ok) source.postMessage({ type: 'latchkey:token', token: await response.text() }, latchkey)
})
