//! Members, their records and their proposals as the API shows them.

use vouch_api::ApiError;
use vouch_ledger::{
    Published, Reader, Registry,
    decisions::{DryRun, Standing},
    kernel::{ActionReport, Matter, ProposalState, Tally, parameter_texts},
    keys::SYSTEM,
    registry::{
        AccountRecord, AccountStanding, CertificateRecord, CertificateStanding, CertificateSubject, ContractRecord,
        EncryptionKey, MemberRecord, PackageRecord,
    },
};
use vouch_types::{
    Abi, CodeHash, ContractName, Hash32, Height, TimestampMs,
    api::{
        AccountView, ActionReportView, ActionView, BallotView, CanaryView, CertificateView, ContractSummary,
        DryRunView, EncryptionKeyView, HexBytes, MemberNodeView, MemberView, PackageView, ProposalFailure,
        ProposalSummary, ProposalView, StateKey, TallyView,
    },
};

use crate::views::{Abis, count};

/// Most changed keys that a report of a dry run names.
const CHANGED_MAX: usize = 1_000;

/// A member with its nodes.
pub fn member_view(registry: &Registry, member: &MemberRecord) -> MemberView {
    let nodes = registry.nodes.iter().filter(|(_, n)| n.member == member.name);
    MemberView {
        name: member.name.clone(),
        role: member.role.to_string(),
        title: Some(member.title.clone()),
        active: member.is_active(),
        standing: member.standing.as_str().into(),
        admin_threshold: member.admin_threshold,
        admin_keys: member.admin_keys.clone(),
        encryption_keys: member.encryption_keys.iter().map(encryption_key_view).collect(),
        ca_certificate: member.ca_certificate.clone().map(HexBytes),
        nodes: nodes
            .map(|(id, n)| MemberNodeView {
                node: *id,
                name: n.name.clone(),
                key: n.consensus_key,
                network_key: n.network_key,
                address: n.address.clone(),
                power: n.power,
            })
            .collect(),
        accounts: count(registry.holdings(&member.name).accounts),
    }
}

fn encryption_key_view(key: &EncryptionKey) -> EncryptionKeyView {
    EncryptionKeyView { id: key.id, key: Hash32(key.key), since: key.since, retired: key.retired }
}

/// A user or service.
pub fn account_view(record: &AccountRecord) -> AccountView {
    AccountView {
        account: record.key.account(),
        member: record.member.clone(),
        name: record.name.clone(),
        key: record.key,
        roles: record.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        standing: record.standing.as_str().into(),
        successor: match record.standing {
            AccountStanding::Replaced(successor) => Some(successor),
            _ => None,
        },
    }
}

/// A certificate, seen at a time.
pub fn certificate_view(record: &CertificateRecord, now: TimestampMs) -> CertificateView {
    let (subject_kind, subject) = match &record.subject {
        CertificateSubject::Account(account) => ("account", account.to_string()),
        CertificateSubject::Node(name) => ("node", name.clone()),
        CertificateSubject::System(name) => ("system", name.clone()),
    };
    let counts = matches!(record.standing, CertificateStanding::Valid | CertificateStanding::Renewed);
    let standing = if counts && now > record.not_after { "expired" } else { record.standing.as_str() };
    CertificateView {
        fingerprint: record.fingerprint,
        member: record.member.clone(),
        serial: HexBytes(record.serial.clone()),
        subject_kind: subject_kind.into(),
        subject,
        not_after: record.not_after,
        recorded: record.recorded_at,
        standing: standing.into(),
        changed: record.changed_at,
        reason: record.reason.clone(),
    }
}

/// A package with the contracts that use it.
pub fn package_view(registry: &Registry, record: &PackageRecord) -> PackageView {
    let uses = |c: &&ContractRecord| c.code == record.code || c.canary.is_some_and(|t| t.code == record.code);
    PackageView {
        code_hash: record.code,
        member: record.member.clone(),
        code_bytes: record.bytes,
        uploaded: record.uploaded_at,
        used: record.used,
        contracts: registry.contracts.values().filter(uses).map(|c| c.name.clone()).collect(),
    }
}

/// A contract in a line.
pub fn contract_summary(record: &ContractRecord) -> ContractSummary {
    ContractSummary {
        name: record.name.clone(),
        code_hash: record.code,
        deployed_at: record.deployed_at,
        version: record.version,
        standing: record.standing.as_str().into(),
        previous: record.previous.map(|previous| previous.code),
        canary: record.canary.map(|c| CanaryView { code_hash: c.code, percent: c.percent, since: c.since }),
    }
}

/// The kernel among the contracts.
pub fn kernel_summary() -> ContractSummary {
    ContractSummary {
        name: vouch_ledger::kernel::system_name(),
        code_hash: CodeHash::ZERO,
        deployed_at: Height::ZERO,
        version: 0,
        standing: "active".into(),
        previous: None,
        canary: None,
    }
}

