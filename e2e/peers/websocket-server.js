// A WebSocket server on a free port that sends back what it receives and ends connections with the client's code. Says
// `listening PORT`, and `request PATH` for whatever asks for no WebSocket.
'use strict';
const http = require('node:http');
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => {
  console.log(`request ${request.url}`);
  response.end('no WebSocket');
});
const sockets = new WebSocketServer({
  server,
  handleProtocols: (protocols) => ([...protocols].includes('second') ? 'second' : false),
  perMessageDeflate: true,
});
sockets.on('connection', (socket, request) => {
  console.log(`connected ${request.url}`);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('close', (code, reason) => console.log(`closed ${code} ${reason}`));
});
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
