/** One event of an SSE stream. */
export interface StreamEvent {
  event: string
  data: string
}

/** The events of an SSE stream as they arrive, without its keep-alive comments; ends with the stream. */
export async function* eventsOf(response: Response): AsyncGenerator<StreamEvent> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes as Uint8Array, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: ?(.*)/s) as [string, string]))
      const event = fields.get('event')
      if (event) yield { event, data: fields.get('data') ?? '' }
    }
  }
}