/// Every parameter by name.
pub fn parameters(registry: &Registry) -> std::collections::BTreeMap<String, String> {
    parameter_texts(&registry.params).into_iter().map(|p| (p.name, p.value)).collect()
}

const fn tally_view(tally: Tally) -> TallyView {
    let Tally { approving, rejecting, entitled, needed } = tally;
    TallyView { approving, rejecting, entitled, needed }
}

/// A proposal in a line.
pub fn proposal_summary(standing: &Standing) -> ProposalSummary {
    let proposal = &standing.proposal;
    let (closed, failure) = match &standing.state {
        ProposalState::Open | ProposalState::Expired => (None, None),
        ProposalState::Executed(at) | ProposalState::Rejected(at) | ProposalState::Withdrawn(at) => (Some(*at), None),
        ProposalState::Failed { at, action, code, message } => {
            let failure = ProposalFailure { action: *action, code: code.clone(), message: message.clone() };
            (Some(*at), Some(failure))
        }
    };
    ProposalSummary {
        id: proposal.id,
        kind: proposal.matter.kind().into(),
        member: match &proposal.matter {
            Matter::Member(name) => Some(name.clone()),
            Matter::Consortium(_) => None,
        },
        title: proposal.title.clone(),
        state: standing.state.as_str().into(),
        closed,
        failure,
        content: proposal.content,
        proposer: proposal.proposer,
        proposer_member: proposal.member.clone(),
        created: proposal.created,
        created_at: proposal.created_at,
        deadline: proposal.deadline,
        tally: tally_view(standing.tally),
    }
}

/// A proposal with everything in it.
pub fn proposal_view(standing: &Standing, reader: &Reader, at: &Published, abis: &Abis) -> ProposalView {
    let action = |action: &vouch_ledger::kernel::Action| {
        let abi = ContractName::new(&*action.contract).ok().and_then(|name| abis.of(reader, &at.registry, &name));
        ActionView {
            contract: action.contract.clone(),
            method: action.method.clone(),
            arguments_value: abi.and_then(|a| a.decode_arguments(&action.method, &action.arguments).ok()),
            arguments: HexBytes(action.arguments.clone()),
        }
    };
    let ballots = standing.proposal.ballots.iter();
    ProposalView {
        summary: proposal_summary(standing),
        actions: standing.actions.iter().map(action).collect(),
        ballots: ballots
            .map(|b| BallotView { account: b.account, member: b.member.clone(), approve: b.approve, height: b.height })
            .collect(),
    }
}

/// What a dry run found.
pub fn dry_run_view(run: &DryRun, actions: usize, reader: &Reader) -> DryRunView {
    let ok = run.reports.len() == actions && run.reports.iter().all(|report| report.result.is_ok());
    let actions = run.reports.iter().map(|report| report_view(report, reader)).collect();
    DryRunView { height: run.height, ok, actions }
}

fn report_view(report: &ActionReport, reader: &Reader) -> ActionReportView {
    let (output, failure) = match &report.result {
        Ok(output) => (output.clone(), None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let key = |full: &Vec<u8>| {
        let end = full.iter().position(|byte| *byte == 0).unwrap_or(full.len());
        let contract = String::from_utf8_lossy(full.get(..end).unwrap_or_default()).into_owned();
        let key = full.get(end.saturating_add(1)..).unwrap_or_default().to_vec();
        StateKey { contract, key: HexBytes(key) }
    };
    let abi = |hash: &CodeHash| Abi::from_json(&reader.abi_json(hash).ok().flatten()?).ok();
    let differences = report.replaces.as_ref().and_then(|(_, before, after)| {
        let before = before.as_ref().and_then(abi).unwrap_or_else(nothing);
        Some(before.differences(&abi(after)?))
    });
    ActionReportView {
        index: report.index,
        ok: failure.is_none(),
        code: failure.map(|f| f.code.clone()),
        message: failure.map(|f| f.message.clone()),
        output: HexBytes(output),
        fuel_used: report.fuel_used,
        changed_count: count(report.changed.len()),
        changed: report.changed.iter().take(CHANGED_MAX).map(key).collect(),
        abi: differences,
    }
}

/// What a contract describes that is not there yet.
fn nothing() -> Abi {
    Abi {
        abi: vouch_types::abi::ABI_VERSION,
        name: SYSTEM.into(),
        version: String::new(),
        title: Default::default(),
        methods: Vec::new(),
        events: Vec::new(),
        errors: Vec::new(),
        types: Default::default(),
    }
}

/// There is no such proposal.
pub fn unknown_proposal(id: u64) -> ApiError {
    ApiError::new("proposal.unknown", format!("there is no proposal {id}")).at("id")
}
