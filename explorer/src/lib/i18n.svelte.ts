// Two languages, switched without a reload; a text that is missing in one does not compile.
import { messages, type Key } from './messages';

export type Language = 'zh-CN' | 'en';

function first(): Language {
  const asked = new URLSearchParams(location.search).get('lang');
  const kept = (() => { try { return localStorage.getItem('vouch.language'); } catch { return null; } })();
  for (const tag of [asked, kept, ...navigator.languages]) {
    if (tag?.toLowerCase().startsWith('zh')) return 'zh-CN';
    if (tag?.toLowerCase().startsWith('en')) return 'en';
  }
  return 'en';
}

class I18n {
  language = $state<Language>(first());
  zh = $derived(this.language === 'zh-CN');

  use(language: Language) {
    this.language = language;
    try { localStorage.setItem('vouch.language', language); } catch { /* lasts as long as the page */ }
  }
}

export const i18n = new I18n();

export function text(key: Key, ...values: (string | number)[]): string {
  const found = messages[key][i18n.zh ? 1 : 0];
  return values.reduce<string>((out, value, i) => out.replaceAll(`{${i}}`, () => String(value)), found);
}

/** A word of the chain (a role, a state) in the reader's language; the word itself when it is not known. */
export function word(value: string): string {
  const key = `w_${value}`;
  return key in messages ? text(key as Key) : value;
}

export const pick = (title: { en?: string; zh?: string } | undefined, otherwise: string): string =>
  (i18n.zh ? title?.zh || title?.en : title?.en || title?.zh) || otherwise;
