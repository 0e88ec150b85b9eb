// An application with a page that listens to Server-Sent Events, on a free port. The next event is sent only when the page
// has posted that it received the one before, so an event that is held back anywhere stops the whole. After half of them
// the stream ends, and the browser must come back with the last id. Says `listening PORT`, `request METHOD PATH` for each
// request, `last-event-id ID` when the browser comes back, and `done [EVENTS]` with what the page received.
'use strict';
const http = require('node:http');

const EVENTS = 10;
const PAGE = `<!doctype html><title>events</title><script>
  const received = [];
  const events = new EventSource('/events');
  events.addEventListener('count', async (event) => {
    received.push(event.lastEventId + ' ' + event.data);
    await fetch('/received', { method: 'POST', body: JSON.stringify(received) });
    if (received.length === ${EVENTS}) events.close();
  });
</script>`;

let stream = null;
let sent = 0;
function next() {
  sent += 1;
  stream.write(`id: ${sent}\nevent: count\ndata: number ${sent}\ndata: of ${EVENTS}\n\n`);
}

const server = http.createServer((request, response) => {
  console.log(`request ${request.method} ${request.url}`);
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString();
    if (request.url === '/events') {
      const last = request.headers['last-event-id'];
      if (last !== undefined) console.log(`last-event-id ${last}`);
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write('retry: 50\n\n');
      stream = response;
      next();
    } else if (request.url === '/received') {
      response.end();
      const received = JSON.parse(body);
      if (received.length === EVENTS) {
        stream.end();
        console.log(`done ${body}`);
      } else if (received.length === EVENTS / 2) {
        stream.end();
      } else {
        next();
      }
    } else if (request.url === '/') {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end(PAGE);
    } else {
      response.writeHead(404);
      response.end();
    }
  });
});
// Connections end with the browser, not before: which requests there are must not depend on time.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
