// Numbers, times and hashes for people.
import { text } from './i18n.svelte';

export const short = (hash: string, first = 8, last = 6): string =>
  hash.length > first + last + 1 ? `${hash.slice(0, first)}…${hash.slice(-last)}` : hash;

export const count = (value: number): string => value.toLocaleString('en-US');

const two = (value: number) => String(value).padStart(2, '0');

/** As written in evidence: with the zone, never a locale's order of day and month. */
export function time(ms: number): string {
  const date = new Date(ms);
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `
    + `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}

export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return text('seconds', s);
  if (s < 7200) return text('minutes', Math.floor(s / 60));
  if (s < 172_800) return text('hours', Math.floor(s / 3600));
  return text('days', Math.floor(s / 86_400));
}

/** Between blocks: tenths of a second matter. */
export const interval = (ms: number): string => (ms < 10_000 ? text('seconds', (ms / 1000).toFixed(1)) : duration(ms));

export const ago = (ms: number, now: number): string => text('ago', duration(now - ms));

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 ** 2) return `${(value / 1024).toFixed(1)} KiB`;
  return `${(value / 1024 ** 2).toFixed(1)} MiB`;
}

export const bare = (key: string): string => key.replace(/^ed25519:/, '');
