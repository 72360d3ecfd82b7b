//! Looking through documents: everybody's when this node is new here or now and then, a party's when its relations changed.
//! Slices of it alternate with everything else, and how far each one is lies on disk.

use std::collections::BTreeMap;

use vouch_ledger::{Batch, Table};

use crate::{
    chain::Scope,
    disk::{Disk, Kind, put, row},
    limits::VaultLimits,
    vault::{Vault, VaultError},
    words::VersionKey,
};

/// What is being looked through.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    /// Numbers of the last documents looked at.
    running: BTreeMap<Scope, u64>,
    slice_at: Option<u64>,
    all_at: Option<u64>,
}

impl Sweeps {
    pub(crate) fn restore(&mut self, disk: &Disk) -> Result<(), VaultError> {
        for (key, value) in disk.scan(Table::Vault, &[Kind::Sweep as u8], None, usize::MAX)? {
            let name = String::from_utf8_lossy(&key[1..]).into_owned();
            let scope = if name.is_empty() { Scope::All } else { Scope::Party(name) };
            self.running.insert(scope, crate::disk::read(&value)?);
        }
        Ok(())
    }

    pub(crate) fn schedule(&mut self, now: u64, limits: &VaultLimits) {
        self.all_at = Some(now + limits.sweep_every_ms);
        self.slice_at = (!self.running.is_empty()).then_some(now);
    }

    pub(crate) fn due(&self) -> Option<u64> {
        self.slice_at.into_iter().chain(self.all_at).min()
    }

    /// How many are running.
    pub(crate) fn load(&self) -> usize {
        self.running.len()
    }
}

fn sweep_row(scope: &Scope) -> Vec<u8> {
    match scope {
        Scope::All => row(Kind::Sweep, &[]),
        Scope::Party(name) => row(Kind::Sweep, &[name.as_bytes()]),
    }
}

impl Vault {
    /// Begins to look through documents, from the first one.
    pub(crate) fn sweep(&mut self, scope: Scope) -> Result<(), VaultError> {
        let is_full = self.sweeps.running.len() >= self.limits.sweeps_max;
        let scope = if is_full { Scope::All } else { scope };
        let mut batch = Batch::new();
        if scope == Scope::All {
            // It meets every party's documents anyway.
            for scope in self.sweeps.running.keys() {
                batch.delete(Table::Vault, sweep_row(scope));
            }
            self.sweeps.running.clear();
        }
        put(&mut batch, sweep_row(&scope), &0u64);
        self.sweeps.running.insert(scope, 0);
        self.sweeps.slice_at.get_or_insert(self.now.steady_ms);
        self.disk.apply(batch)
    }

    /// One slice, when one is due.
    pub(crate) fn run_sweep(&mut self) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        if self.sweeps.all_at.is_some_and(|at| at <= now) {
            self.sweeps.all_at = Some(now + self.limits.sweep_every_ms);
            self.sweep(Scope::All)?;
        }
        if self.sweeps.slice_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let Some((scope, after)) = self.sweeps.running.first_key_value().map(|(scope, after)| (scope.clone(), *after))
        else {
            self.sweeps.slice_at = None;
            return Ok(());
        };
        let listed = self.chain.documents(&scope, after, self.limits.sweep_slice)?;
        for document in &listed {
            for version in 1..=document.latest {
                self.consider(&VersionKey { id: document.id, version }, true)?;
            }
            self.move_erasure_on(&document.id, true)?;
        }
        let mut batch = Batch::new();
        match listed.last() {
            Some(last) => {
                put(&mut batch, sweep_row(&scope), &last.number);
                self.sweeps.running.insert(scope, last.number);
            }
            None => {
                batch.delete(Table::Vault, sweep_row(&scope));
                self.sweeps.running.remove(&scope);
                self.counters.sweeps_ended += 1;
            }
        }
        self.sweeps.slice_at = (!self.sweeps.running.is_empty()).then_some(now + self.limits.sweep_pause_ms);
        self.disk.apply(batch)
    }
}
