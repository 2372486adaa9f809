// Called for the first token, and again before a token expires.
document.querySelector('latchkey-keys').getToken = async () => {
  const response = await fetch('/token')
  if (!response.ok) throw new Error('The customer is signed out.')
  return response.text()
}
