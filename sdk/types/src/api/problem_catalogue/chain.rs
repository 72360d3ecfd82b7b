//! Codes about the chain: blocks, transactions, contracts, proofs, events.

use super::{ProblemKind, kind};

/// `block.…`.
#[rustfmt::skip]
pub(super) const BLOCK: &[ProblemKind] = &[
    kind("block.pruned", 410,
        ["This node no longer keeps that block", "本节点已不再保留该区块"],
        ["Ask a node that keeps all blocks.", "请向保留全部区块的节点查询。"]),
    kind("block.unknown", 404,
        ["There is no such block yet", "尚无该区块"],
        ["Ask for a height from 1 to the head, or for latest.", "请查询 1 到最新高度之间的区块，或使用 latest。"]),
];

/// `contract.…`.
#[rustfmt::skip]
pub(super) const CONTRACT: &[ProblemKind] = &[
    kind("contract.unknown", 404,
        ["There is no contract of that name", "没有该名称的合约"],
        ["List the contracts with vouch contract list.", "请用 vouch contract list 查看已有合约。"]),
];

/// `events.…`.
#[rustfmt::skip]
pub(super) const EVENTS: &[ProblemKind] = &[
    kind("events.bad_cursor", 400,
        ["That is not a place in the event stream", "不是有效的事件流位置"],
        ["Use the id of an event that was received, as HEIGHT-INDEX, or leave it out to begin at the head.", "请使用已收到事件的 id（高度-序号），或省略以从最新处开始。"]),
    kind("events.pruned", 410,
        ["This node no longer keeps the events asked for", "本节点已不再保留所请求的事件"],
        ["Continue at a node that keeps all blocks, or begin at a later cursor.", "请改用保留全部区块的节点，或从更后的位置开始。"]),
    kind("events.shutting_down", 503,
        ["The node is shutting down", "节点正在关闭"],
        ["Continue at this or another node from the cursor given.", "请从所给位置在本节点或其他节点继续。"]),
    kind("events.too_many", 503,
        ["Too many event streams are open", "事件流连接过多"],
        ["Close streams that are not needed, or use another node.", "请关闭不需要的事件流，或使用其他节点。"]),
    kind("events.too_slow", 503,
        ["The events were not read fast enough", "事件读取过慢"],
        ["Continue from the cursor given; filter by contract or name to receive less.", "请从所给位置继续；可按合约或名称过滤以减少数据量。"]),
];

/// `mempool.…`.
#[rustfmt::skip]
pub(super) const MEMPOOL: &[ProblemKind] = &[
    kind("mempool.account_full", 503,
        ["The account has too many waiting transactions", "该账户等待中的交易过多"],
        ["Submit again when some of them are final, or sign with another account.", "请等部分交易最终确认后再提交，或使用其他账户签名。"]),
    kind("mempool.full", 503,
        ["Too many transactions are waiting", "等待中的交易过多"],
        ["Submit again after a short while: submitting the same transaction again is safe.", "请稍后重新提交；重复提交同一交易是安全的。"]),
];

/// `proof.…`.
#[rustfmt::skip]
pub(super) const PROOF: &[ProblemKind] = &[
    kind("proof.invalid", 0,
        ["The proof does not show what it claims", "证明无效"],
        ["Do not rely on it. Ask another node for a proof and tell the operator.", "请勿采信。请向其他节点索取证明并告知运维人员。"]),
];

/// `proposal.…`.
#[rustfmt::skip]
pub(super) const PROPOSAL: &[ProblemKind] = &[
    kind("proposal.unknown", 404,
        ["There is no such proposal", "没有该提案"],
        ["List the proposals with vouch gov list.", "请用 vouch gov list 查看提案。"]),
];

/// `query.…`.
#[rustfmt::skip]
pub(super) const QUERY: &[ProblemKind] = &[
    kind("query.bad_arguments", 422,
        ["The arguments do not fit the method", "参数与方法不符"],
        ["Compare them with the contract's ABI: vouch contract abi NAME.", "请对照合约 ABI：vouch contract abi NAME。"]),
    kind("query.failed", 422,
        ["The contract refused the query", "合约拒绝了查询"],
        ["See the detail: it is the contract's own word.", "请查看详情，其中是合约给出的原因。"]),
    kind("query.height_unavailable", 410,
        ["The state of that height is not kept", "该高度的状态未保留"],
        ["Leave the height out to ask the head.", "省略高度即可查询最新状态。"]),
    kind("query.out_of_fuel", 422,
        ["The query took more work than is allowed", "查询超出允许的计算量"],
        ["Ask for less at a time, for example a shorter page.", "请缩小单次查询范围，例如减少每页条数。"]),
    kind("query.unknown_contract", 404,
        ["There is no contract of that name", "没有该名称的合约"],
        ["List the contracts with vouch contract list.", "请用 vouch contract list 查看已有合约。"]),
    kind("query.unknown_method", 404,
        ["The contract has no such query", "合约没有该查询方法"],
        ["List the methods with vouch contract abi NAME.", "请用 vouch contract abi NAME 查看方法。"]),
];

