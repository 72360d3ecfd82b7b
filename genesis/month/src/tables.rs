//! The month's records and the folders they are written to.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    Month, MonthError, Step,
    draw::{Draw, Kind, Time},
    files::{escaped, gbk, pdf, scan, table, workbook},
};

/// What the platform and the enterprise need done.
const TASKS: &[(&str, &str, u64)] = &[
    ("即时配送", "单", 650),
    ("仓库分拣", "小时", 2_600),
    ("保洁服务", "小时", 3_800),
    ("网约车出行", "单", 2_300),
    ("线上客服", "小时", 2_900),
];
const BANKS: &[&str] = &["示例银行一部", "示例银行二部", "示例农商行", "示例城商行"];
/// The institution's share, in hundredths.
const FEE_PERCENT: u64 = 6;
/// Transactions of an invoice at most.
const INVOICE_TRANSACTIONS: usize = 8;

struct Worker {
    name: String,
    id: String,
    mobile: String,
    address: String,
    bank: &'static str,
    card: String,
    verified: Time,
    contract: String,
    task: (&'static str, &'static str, u64),
    /// Whether the platform, else the enterprise, receives the service.
    of_platform: bool,
    from: Time,
}

struct Order {
    number: String,
    worker: usize,
    from: Time,
    until: Time,
    quantity: u64,
    gross: u64,
}

impl Order {
    const fn fee(&self) -> u64 {
        self.gross * FEE_PERCENT / 100
    }

    const fn tax(&self) -> u64 {
        (self.gross - self.fee()) / 100
    }

    const fn income(&self) -> u64 {
        self.gross - self.fee() - self.tax()
    }
}

struct Client {
    member: &'static str,
    name: String,
    code: String,
    account: String,
}

/// All records of a month.
pub(crate) struct Tables {
    seed: u64,
    draw: Draw,
    clients: [Client; 2],
    institution: Client,
    workers: Vec<Worker>,
    orders: Vec<Order>,
    /// Orders of each invoice.
    invoices: Vec<Vec<usize>>,
    /// Worker and order of each finding.
    risks: Vec<(usize, Option<usize>)>,
}

