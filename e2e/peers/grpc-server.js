// A gRPC server on a free port. Says `listening PORT`, and for every call that has ended `call {…}` with its kind, the
// metadata that the client sent, the number of messages and bytes received, and whether the client gave up.
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const { Echo } = grpc.loadPackageDefinition(loadSync(path.join(__dirname, 'echo.proto'), { defaults: true })).peers;

function say(kind, call, messages) {
  const bytes = messages.reduce((sum, message) => sum + message.data.length, 0);
  const sent = call.metadata.get('peers-test');
  console.log('call ' + JSON.stringify({ kind, sent, messages: messages.length, bytes, cancelled: Boolean(call.cancelled) }));
}

function trailers() {
  const metadata = new grpc.Metadata();
  metadata.add('peers-trailer', 'one');
  metadata.add('peers-trailer', 'two');
  return metadata;
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
server.addService(Echo.service, {
  Unary(call, answer) {
    say('unary', call, [call.request]);
    if (call.request.text === 'fail') {
      answer({ code: grpc.status.FAILED_PRECONDITION, details: 'as asked, 100 %', metadata: trailers() });
    } else if (call.request.text !== 'never') {
      answer(null, call.request, trailers());
    }
  },
  Server(call) {
    for (let count = 1; count <= call.request.count; count++) call.write({ text: call.request.text, count });
    call.end(trailers());
    say('server', call, [call.request]);
  },
  Client(call, answer) {
    const messages = [];
    call.on('data', (message) => messages.push(message));
    call.on('end', () => {
      say('client', call, messages);
      const data = Buffer.concat(messages.map((message) => message.data));
      answer(null, { text: 'received', count: messages.length, data }, trailers());
    });
    call.on('error', () => {});
  },
  Both(call) {
    const messages = [];
    call.on('data', (message) => {
      messages.push(message);
      call.write(message);
    });
    call.on('end', () => {
      say('both', call, messages);
      call.end(trailers());
    });
    call.on('error', () => {});
  },
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`listening ${port}`);
});
