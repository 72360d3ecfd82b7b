//! Codes about who may call: tokens, signatures, certificates, keys.

use super::{ProblemKind, kind};

/// `auth.…`.
#[rustfmt::skip]
pub(super) const AUTH: &[ProblemKind] = &[
    kind("auth.not_enabled", 403,
        ["This node takes no administrative requests over HTTP", "本节点未开启 HTTP 管理接口"],
        ["Set an admin token in the node's configuration and restart it.", "请在节点配置中设置管理令牌并重启节点。"]),
    kind("auth.refused", 403,
        ["The credentials do not allow this", "凭据无权执行此操作"],
        ["Use the admin token of this node.", "请使用本节点的管理令牌。"]),
    kind("auth.required", 401,
        ["Credentials are needed", "需要凭据"],
        ["Send the header Authorization: Bearer with the admin token of this node.", "请在请求头 Authorization: Bearer 中携带本节点的管理令牌。"]),
];

/// `caller.…`.
#[rustfmt::skip]
pub(super) const CALLER: &[ProblemKind] = &[
    kind("caller.forbidden", 403,
        ["The account may not do this here", "该账户无权在此执行此操作"],
        ["Use an active account of this node's own member that has the role named; administrators change roles with vouch user roles.", "请使用本节点所属成员的有效账户，并具备详情所述角色；管理员可用 vouch user roles 变更角色。"]),
    kind("caller.missing", 401,
        ["The request must be signed by an account", "请求须由账户签名"],
        ["Send vouch-key, vouch-node, vouch-time, vouch-nonce, vouch-body and vouch-signature; the SDK does with an identity, the command line with --key.", "请携带 vouch-key、vouch-node、vouch-time、vouch-nonce、vouch-body、vouch-signature 请求头；SDK 设置 identity、命令行使用 --key 即可。"]),
    kind("caller.other_node", 421,
        ["This request was signed for another node", "该请求系为其他节点签名"],
        ["Ask under a name that the node goes by; its operator names all of them in api.names.", "请使用本节点所用的名称访问；运营方在配置项 api.names 中列出全部名称。"]),
    kind("caller.replayed", 409,
        ["This request was heard before", "该请求此前已处理"],
        ["Sign each attempt anew with another nonce.", "请为每次请求使用新的随机数重新签名。"]),
    kind("caller.signature", 401,
        ["The request's signature does not verify", "请求签名无效"],
        ["Sign chain, node, method, path with query, time, nonce and the hash of the body exactly as they are sent; check that the client means this chain.", "请对实际发送的链编号、节点、方法、路径与查询、时间、随机数和请求体哈希签名，并确认客户端指向本链。"]),
    kind("caller.time", 401,
        ["The request was signed too long ago, or ahead of time", "请求签名时间超出允许范围"],
        ["Set the clocks of client and node: they may differ by a minute.", "请校准客户端与节点的时钟，两者最多相差一分钟。"]),
    kind("caller.unknown", 401,
        ["The registry has no such account", "登记中没有该账户"],
        ["Register the key with vouch user add, or use the key of a registered account.", "请用 vouch user add 登记该密钥，或使用已登记账户的密钥。"]),
];