fn yuan(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn texts<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

impl Tables {
    /// Draws a month: of 20,000 documents 1,600 persons with a contract each, 2 enterprises, and of the rest orders, invoices, findings.
    pub(crate) fn draw(documents: u64, seed: u64) -> Result<Self, MonthError> {
        let mut draw = Draw::new(seed);
        let client = |draw: &mut Draw, member| -> Result<Client, MonthError> {
            let (name, code) = (draw.company(), draw.unique(Kind::CreditCode)?);
            Ok(Client { member, name, code, account: draw.unique(Kind::Card)? })
        };
        let clients = [client(&mut draw, "platform")?, client(&mut draw, "enterprise")?];
        let institution = client(&mut draw, "institution")?;
        let workers = (documents * 8 / 100).max(3);
        let rest = documents - 2 * workers - 2;
        let invoices = (rest * 14 / 100).max(2);
        let risks = (rest * 8 / 100).max(1);
        let mut tables = Self {
            seed,
            draw,
            clients,
            institution,
            workers: Vec::new(),
            orders: Vec::new(),
            invoices: Vec::new(),
            risks: Vec::new(),
        };
        for number in 1..=workers {
            tables.worker(number)?;
        }
        for number in 1..=rest - invoices - risks {
            tables.order(number);
        }
        tables.bill(usize::try_from(invoices).unwrap_or(0));
        for _ in 0..risks {
            let order = usize::try_from(tables.draw.below(tables.orders.len() as u64)).unwrap_or(0);
            let worker = tables.orders.get(order).map_or(0, |order| order.worker);
            let named = (tables.draw.below(3) > 0).then_some(order);
            tables.risks.push((worker, named));
        }
        Ok(tables)
    }

    fn worker(&mut self, number: u64) -> Result<(), MonthError> {
        let draw = &mut self.draw;
        let task =
            TASKS.get(usize::try_from(draw.below(TASKS.len() as u64)).unwrap_or(0)).copied().unwrap_or(("", "", 0));
        let verified = draw.time(1, 3);
        self.workers.push(Worker {
            name: draw.name(),
            id: draw.unique(Kind::IdentityNumber)?,
            mobile: draw.unique(Kind::Mobile)?,
            address: draw.address(),
            bank: draw.of(BANKS),
            card: draw.unique(Kind::Card)?,
            verified,
            contract: format!("HT-202610-{number:06}"),
            task,
            // The first two make sure that there is one of each.
            of_platform: number == 1 || (number > 2 && draw.below(100) < 60),
            from: verified.plus(3_600),
        });
        Ok(())
    }

    fn order(&mut self, number: u64) {
        let worker = usize::try_from(match number {
            1 | 2 => number - 1,
            _ => self.draw.below(self.workers.len() as u64),
        });
        let worker = worker.unwrap_or(0);
        let Some((_, unit, price)) = self.workers.get(worker).map(|worker| worker.task) else { return };
        let quantity = if unit == "小时" { 2 + self.draw.below(7) } else { 5 + self.draw.below(40) };
        let from = self.draw.time(4, 30);
        let until = from.plus(3_600 * u32::try_from(2 + self.draw.below(7)).unwrap_or(2));
        let gross = quantity * (price + self.draw.below(price / 5 + 1));
        self.orders.push(Order { number: format!("DD202610{number:07}"), worker, from, until, quantity, gross });
    }

    /// Puts orders of one client together, as many invoices as asked for.
    fn bill(&mut self, count: usize) {
        let of_platform = |order: &Order| self.workers.get(order.worker).is_some_and(|worker| worker.of_platform);
        let (platform, enterprise): (Vec<usize>, Vec<usize>) =
            (0..self.orders.len()).partition(|index| self.orders.get(*index).is_some_and(of_platform));
        for number in 0..count {
            let of = if number % 2 == 0 { &platform } else { &enterprise };
            let turn = number / 2;
            let take = of.len().div_ceil(count.div_ceil(2)).clamp(1, INVOICE_TRANSACTIONS);
            let billed: Vec<usize> =
                (0..take).filter_map(|at| of.get((turn * take + at) % of.len().max(1)).copied()).collect();
            let mut billed = billed;
            billed.sort_unstable();
            billed.dedup();
            self.invoices.push(billed);
        }
    }

    pub(crate) fn write(&self, out: &Path) -> Result<Month, MonthError> {
        let folder = |name: &str| -> Result<std::path::PathBuf, MonthError> {
            fs::create_dir_all(out.join(name))?;
            Ok(out.join(name))
        };
        let count = |orders: bool| {
            let fits =
                |order: &&Order| self.workers.get(order.worker).is_some_and(|worker| worker.of_platform) == orders;
            self.orders.iter().filter(fits).count() as u64
        };
        self.first(&folder("1-institution")?)?;
        self.settlements(&folder("2-institution")?)?;
        self.platform(&folder("2-platform")?)?;
        self.last(&folder("3-institution")?)?;
        let workers = self.workers.len() as u64;
        let (invoices, risks) = (self.invoices.len() as u64, self.risks.len() as u64);
        let step =
            |folder: &str, member: &str, documents| Step { folder: folder.into(), member: member.into(), documents };
        let steps = vec![
            step("1-institution", "institution", 2 * workers + 2),
            step("2-institution", "institution", count(false)),
            step("2-platform", "platform", count(true)),
            step("3-institution", "institution", invoices + risks),
        ];
        let schemas: BTreeMap<String, u64> = [
            ("worker-identity", workers),
            ("enterprise-identity", 2),
            ("service-contract", workers),
            ("service-transaction", self.orders.len() as u64),
            ("service-invoice", invoices),
            ("risk-finding", risks),
        ]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
        Ok(Month { documents: schemas.values().sum(), seed: self.seed, schemas, steps })
    }

    fn first(&self, folder: &Path) -> Result<(), MonthError> {
        self.persons(folder)?;
        self.enterprises(folder)?;
        self.contracts(folder)?;
        Ok(fs::write(folder.join("mapping.toml"), include_str!("../mappings/1-institution.toml"))?)
    }

    fn persons(&self, folder: &Path) -> Result<(), MonthError> {
        fs::create_dir_all(folder.join("证件"))?;
        let mut rows = vec![texts([
            "姓名",
            "证件类型",
            "证件号码",
            "手机号码",
            "居住地址",
            "开户行",
            "银行卡号",
            "核验方式",
            "核验结果",
            "核验时间",
            "证件影像",
        ])];
        for (number, worker) in (1u64..).zip(&self.workers) {
            let image = format!("证件/{number:06}.png");
            scan(&folder.join(&image), self.seed ^ number)?;
            let time = worker.verified.slashed();
            rows.push(texts([
                &worker.name,
                "居民身份证",
                &worker.id,
                &worker.mobile,
                &worker.address,
                worker.bank,
                &worker.card,
                "人脸比对",
                "通过",
                &time,
                &image,
            ]));
        }
        gbk(&folder.join("人员实名认证.csv"), &table(',', &rows))?;
        Ok(())
    }

    fn enterprises(&self, folder: &Path) -> Result<(), MonthError> {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<企业认证>\n");
        for client in &self.clients {
            let (name, code, account) = (escaped(&client.name), &client.code, &client.account);
            let worker = self.workers.first();
            let (person, id, mobile) =
                worker.map(|worker| (escaped(&worker.name), &*worker.id, &*worker.mobile)).unwrap_or_default();
            let _ = write!(
                xml,
                "  <企业 成员=\"{}\">\n    <名称>{name}</名称>\n    <统一社会信用代码>{code}</统一社会信用代码>\n    <法定代表人>{person}</法定代表人>\n    \
                 <法人证件号>{id}</法人证件号>\n    <联系电话>{mobile}</联系电话>\n    <对公账户>{account}</对公账户>\n    <结果>通过</结果>\n    \
                 <核验时间>{}</核验时间>\n  </企业>\n",
                client.member,
                Time(32_400).plain()
            );
        }
        xml.push_str("</企业认证>\n");
        fs::write(folder.join("企业认证.xml"), xml)?;
        Ok(())
    }

    fn contracts(&self, folder: &Path) -> Result<(), MonthError> {
        fs::create_dir_all(folder.join("合约"))?;
        let mut rows = vec![texts([
            "合约编号",
            "合约名称",
            "从业人员",
            "证件号码",
            "接受服务方",
            "信用代码",
            "服务内容",
            "单价(元)",
            "费率",
            "生效日期",
            "终止日期",
            "结算周期",
            "合约文件",
        ])];
        for worker in &self.workers {
            let client = self.client_of(worker);
            let file = format!("合约/{}.pdf", worker.contract);
            let title = format!("{}服务协议", worker.task.0);
            let (from, price, rate) = (worker.from.chinese(), yuan(worker.task.2), format!("{FEE_PERCENT}%"));
            pdf(
                &folder.join(&file),
                &[
                    title.clone(),
                    format!("合约编号：{}", worker.contract),
                    format!("甲方：{}", client.name),
                    format!("管理服务机构：{}", self.institution.name),
                    format!("服务内容：{}，单价 {price} 元/{}", worker.task.0, worker.task.1),
                    format!("生效日期：{from}"),
                ],
            )?;
            rows.push(texts([
                &worker.contract,
                &title,
                &worker.name,
                &worker.id,
                client.member,
                &client.code,
                worker.task.0,
                &price,
                &rate,
                &from,
                "2027年9月30日",
                "周结",
                &file,
            ]));
        }
        workbook(&folder.join("服务合约.xlsx"), "合约", &rows)?;
        Ok(())
    }

    fn client_of(&self, worker: &Worker) -> &Client {
        let [platform, enterprise] = &self.clients;
        if worker.of_platform { platform } else { enterprise }
    }

    fn orders_of(&self, of_platform: bool) -> impl Iterator<Item = (&Order, &Worker, &Client)> {
        self.orders.iter().filter_map(move |order| {
            let worker = self.workers.get(order.worker).filter(|worker| worker.of_platform == of_platform)?;
            Some((order, worker, self.client_of(worker)))
        })
    }

    fn settlements(&self, folder: &Path) -> Result<(), MonthError> {
        let mut out = String::new();
        for (order, worker, client) in self.orders_of(false) {
            let line = json!({
                "结算单号": order.number, "合约编号": worker.contract, "证件号码": worker.id, "开始": order.from.plain(), "结束": order.until.plain(),
                "数量": order.quantity.to_string(), "单位": worker.task.1, "总额": yuan(order.gross), "服务费": yuan(order.fee()),
                "收入": yuan(order.income()), "代扣税": yuan(order.tax()), "收款账号": worker.card, "付款账号": client.account, "渠道": "银行转账",
                "支付时间": order.until.plus(86_400).plain(),
            });
            let _ = writeln!(out, "{line}");
        }
        fs::write(folder.join("企业结算.ndjson"), out)?;
        Ok(fs::write(folder.join("mapping.toml"), include_str!("../mappings/2-institution.toml"))?)
    }

    fn platform(&self, folder: &Path) -> Result<(), MonthError> {
        let orders: Vec<Value> = self
            .orders_of(true)
            .map(|(order, worker, client)| {
                json!({
                    "orderNo": order.number, "contractNo": worker.contract,
                    "worker": { "idNo": worker.id, "account": worker.card },
                    "startTime": format!("{}+08:00", order.from.plain().replace(' ', "T")),
                    "endTime": format!("{}+08:00", order.until.plain().replace(' ', "T")),
                    "quantity": order.quantity, "unit": worker.task.1,
                    "amount": { "gross": order.gross, "fee": order.fee(), "income": order.income(), "tax": order.tax() },
                    "payer": client.account, "channel": "wallet", "paidAt": order.until.plus(7_200).plain(),
                    "items": [{ "name": worker.task.0, "count": order.quantity, "cents": order.gross }],
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&json!({ "month": "2026-10", "data": { "orders": orders } }));
        fs::write(folder.join("平台订单.json"), text.map_err(|error| MonthError::Value(error.to_string()))?)?;
        Ok(fs::write(folder.join("mapping.toml"), include_str!("../mappings/2-platform.toml"))?)
    }

    fn last(&self, folder: &Path) -> Result<(), MonthError> {
        self.bills(folder)?;
        self.findings(folder)?;
        Ok(fs::write(folder.join("mapping.toml"), include_str!("../mappings/3-institution.toml"))?)
    }

    fn bills(&self, folder: &Path) -> Result<(), MonthError> {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<发票列表 月份=\"2026-10\">\n");
        for (number, billed) in (1u64..).zip(&self.invoices) {
            let orders: Vec<&Order> = billed.iter().filter_map(|index| self.orders.get(*index)).collect();
            let worker = orders.first().and_then(|order| self.workers.get(order.worker));
            let Some(client) = worker.map(|worker| self.client_of(worker)) else { continue };
            let net: u64 = orders.iter().map(|order| order.gross).sum();
            let tax = net * FEE_PERCENT / 100;
            let numbers: Vec<&str> = orders.iter().map(|order| order.number.as_str()).collect();
            let _ = write!(
                xml,
                "  <发票 号码=\"{:020}\" 代码=\"000000202610\">\n    <开票日期>2026-10-31</开票日期>\n    <购方 成员=\"{}\"><名称>{}</名称><税号>{}</税号></购方>\n    \
                 <销方><名称>{}</名称><税号>{}</税号></销方>\n    <金额>{}</金额><税率>{FEE_PERCENT}%</税率><税额>{}</税额><价税合计>{}</价税合计>\n    \
                 <交易>{}</交易>\n    <明细>\n",
                number,
                client.member,
                escaped(&client.name),
                client.code,
                escaped(&self.institution.name),
                self.institution.code,
                yuan(net),
                yuan(tax),
                yuan(net + tax),
                numbers.join(";"),
            );
            for order in &orders {
                let task = self.workers.get(order.worker).map_or("", |worker| worker.task.0);
                let _ = writeln!(
                    xml,
                    "      <行><名称>{task}</名称><数量>{}</数量><金额>{}</金额></行>",
                    order.quantity,
                    yuan(order.gross)
                );
            }
            xml.push_str("    </明细>\n  </发票>\n");
        }
        xml.push_str("</发票列表>\n");
        fs::write(folder.join("发票.xml"), xml)?;
        Ok(())
    }

    fn findings(&self, folder: &Path) -> Result<(), MonthError> {
        let mut rows = vec![texts([
            "风控编号",
            "证件号码",
            "规则",
            "等级",
            "评分",
            "识别时间",
            "事实",
            "措施",
            "申诉期限",
            "结案",
            "相关交易",
        ])];
        for (number, (worker, order)) in (1u64..).zip(&self.risks) {
            let Some(worker) = self.workers.get(*worker) else { continue };
            let named = order.and_then(|order| self.orders.get(order));
            let found = named.map_or(worker.from, |order| order.until).plus(600);
            let level = ["低", "中", "高"][usize::try_from(number % 3).unwrap_or(0)];
            let score = format!("0.{:02}", 20 + number * 7 % 75);
            let (id, time, day) = (format!("FK-202610-{number:05}"), found.plain(), found.plus(7 * 86_400).day());
            let closed = if number % 4 == 0 { "是" } else { "否" };
            rows.push(texts([
                &id,
                &worker.id,
                "duration",
                level,
                &score,
                &time,
                "单次服务时长异常",
                "人工复核",
                &day,
                closed,
                named.map_or("", |order| order.number.as_str()),
            ]));
        }
        fs::write(folder.join("风控.csv"), table(';', &rows))?;
        Ok(())
    }
}
