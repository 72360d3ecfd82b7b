//! Codes about a node and the way to it: requests, the index, backups, the client.

use super::{ProblemKind, kind};

/// `backup.…`.
#[rustfmt::skip]
pub(super) const BACKUP: &[ProblemKind] = &[
    kind("backup.disk", 507,
        ["The disk has no room for the backup", "磁盘空间不足以存放备份"],
        ["Free space there, or name a path on another disk.", "请清理该磁盘，或指定其他磁盘上的路径。"]),
    kind("backup.failed", 500,
        ["The backup could not be made", "备份失败"],
        ["See the detail and the node's log, free disk space if there is none, and try again.", "请查看详情与节点日志，必要时清理磁盘空间后重试。"]),
    kind("backup.files_damaged", 0,
        ["Sealed files in the backup are not as they were when it was made", "备份中的密封附件与制作时不一致"],
        ["Take another backup, or restore this one all the same: what is damaged is left out and fetched from other holders.", "请使用其他备份；也可照常恢复：损坏的附件将被略过，并从其他持有方获取。"]),
    kind("backup.list_damaged", 0,
        ["The backup's list of sealed files is not the one that was written with it", "备份中的密封附件清单与制作时不一致"],
        ["Take another backup: without its list nothing says which sealed files are whole. Bring back vault-files.b3 if you have an unharmed copy of it.", "请使用其他备份：缺少清单无法判断哪些密封附件完好。如有未损坏的 vault-files.b3 副本，请将其放回。"]),
    kind("backup.path_exists", 409,
        ["There is already something at that path", "该路径已存在内容"],
        ["Name a path that does not exist yet.", "请指定一个尚不存在的路径。"]),
    kind("backup.path_invalid", 400,
        ["The path cannot be used", "路径不可用"],
        ["Give an absolute path whose parent directory exists and is writable by the node.", "请提供绝对路径，且其上级目录存在并可由节点写入。"]),
];

/// `client.…`.
#[rustfmt::skip]
pub(super) const CLIENT: &[ProblemKind] = &[
    kind("client.bad_answer", 0,
        ["The node's answer could not be read", "无法解读节点的应答"],
        ["Check that the address is that of a Vouch node of a matching version.", "请确认地址指向版本相符的 Vouch 节点。"]),
    kind("client.configuration", 0,
        ["The client is not set up correctly", "客户端配置有误"],
        ["Mend what the detail names.", "请按详情修正配置。"]),
    kind("client.timeout", 0,
        ["No answer came in time", "等待应答超时"],
        ["See with vouch status whether the chain goes on, then ask again: asking again is safe.", "请用 vouch status 查看链是否正常，然后重试；重试是安全的。"]),
    kind("client.tls", 0,
        ["The node's certificate was not accepted", "节点证书未被接受"],
        ["Give the certificate authority of the node's member with --ca, or check the host name in the address.", "请用 --ca 指定节点所属成员的根证书，或检查地址中的主机名。"]),
    kind("client.unreachable", 0,
        ["No node could be reached", "无法连接任何节点"],
        ["Check the address and that the node runs; name another node with --node.", "请检查地址并确认节点正在运行，或用 --node 指定其他节点。"]),
    kind("client.wrong_chain", 0,
        ["The node belongs to another chain", "节点属于另一条链"],
        ["Use a node of the chain that is meant, or mend the chain id in the configuration.", "请使用目标链的节点，或修正配置中的链编号。"]),
];

/// `index.…`.
#[rustfmt::skip]
pub(super) const INDEX: &[ProblemKind] = &[
    kind("index.connection", 503,
        ["The database server of the node's index cannot be reached", "无法连接节点索引的数据库服务器"],
        ["Try again later; the operator sees the server and the connection file that index.server names.", "请稍后重试；运维人员请检查服务器以及 index.server 所指的连接文件。"]),
    kind("index.diverged", 503,
        ["The node's index was made from another chain", "节点索引来自另一条链"],
        ["Have the operator run vouch index rebuild.", "请运维人员执行 vouch index rebuild。"]),
    kind("index.foreign", 503,
        ["The schema of the node's index belongs to another chain, node or program", "节点索引的数据库模式属于其他链、节点或程序"],
        ["Have the operator set index.schema to another name, or stop the other program.", "请运维人员将 index.schema 改为其他名称，或停止其他程序。"]),
    kind("index.gap", 503,
        ["The node's index cannot go on: the blocks it needs are no longer kept", "节点索引无法继续：所需区块已不再保留"],
        ["Have the operator run vouch index rebuild.", "请运维人员执行 vouch index rebuild。"]),
    kind("index.off", 503,
        ["This node keeps no index", "本节点未启用索引"],
        ["Use a node that does, or set index.enabled in its configuration and restart it.", "请使用启用索引的节点，或在其配置中设置 index.enabled 并重启。"]),
    kind("index.storage", 503,
        ["The node's index cannot be read or written", "节点索引无法读写"],
        ["See the node's log and the disk's free space; if its file is damaged, run vouch index rebuild.", "请查看节点日志与磁盘剩余空间；若索引文件损坏，请执行 vouch index rebuild。"]),
    kind("index.too_many", 422,
        ["The beginning of the text fits too many documents", "该开头匹配的凭证过多"],
        ["Give more of the text.", "请输入更多字符。"]),
    kind("index.too_slow", 503,
        ["The question takes longer than any may", "该查询耗时过长"],
        ["Narrow it, or ask again when the node has less to do.", "请缩小范围，或在节点空闲时重试。"]),
];

