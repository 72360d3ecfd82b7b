//! Counters. The one place where the names of this crate's metrics stand.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::channel::{CHANNELS, Channel};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $metric:literal),* $(,)?) => {
        /// Counters since the network started, taken at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct NetStats {
            $($(#[doc = $doc])+ pub $name: u64,)*
            /// Per channel, in the order of [`Channel::ALL`].
            pub channels: [ChannelStats; CHANNELS],
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) channels: [ChannelCounters; CHANNELS],
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> NetStats {
                NetStats {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    channels: Channel::ALL.map(|channel| self.channels[channel.index()].snapshot()),
                }
            }
        }

        impl NetStats {
            /// Metric name, channel label where there is one, value; for the metrics page.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, Option<&'static str>, u64)> {
                let mut entries = vec![$(($metric, None, self.$name)),*];
                for channel in Channel::ALL {
                    entries.extend(self.channel(channel).entries().map(|(n, v)| (n, Some(channel.name()), v)));
                }
                entries
            }
        }
    };
}

counters! {
    /// Admitted peers with all channels open, now.
    peers_connected = "vouch_net_peers_connected",
    /// Connections that came to have all channels open.
    connections_opened = "vouch_net_connections_opened_total",
    /// Such connections that ended.
    connections_closed = "vouch_net_connections_closed_total",
    /// Dials begun.
    dials = "vouch_net_dials_total",
    /// Dials that failed.
    dials_failed = "vouch_net_dials_failed_total",
    /// Handshakes refused because the key is not admitted.
    refused_not_admitted = "vouch_net_refused_not_admitted_total",
    /// Dials that met another key than expected.
    refused_wrong_key = "vouch_net_refused_wrong_key_total",
    /// Admitted peers of another chain or version.
    refused_wrong_chain = "vouch_net_refused_wrong_chain_total",
    /// Handshakes that failed or took too long.
    refused_handshake = "vouch_net_refused_handshake_total",
    /// Connections beyond a limit.
    refused_too_many = "vouch_net_refused_too_many_total",
    /// Protocol violations by admitted peers.
    violations = "vouch_net_violations_total",
    /// Peers disconnected because their consensus queue overflowed.
    consensus_overflows = "vouch_net_consensus_overflows_total",
    /// Requests sent.
    requests_sent = "vouch_net_requests_sent_total",
    /// Requests without a response.
    requests_failed = "vouch_net_requests_failed_total",
    /// Requests received.
    requests_received = "vouch_net_requests_received_total",
    /// Requests received that waited for their budget.
    requests_throttled = "vouch_net_requests_throttled_total",
}

macro_rules! channel_counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $metric:literal),* $(,)?) => {
        /// Counters of one channel.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ChannelStats {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct ChannelCounters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl ChannelCounters {
            pub(crate) fn snapshot(&self) -> ChannelStats {
                ChannelStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl ChannelStats {
            fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$(($metric, self.$name)),*].into_iter()
            }
        }
    };
}

channel_counters! {
    /// Whole messages received and queued for the replica.
    messages_in = "vouch_net_messages_in_total",
    /// Whole messages written.
    messages_out = "vouch_net_messages_out_total",
    /// Payload bytes received.
    bytes_in = "vouch_net_bytes_in_total",
    /// Payload bytes written.
    bytes_out = "vouch_net_bytes_out_total",
    /// Messages not queued because the queue to the peer was full.
    queue_full = "vouch_net_queue_full_total",
    /// Frames after which a peer had to wait because it was over its budget.
    throttled = "vouch_net_throttled_total",
}

impl NetStats {
    /// The counters of one channel.
    #[must_use]
    pub const fn channel(&self, channel: Channel) -> &ChannelStats {
        &self.channels[channel.index()]
    }
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_follow_the_rule_and_values_arrive() {
        let counters = Counters::default();
        add(&counters.violations, 3);
        add(&counters.channels[Channel::Blocks.index()].bytes_in, 5);
        let entries = counters.snapshot().entries();
        assert!(entries.iter().all(|(name, ..)| name.starts_with("vouch_net_")));
        assert!(entries.contains(&("vouch_net_violations_total", None, 3)));
        assert!(entries.contains(&("vouch_net_bytes_in_total", Some("blocks"), 5)));
        let mut keys: Vec<_> = entries.iter().map(|(name, label, _)| (name, label)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), entries.len());
    }
}
