// Asks with OpenAI's client: npm install openai
import { readFile } from 'node:fs/promises';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.SEGUE_URL ?? 'http://localhost:8080'}/v1`, apiKey: 'none' });
const photo = await readFile('examples/coffee.jpg', 'base64');
const completion = await client.chat.completions.create({
  model: 'segue-smol',
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Where could I pour a drink?' },
        { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${photo}` } },
      ],
    },
  ],
});
const { choices, usage } = completion;
const { content, segments } = choices[0].message;
console.log(content);
for (const { phrase, area } of segments) console.log(`${phrase}: ${area} pixels`);
console.log(`${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written, ${usage.total_tokens} in all`);