/// `internal`.
#[rustfmt::skip]
pub(super) const INTERNAL: &[ProblemKind] = &[
    kind("internal", 500,
        ["The node made a mistake", "节点内部错误"],
        ["Report the request id to the node's operator.", "请将请求编号告知节点运维人员。"]),
];

/// `node.…`.
#[rustfmt::skip]
pub(super) const NODE: &[ProblemKind] = &[
    kind("node.configuration", 0,
        ["The node's home or configuration cannot be used as it is", "节点目录或配置不可用"],
        ["Mend what the detail names.", "请按详情修正。"]),
    kind("node.failed", 503,
        ["The node has stopped taking part because it could not go on safely", "节点因无法安全继续而停止"],
        ["See vouch status and the node's log; use another node meanwhile.", "请查看 vouch status 与节点日志；期间请使用其他节点。"]),
    kind("node.stalled", 503,
        ["The chain does not go on, seen from this node", "从本节点看，链未继续出块"],
        ["vouch status names who is missing and what to do.", "vouch status 会指出缺少哪些验证者以及如何处理。"]),
    kind("node.starting", 503,
        ["The node has just been started", "节点刚刚启动"],
        ["Try again in a few seconds.", "请几秒后重试。"]),
    kind("node.stopped", 0,
        ["The node did not start, or had to stop", "节点未能启动，或已被迫停止"],
        ["The detail begins with a code; the operator's guide says what to do about it.", "详情以代码开头；处理办法见运维指南。"]),
    kind("node.storage", 500,
        ["The node's storage failed", "节点存储故障"],
        ["Use another node; the operator finds the cause in the node's log.", "请使用其他节点；运维人员可在节点日志中查明原因。"]),
    kind("node.syncing", 503,
        ["The node is catching up", "节点正在同步"],
        ["Try again later or use another node.", "请稍后重试或使用其他节点。"]),
];

/// `request.…`.
#[rustfmt::skip]
pub(super) const REQUEST: &[ProblemKind] = &[
    kind("request.bad_parameter", 400,
        ["A parameter is not of its form", "参数格式不正确"],
        ["Mend the parameter named; the forms are in /api/v1/openapi.json.", "请修正所指参数；格式见 /api/v1/openapi.json。"]),
    kind("request.empty", 400,
        ["The request carries nothing", "请求内容为空"],
        ["Send at least one transaction.", "请至少提交一笔交易。"]),
    kind("request.malformed", 400,
        ["The body is not of its form", "请求体格式不正确"],
        ["Mend the place named; the forms are in /api/v1/openapi.json.", "请修正所指位置；格式见 /api/v1/openapi.json。"]),
    kind("request.overloaded", 503,
        ["The node has too much to do", "节点过载"],
        ["Try again after a short while or use another node.", "请稍后重试或使用其他节点。"]),
    kind("request.rate_limited", 429,
        ["Too many requests from this address", "来自该地址的请求过多"],
        ["Wait as many seconds as the header Retry-After says; put many transactions into one batch.", "请按 Retry-After 所示秒数等待；可将多笔交易合并为一批提交。"]),
    kind("request.timeout", 408,
        ["The request took too long", "请求超时"],
        ["Try again; submitting the same transaction again is safe.", "请重试；重复提交同一交易是安全的。"]),
    kind("request.too_large", 413,
        ["The body is too large", "请求体过大"],
        ["Send less at once.", "请减少单次发送的数据量。"]),
    kind("request.too_many_items", 400,
        ["Too many items in one request", "单次请求条目过多"],
        ["Split the batch.", "请拆分批次。"]),
    kind("request.unsupported_media_type", 415,
        ["The content type is not one this route reads", "该路由不支持此内容类型"],
        ["Send one of the content types named.", "请使用所列内容类型之一。"]),
];

/// `route.…`.
#[rustfmt::skip]
pub(super) const ROUTE: &[ProblemKind] = &[
    kind("route.method_not_allowed", 405,
        ["The route does not know this method", "该路由不支持此方法"],
        ["Use one of the methods in the header Allow.", "请使用响应头 Allow 中的方法。"]),
    kind("route.unknown", 404,
        ["There is no such route", "没有该路由"],
        ["See /api/v1/openapi.json for the routes there are.", "可用路由见 /api/v1/openapi.json。"]),
];
