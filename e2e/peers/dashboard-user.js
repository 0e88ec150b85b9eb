// Somebody who uses the dashboard: opens the page at URL in a Chromium without a window, with a profile in DIRECTORY; clicks
// on the middle of the first mirror's slider and sets it, then pauses and resumes, with a mouse. Says what the page shows after
// each step: `state TEXT`, `ratio TEXT`, `paused TEXT`, `resumed TEXT`; then `complaints [MESSAGES]` with what the browser
// found wrong with the page.
//
//   dashboard-user.js URL DIRECTORY
'use strict';
const { spawn } = require('node:child_process');
const readline = require('node:readline');
const WebSocket = require('ws');

const [url, directory] = process.argv.slice(2);
const browser = spawn('chromium', [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--window-size=1200,1600', '--remote-debugging-port=0',
  `--user-data-dir=${directory}`, 'about:blank',
], { stdio: ['ignore', 'ignore', 'pipe'] });
process.on('exit', () => browser.kill());
browser.on('exit', () => process.exit(1));

/** The page's end of the DevTools protocol. */
class Page {
  constructor(socket) {
    this.socket = socket;
    this.waiting = new Map();
    this.asked = 0;
    this.complaints = [];
    socket.on('message', (text) => {
      const { id, method, params, result, error } = JSON.parse(text);
      if (id) this.waiting.get(id)(error ? Promise.reject(new Error(error.message)) : result);
      else if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.exception?.description);
      else if (method === 'Log.entryAdded' && params.entry.level !== 'verbose') this.complaints.push(params.entry.text);
    });
  }

  ask(method, params = {}) {
    this.asked += 1;
    this.socket.send(JSON.stringify({ id: this.asked, method, params }));
    return new Promise((resolve) => this.waiting.set(this.asked, resolve));
  }

  async value(expression) {
    const { result, exceptionDetails } = await this.ask('Runtime.evaluate', {
      expression, awaitPromise: true, returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
    return result.value;
  }

  /** What the element says as soon as it says what is expected. */
  until(selector, expected) {
    return this.value(`new Promise((resolve) => {
      const look = () => {
        const text = document.querySelector(${JSON.stringify(selector)})?.textContent ?? '';
        ${expected}.test(text) ? resolve(text) : setTimeout(look, 20);
      };
      look();
    })`);
  }

  /** A click on the middle of the element. */
  async click(selector) {
    const [x, y] = await this.value(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: 'center', behavior: 'instant' });
      const box = element.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()`);
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.ask('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
    }
  }
}

async function main() {
  const address = await new Promise((resolve) => {
    readline.createInterface({ input: browser.stderr }).on('line', (line) => {
      const found = /DevTools listening on ws:\/\/([^/]+)/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  const targets = await (await fetch(`http://${address}/json/list`)).json();
  const socket = new WebSocket(targets.find((target) => target.type === 'page').webSocketDebuggerUrl);
  await new Promise((resolve) => socket.on('open', resolve));
  const page = new Page(socket);
  await page.ask('Runtime.enable');
  await page.ask('Log.enable');
  await page.ask('Page.navigate', { url });

  console.log(`state ${await page.until('.mirror .pill', /copying/)}`);
  await page.click('.mirror [type=range]');
  await page.click('.mirror .ratio button');
  console.log(`ratio ${await page.until('.mirror .tiles dd', /^(?!100%)/)}`);
  await page.click('.mirror .pause');
  console.log(`paused ${await page.until('.mirror .pill', /paused/)}`);
  await page.click('.mirror .pause');
  console.log(`resumed ${await page.until('.mirror .pill', /copying/)}`);
  console.log(`complaints ${JSON.stringify(page.complaints)}`);
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
