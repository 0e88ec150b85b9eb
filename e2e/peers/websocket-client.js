// A WebSocket client: connects to the URL given, sends messages of every sort, and prints what comes back.
'use strict';
const crypto = require('node:crypto');
const { WebSocket } = require('ws');

const socket = new WebSocket(process.argv[2], ['first', 'second'], { perMessageDeflate: true });
const say = (what) => console.log(JSON.stringify(what));
const random = crypto.createHash('sha256').update('seed').digest('hex').repeat(16384);
const messages = ['hello', '', 'mynah \u{1F426}', Buffer.from([0, 255, 10, 13]), Buffer.from(random), random];

socket.on('upgrade', (response) => say({ status: response.statusCode, protocol: response.headers['sec-websocket-protocol'] }));
socket.on('open', () => socket.ping('are you there'));
socket.on('pong', (data) => {
  say({ pong: String(data) });
  for (const message of messages) socket.send(message);
});
let received = 0;
socket.on('message', (data, binary) => {
  const hash = crypto.createHash('sha256').update(data).digest('hex');
  const same = Buffer.from(messages[received]).equals(data);
  say({ received: data.length, binary, hash, same });
  received += 1;
  if (received === messages.length) socket.close(4001, 'enough');
});
socket.on('close', (code, reason) => say({ closed: code, reason: String(reason) }));
socket.on('error', (error) => {
  say({ error: error.message });
  process.exitCode = 1;
});
