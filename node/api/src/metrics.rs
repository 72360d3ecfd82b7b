//! What the API counts about itself, in Prometheus' text format.
//!
//! | metric | |
//! |---|---|
//! | `vouch_api_requests_total{route,method,status}` | answers given |
//! | `vouch_api_request_duration_seconds{route}` | histogram, from the request's head to the answer's head |
//! | `vouch_api_requests_in_flight` | requests being worked on |
//! | `vouch_api_connections` | open connections |
//! | `vouch_api_connections_refused_total` | closed at once because there were too many |
//! | `vouch_api_handshakes_failed_total` | TLS handshakes that came to nothing |
//! | `vouch_api_certificates_refused_total` | requests refused because of the certificate their client showed, or did not |
//! | `vouch_api_rate_limited_total` | requests answered with 429 |
//! | `vouch_api_event_streams` | open event streams |
//! | `vouch_api_event_streams_dropped_total` | streams ended because their reader was too slow |
//! | `vouch_api_panics_total` | handlers that panicked |

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

/// Upper bounds of the histogram's buckets in milliseconds.
const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000];

/// A number that goes up.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that are there now; each is a guard that takes itself away.
#[derive(Default)]
pub(crate) struct Gauge(AtomicU64);

/// One of the things a gauge counts.
pub(crate) struct Counted {
    metrics: Arc<Metrics>,
    gauge: fn(&Metrics) -> &Gauge,
}

impl Gauge {
    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counted {
    pub(crate) fn enter(metrics: &Arc<Metrics>, gauge: fn(&Metrics) -> &Gauge) -> Self {
        gauge(metrics).0.fetch_add(1, Ordering::Relaxed);
        Self { metrics: Arc::clone(metrics), gauge }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default, Clone, Copy)]
struct Histogram {
    /// Per bound, not yet summed up; the last one is above all bounds.
    buckets: [u64; BUCKETS_MS.len() + 1],
    sum_us: u64,
}

impl Histogram {
    fn observe(&mut self, elapsed: Duration) {
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.iter().position(|ms| elapsed_us <= ms * 1000).unwrap_or(BUCKETS_MS.len());
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(elapsed_us);
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) certificates_refused: Counter,
    pub(crate) rate_limited: Counter,
    pub(crate) event_streams: Gauge,
    pub(crate) event_streams_dropped: Counter,
    pub(crate) panics: Counter,
    requests: Mutex<BTreeMap<(String, &'static str, u16), u64>>,
    durations: Mutex<BTreeMap<String, Histogram>>,
}

impl Metrics {
    /// Counts an answer. `route` is the route's pattern, never the path, so that the number of series is bounded.
    pub(crate) fn answered(&self, route: &str, method: &'static str, status: u16, elapsed: Duration) {
        *self.requests.lock().entry((route.into(), method, status)).or_default() += 1;
        self.durations.lock().entry(route.into()).or_default().observe(elapsed);
    }

    /// As Prometheus reads it.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        self.render_requests(&mut out);
        self.render_durations(&mut out);
        let gauges = [
            ("requests_in_flight", &self.in_flight),
            ("connections", &self.connections),
            ("event_streams", &self.event_streams),
        ];
        for (name, gauge) in gauges {
            line(&mut out, name, "gauge", gauge.value());
        }
        let counters = [
            ("connections_refused_total", &self.connections_refused),
            ("handshakes_failed_total", &self.handshakes_failed),
            ("certificates_refused_total", &self.certificates_refused),
            ("rate_limited_total", &self.rate_limited),
            ("event_streams_dropped_total", &self.event_streams_dropped),
            ("panics_total", &self.panics),
        ];
        for (name, counter) in counters {
            line(&mut out, name, "counter", counter.value());
        }
        out
    }

    fn render_requests(&self, out: &mut String) {
        out.push_str("# TYPE vouch_api_requests_total counter\n");
        for ((route, method, status), count) in self.requests.lock().iter() {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            let _ = writeln!(out, "vouch_api_requests_total{{{labels}}} {count}");
        }
    }

    fn render_durations(&self, out: &mut String) {
        out.push_str("# TYPE vouch_api_request_duration_seconds histogram\n");
        for (route, histogram) in self.durations.lock().iter() {
            let name = "vouch_api_request_duration_seconds";
            let mut total = 0;
            for (count, bound_ms) in histogram.buckets.iter().zip(BUCKETS_MS) {
                total += count;
                let bound = decimal(bound_ms, 3);
                let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"{bound}\"}} {total}");
            }
            total += histogram.buckets.last().copied().unwrap_or(0);
            let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {total}");
            let _ = writeln!(out, "{name}_sum{{route=\"{route}\"}} {}", decimal(histogram.sum_us, 6));
            let _ = writeln!(out, "{name}_count{{route=\"{route}\"}} {total}");
        }
    }
}

fn line(out: &mut String, name: &str, kind: &str, value: u64) {
    let _ = writeln!(out, "# TYPE vouch_api_{name} {kind}\nvouch_api_{name} {value}");
}

/// `value / 10^digits` in decimal notation.
fn decimal(value: u64, digits: usize) -> String {
    let scale = 10u64.pow(u32::try_from(digits).unwrap_or(0));
    format!("{}.{:0digits$}", value / scale, value % scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_buckets_add_up() {
        let metrics = Metrics::default();
        for ms in [1, 3, 40_000] {
            metrics.answered("/x", "GET", 200, Duration::from_millis(ms));
        }
        let text = metrics.render();
        for line in [
            "vouch_api_requests_total{route=\"/x\",method=\"GET\",status=\"200\"} 3",
            "vouch_api_request_duration_seconds_bucket{route=\"/x\",le=\"0.001\"} 1",
            "vouch_api_request_duration_seconds_bucket{route=\"/x\",le=\"0.005\"} 2",
            "vouch_api_request_duration_seconds_bucket{route=\"/x\",le=\"30.000\"} 2",
            "vouch_api_request_duration_seconds_bucket{route=\"/x\",le=\"+Inf\"} 3",
            "vouch_api_request_duration_seconds_sum{route=\"/x\"} 40.004000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
