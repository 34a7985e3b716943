// SPDX-License-Identifier: Apache-2.0
// Pages: Mustache templates of views/ inside one frame. Mustache escapes what it inserts.
import { readFileSync } from 'node:fs';
import Mustache from 'mustache';

const view = (name) => readFileSync(new URL(`../views/${name}.html`, import.meta.url), 'utf8');
const frame = view('frame');
const views = { catalogue: view('catalogue'), basket: view('basket'), problem: view('problem') };

// 1250, 'EUR' → '12.50 EUR'
export function money(cents, currency) {
  return `${Math.trunc(cents / 100)}.${String(cents % 100).padStart(2, '0')} ${currency}`;
}

export function renderPage(name, facts) {
  // In a template: {{#money}}{{cents}}{{/money}}
  const helpers = { money: () => (text, render) => money(Number(render(text)), facts.currency) };
  return Mustache.render(frame, { ...facts, ...helpers }, { content: views[name] });
}