/// `state.…`.
#[rustfmt::skip]
pub(super) const STATE: &[ProblemKind] = &[
    kind("state.no_proof", 404,
        ["There is no proof for that", "无法给出证明"],
        ["Only values that exist can be proven, at a height that is kept.", "只能证明存在的值，且所在高度须仍保留。"]),
];

/// `tx.…`.
#[rustfmt::skip]
pub(super) const TX: &[ProblemKind] = &[
    kind("tx.bad_signature", 422,
        ["A signature does not verify", "签名验证失败"],
        ["Sign the transaction's digest with the account's key, for this chain.", "请用账户密钥对本链的交易摘要重新签名。"]),
    kind("tx.call_count", 422,
        ["The number of calls is not allowed", "调用数量不符合要求"],
        ["Put 1 to 16 calls into a transaction.", "每笔交易须包含 1 到 16 个调用。"]),
    kind("tx.contract_name", 422,
        ["A contract name is not of its form", "合约名称格式不正确"],
        ["Use 1 to 32 of a-z 0-9 - _ . beginning with a letter.", "名称须为 1 到 32 个字符（a-z 0-9 - _ .），以字母开头。"]),
    kind("tx.expired", 422,
        ["The transaction has expired", "交易已过期"],
        ["Make it anew with a later expiry and submit that.", "请以更晚的过期高度重新生成并提交。"]),
    kind("tx.expiry_too_far", 422,
        ["The transaction would be valid for too long", "交易有效期过长"],
        ["Set the expiry at most expiry_window (see /api/v1/params) above the head.", "过期高度最多比最新高度大 expiry_window（见 /api/v1/params）。"]),
    kind("tx.malformed", 400,
        ["Those bytes are not a transaction", "数据不是有效交易"],
        ["Encode it with an SDK, or as docs/protocol.md says.", "请使用 SDK 编码，或遵照 docs/protocol.md。"]),
    kind("tx.method_name", 422,
        ["A method name is not of its form", "方法名称格式不正确"],
        ["Use 1 to 64 bytes.", "方法名须为 1 到 64 字节。"]),
    kind("tx.no_such_event", 404,
        ["The transaction has no such event", "交易没有该事件"],
        ["Count its events from 0: vouch tx show.", "事件序号从 0 开始：vouch tx show。"]),
    kind("tx.not_final", 409,
        ["The transaction is not in a final block yet", "交易尚未进入最终区块"],
        ["Wait for it, then ask again.", "请等待其最终确认后再查询。"]),
    kind("tx.replayed", 409,
        ["The transaction is already in a block", "交易已在区块中"],
        ["Nothing: look it up by its id. To do the same again, make a new transaction.", "无需处理：可按编号查询。若要再次执行，请生成新的交易。"]),
    kind("tx.signers", 422,
        ["The signatures are not of their form", "签名列表不符合要求"],
        ["Sign with 1 to 16 keys, each once.", "须由 1 到 16 个不同的密钥签名。"]),
    kind("tx.too_large", 413,
        ["The transaction is too large", "交易过大"],
        ["Keep it within transaction_bytes_max (see /api/v1/params).", "请控制在 transaction_bytes_max 以内（见 /api/v1/params）。"]),
    kind("tx.unknown", 404,
        ["This node does not know that transaction", "本节点没有该交易"],
        ["Check the id; submit the transaction again if it has not expired: that is safe.", "请检查编号；若未过期可再次提交，重复提交是安全的。"]),
    kind("tx.unknown_account", 422,
        ["The account is not registered or not active", "账户未注册或未启用"],
        ["Have a member register the account, or sign with a registered one.", "请由成员注册该账户，或使用已注册的账户签名。"]),
    kind("tx.unknown_version", 422,
        ["The transaction's version is not known", "交易版本未知"],
        ["Use an SDK of the chain's version.", "请使用与链版本相符的 SDK。"]),
    kind("tx.wrong_chain", 422,
        ["The transaction is for another chain", "交易属于另一条链"],
        ["Make it anew with the chain id of /api/v1/params.", "请使用 /api/v1/params 中的链编号重新生成。"]),
];
