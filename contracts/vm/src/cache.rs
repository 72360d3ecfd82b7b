//! Compiled modules by the hash of their code, a bounded number of them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use vouch_types::{CodeHash, hash::domain_hash};

use crate::{
    error::DeployError,
    host::Host,
    vm::{Module, Vm},
};

/// The name of a module's code: `domain_hash("vouch/code/1", code)`.
#[must_use]
pub fn code_hash(code: &[u8]) -> CodeHash {
    CodeHash(domain_hash("vouch/code/1", &[code]).0)
}

/// Keeps the modules used last. Whether a module is in it changes how long a call takes, never its result or fuel.
pub struct ModuleCache<H: Host + 'static> {
    capacity: usize,
    kept: Mutex<Kept<H>>,
}

impl<H: Host + 'static> core::fmt::Debug for ModuleCache<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ModuleCache").field("capacity", &self.capacity).field("kept", &self.len()).finish()
    }
}

struct Kept<H: Host + 'static> {
    uses: u64,
    /// With the number of the use that was the last.
    modules: BTreeMap<CodeHash, (u64, Module<H>)>,
}

impl<H: Host + 'static> ModuleCache<H> {
    /// Room for `capacity` modules, at least one. A module takes about three times its code in memory.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), kept: Mutex::new(Kept { uses: 0, modules: BTreeMap::new() }) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<H>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The module, if it is kept.
    #[must_use]
    pub fn get(&self, hash: &CodeHash) -> Option<Module<H>> {
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        kept.modules.get_mut(hash).map(|(used, module)| {
            *used = now;
            module.clone()
        })
    }

    /// The module, compiled from the code that `load` returns if it is not kept.
    ///
    /// Two threads that miss at the same time both compile; neither waits for the other.
    ///
    /// # Errors
    /// What `load` or the compiler says.
    pub fn get_or_compile<E: From<DeployError>>(
        &self,
        vm: &Vm<H>,
        hash: &CodeHash,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Module<H>, E> {
        if let Some(module) = self.get(hash) {
            return Ok(module);
        }
        let module = vm.compile(&load()?)?;
        let mut kept = self.kept();
        if kept.modules.len() >= self.capacity {
            let oldest = kept.modules.iter().min_by_key(|(_, (used, _))| *used).map(|(hash, _)| *hash);
            oldest.and_then(|hash| kept.modules.remove(&hash));
        }
        let now = kept.uses;
        kept.modules.insert(*hash, (now, module.clone()));
        Ok(module)
    }

    /// How many modules are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().modules.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
