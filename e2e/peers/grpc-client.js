// A gRPC client: makes calls of all four kinds to the address given and prints what it saw of each as a line of JSON. The
// answers to a stream in both directions are awaited one by one, so whatever holds messages back never comes to an end.
'use strict';
const crypto = require('node:crypto');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const { Echo } = grpc.loadPackageDefinition(loadSync(path.join(__dirname, 'echo.proto'), { defaults: true })).peers;
const client = new Echo(process.argv[2], grpc.credentials.createInsecure(), {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
});

function metadata() {
  const sent = new grpc.Metadata();
  sent.add('peers-test', 'first');
  sent.add('peers-test', 'second');
  return sent;
}

function seen(message) {
  const hash = crypto.createHash('sha256').update(message.data).digest('hex');
  return { text: message.text, count: message.count, bytes: message.data.length, hash };
}

// The end of a call, whatever it was: the messages, the status and the trailers.
function ends(call, messages, answered) {
  return new Promise((resolve) => {
    let last = null;
    let status = null;
    const finish = () => {
      if (status && last) resolve({ messages, ...status, ...(last.error && { error: last.error }) });
    };
    if (!answered) last = {};
    call.on('status', ({ code, details, metadata: got }) => {
      status = { code, details, trailers: got.get('peers-trailer') };
      finish();
    });
    call.on('error', () => {});
    if (answered) {
      answered.then((message) => {
        if (message) messages.push(seen(message));
        last = {};
        finish();
      });
    }
  });
}

function single(method, first) {
  let call;
  const answered = new Promise((resolve) => {
    const done = (error, message) => resolve(error ? null : message);
    call = first ? client[method](first.message, metadata(), first.options ?? {}, done) : client[method](metadata(), done);
  });
  return [call, ends(call, [], answered)];
}

function streamed(call, each) {
  const messages = [];
  call.on('data', (message) => {
    messages.push(seen(message));
    if (each) each(messages.length);
  });
  return ends(call, messages, null);
}

const data = (size) => Buffer.alloc(size, 'Mynah ');

const calls = {
  async unary() {
    return (await single('Unary', { message: { text: 'once', data: data(100) } })[1]);
  },
  async unary_of_4_mib() {
    return (await single('Unary', { message: { text: 'large', data: data(4 << 20) } })[1]);
  },
  async unary_that_fails() {
    return (await single('Unary', { message: { text: 'fail' } })[1]);
  },
  async server() {
    return streamed(client.Server({ text: 'many', count: 200 }, metadata()));
  },
  async server_of_nothing() {
    return streamed(client.Server({ text: 'none', count: 0 }, metadata()));
  },
  async client() {
    const [call, end] = single('Client');
    for (let count = 1; count <= 50; count++) call.write({ text: 'part', count, data: data(1000 * count) });
    call.end();
    return end;
  },
  async both() {
    const call = client.Both(metadata());
    const end = streamed(call, (count) => (count < 20 ? call.write({ count: count + 1, data: data(count) }) : call.end()));
    call.write({ count: 1 });
    return end;
  },
  async at_once() {
    const one = (count) => single('Unary', { message: { text: 'at once', count, data: data(500) } })[1];
    return Promise.all(Array.from({ length: 100 }, (_, count) => one(count)));
  },
};
// Not compared with what servers have seen: it never ends by itself.
const unanswered = {
  async unary_past_its_deadline() {
    const call = single('Unary', { message: { text: 'never' }, options: { deadline: Date.now() + 300 } });
    const { code } = await call[1];
    return { code };
  },
};

(async () => {
  for (const [name, call] of Object.entries(process.argv[3] === 'deadline' ? unanswered : calls)) {
    console.log(JSON.stringify({ [name]: await call() }));
  }
  client.close();
})();