/// `certificate.…`.
#[rustfmt::skip]
pub(super) const CERTIFICATE: &[ProblemKind] = &[
    kind("certificate.allow_list", 0,
        ["The list of clients is not in its form", "客户端名单格式不正确"],
        ["Mend the entry named, or let vouch cert allow and disallow write the list.", "请修正所指条目，或用 vouch cert allow 与 disallow 维护名单。"]),
    kind("certificate.authority", 0,
        ["The authority cannot do this", "证书机构无法执行此操作"],
        ["Mend what the detail names; vouch cert init makes an authority.", "请按详情修正；可用 vouch cert init 建立证书机构。"]),
    kind("certificate.expired", 403,
        ["The client's certificate does not count at this time", "客户端证书不在有效期内"],
        ["Have it renewed by your member's authority (vouch cert renew), and check the clock.", "请由所属成员的证书机构续期（vouch cert renew），并检查时钟。"]),
    kind("certificate.malformed", 0,
        ["That is no certificate or key that can be used", "不是可用的证书或密钥"],
        ["Give the file that vouch cert wrote, in PEM.", "请提供 vouch cert 写出的 PEM 文件。"]),
    kind("certificate.name", 0,
        ["A name in the certificate cannot be used", "证书中的名称不可用"],
        ["Use the form the detail names; an authority signs only for hosts it was made for.", "请使用详情所述格式；证书机构仅可为其建立时许可的主机签发。"]),
    kind("certificate.not_allowed", 403,
        ["This node does not let the client in", "本节点未准入该客户端"],
        ["Have the node's operator run vouch cert allow for it.", "请由节点运维人员用 vouch cert allow 准入。"]),
    kind("certificate.other_account", 403,
        ["The client may not act for this account here", "该客户端在此不得代表此账户"],
        ["Sign with an account the client is let in for, or have the operator add it with vouch cert allow.", "请使用该客户端获准的账户签名，或由运维人员用 vouch cert allow 增加账户。"]),
    kind("certificate.request", 0,
        ["The request for a certificate is not in order", "证书申请不符合要求"],
        ["Make it anew with vouch cert apply.", "请用 vouch cert apply 重新生成申请。"]),
    kind("certificate.required", 401,
        ["The client must show a certificate", "客户端须出示证书"],
        ["Give one of the node's member: --client-cert and --client-key, or the SDK's ClientConfig::certificate.", "请出示节点所属成员签发的证书：--client-cert 与 --client-key，或 SDK 的 ClientConfig::certificate。"]),
    kind("certificate.revoked", 403,
        ["The client's certificate was revoked", "客户端证书已吊销"],
        ["Apply for another one with a new key (vouch cert apply).", "请用新密钥重新申请（vouch cert apply）。"]),
    kind("certificate.scope", 403,
        ["The client may not do this at this node", "该客户端在本节点无此权限"],
        ["Have the operator widen its scope with vouch cert allow.", "请由运维人员用 vouch cert allow 扩大权限范围。"]),
    kind("certificate.unknown", 403,
        ["The chain does not know the client's certificate", "链上没有该客户端证书"],
        ["Have the member's authority record it with vouch cert record.", "请由成员证书机构用 vouch cert record 登记。"]),
    kind("certificate.untrusted", 403,
        ["The client's certificate is not by the authority of this node's member", "客户端证书并非本节点所属成员的证书机构签发"],
        ["Use a client certificate issued under the member's root that the registry names (vouch member show).", "请使用登记所载成员根证书（vouch member show）签发的客户端证书。"]),
];

/// `keystore.…`.
#[rustfmt::skip]
pub(super) const KEYSTORE: &[ProblemKind] = &[
    kind("keystore.bad_permissions", 0,
        ["The key file can be read by others", "密钥文件可被他人读取"],
        ["Run chmod 600 on the key file.", "请对密钥文件执行 chmod 600。"]),
    kind("keystore.exists", 0,
        ["There is already a key file at that path", "该路径已存在密钥文件"],
        ["Choose another path; a key file is never overwritten.", "请选择其他路径；密钥文件绝不会被覆盖。"]),
    kind("keystore.io", 0,
        ["The key file could not be read or written", "无法读写密钥文件"],
        ["Check the path and its permissions.", "请检查路径及其权限。"]),
    kind("keystore.malformed", 0,
        ["That is not a key file, or it is damaged", "不是密钥文件或文件已损坏"],
        ["Use the file that vouch key generate wrote, or restore it from a backup.", "请使用 vouch key generate 生成的文件，或从备份恢复。"]),
    kind("keystore.password_required", 0,
        ["A key file needs a password, and none was given", "密钥文件需要密码，但未提供"],
        ["Type it when asked, or name an open file descriptor in VOUCH_PASSWORD_FD.", "请按提示输入密码，或在 VOUCH_PASSWORD_FD 中指定文件描述符。"]),
    kind("keystore.wrong_password", 0,
        ["The password does not open the key file", "密码无法打开密钥文件"],
        ["Try again with the right password; there is no way to recover a forgotten one.", "请使用正确的密码重试；遗忘的密码无法找回。"]),
];
