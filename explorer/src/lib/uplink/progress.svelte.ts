// How far an uplink is, for what every page shows: small, because every page loads it.

class Progress {
  running = $state(false);
  done = $state(0);
  total = $state(0);
}

export const progress = new Progress();
