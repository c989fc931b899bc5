// The page's requests to the server that it came from.

export async function getJson(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

async function failure(reply) {
  const body = await reply.json().catch(() => null);
  return new Error(body?.error?.message ?? `the server replied ${reply.status}`);
}

// The data of a stream of server-sent events, as it comes.
async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      for (const line of text.slice(0, end).split("\n")) {
        if (line.startsWith("data: ")) yield line.slice(6);
      }
    }
  }
}

// Streams a chat completion: onText(piece) for each piece; what the last chunk tells is returned.
export async function ask(body, key, signal, onText) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch("v1/chat/completions",
    { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!reply.ok) throw await failure(reply);
  const end = {};
  for await (const data of events(reply)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    const choice = chunk.choices[0];
    if (choice?.delta?.content) onText(choice.delta.content);
    if (choice?.finish_reason) end.finish = choice.finish_reason;
    if (chunk.kv) Object.assign(end, { kv: chunk.kv, timings: chunk.timings });
  }
  return end;
}
