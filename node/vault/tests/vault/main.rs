//! Several vaults over a simulated network and a model of the chain: loss, crashes between any two writes and effects, lying,
//! wiped and slow holders, late joiners, grants and their end, erasure against restored backups, files in pieces.

mod chain;
mod damage;
mod erasure;
mod files;
mod local;
mod network;
mod oracle;
mod reading;
mod seeds;
mod staging;
mod support;
mod uploads;
mod world;
