// Light or dark: the system's choice until the reader makes one.

const kept = (() => { try { return localStorage.getItem('vouch.theme'); } catch { return null; } })();

class Theme {
  dark = $state(kept ? kept === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);

  toggle() {
    this.dark = !this.dark;
    try { localStorage.setItem('vouch.theme', this.dark ? 'dark' : 'light'); } catch { /* lasts as long as the page */ }
  }
}

export const theme = new Theme();
