// What every browser test does with a page: complaints and requests elsewhere are faults, and so is what axe finds.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const pictures = process.env.VOUCH_PICTURES;
/** Pages built since the program was: they are shown instead of its own, under its headers. */
export const built = process.env.VOUCH_PAGES;
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.wasm': 'application/wasm' };
export const faults = [];
const began = Date.now();
export const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
export const check = (holds, text) => { if (!holds) faults.push(text); };

/** Holds when the page shows so many within ten seconds: what is asked for after the first paint takes its time. */
export async function counts(locator, wanted, text) {
  const end = Date.now() + 10_000;
  let found = await locator.count();
  while (found !== wanted && Date.now() < end) {
    await new Promise((done) => setTimeout(done, 50));
    found = await locator.count();
  }
  check(found === wanted, `${text}: ${found} are shown, not ${wanted}`);
}

/** Which file stands for a path, and its media type. */
export function builtAt(pathname) {
  const file = join(built, pathname !== '/' && existsSync(join(built, pathname)) ? pathname : 'index.html');
  return { file, type: types[extname(file)] };
}

/** What a node says of its pages, asked once. */
const said = new Map();
async function headersOf(context, origin) {
  if (!said.has(origin)) said.set(origin, (await context.request.get(`${origin}/`, { headers: { accept: 'text/html' } })).headers());
  return said.get(origin);
}

async function fromBuilt(context, origin, route) {
  const { pathname } = new URL(route.request().url());
  const { file, type } = builtAt(pathname);
  const headers = await headersOf(context, origin);
  const kept = pathname === '/verifier.html' ? { 'content-disposition': 'attachment; filename="vouch-verifier.html"' } : {};
  const shown = { 'content-security-policy': headers['content-security-policy'], 'x-frame-options': headers['x-frame-options'], 'content-type': type };
  await route.fulfill({ body: readFileSync(file), headers: { ...shown, ...kept } });
}

/** A page whose every complaint and every request elsewhere is a fault. */
export async function openPage(browser, options, allowed) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: 'reduce', ...options });
  if (built && allowed.startsWith('https:')) await context.route((url) => url.origin === allowed && !url.pathname.startsWith('/api/'), (route) => fromBuilt(context, allowed, route));
  const page = await context.newPage();
  page.expectErrors = false;
  page.on('console', (message) => {
    const isComplaint = ['error', 'warning'].includes(message.type()) || /Content Security Policy/.test(message.text());
    if (isComplaint && !page.expectErrors) faults.push(`${page.url()}: console: ${message.text()}`);
  });
  page.on('response', (response) => { if (response.status() >= 400 && !page.expectErrors) faults.push(`${page.url()}: ${response.status()} of ${response.url()}`); });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== allowed && !['data:', 'blob:'].includes(url.protocol)) faults.push(`${page.url()}: asked ${request.url()}`);
  });
  return { context, page };
}

export async function settle(page) {
  await page.waitForSelector('h1');
  await page.waitForFunction(() => !document.querySelector('main [aria-busy="true"], main [data-trust="checking"]'), null, { timeout: 30_000 });
}

/** A picture, and what must hold of every page: it fits the window, accuses nobody, and axe finds nothing. */
export async function inspect(page, place) {
  if (pictures) await page.screenshot({ path: join(pictures, `${place.replaceAll(' ', '-')}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${place}: ${wide} px wider than the window`);
  check(await page.locator('[data-lie], [data-wrong-chain]').count() === 0, `${place}: an honest node is called a liar`);
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  for (const violation of result.violations) {
    faults.push(`${place}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 140)).join(' | ')}`);
  }
}
