"""Writes the corpora that the engine is measured on. Values come from third-party generators (Faker, faker-cn) and check
digits from python-stdnum; nothing here knows the rules. Usage: corpus.py FOLDER DOCUMENTS SEED VALUES"""

import hashlib
import json
import pathlib
import random
import re
import sys
import uuid

import faker_cn
from faker import Faker
from stdnum import iban as std_iban
from stdnum import luhn as std_luhn
from stdnum.cn import ric as std_ric
from stdnum.cn import uscc as std_uscc
from stdnum.iso7064 import mod_11_10

folder, count, seed, values = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
folder.mkdir(parents=True, exist_ok=True)
Faker.seed(seed)
random.seed(seed)
zh, tw, en = Faker("zh_CN"), Faker("zh_TW"), Faker("en_US")
zh.add_provider(faker_cn.PersonaProvider)
digits = lambda n: "".join(random.choices("0123456789", k=n))


def uscc():
    body = random.choice(["91", "92", "93", "51"]) + zh.ssn()[:6] + "".join(random.choices("0123456789ABCDEFGHJKLMNPQRTUWXY", k=9))
    return body + std_uscc.calc_check_digit(body)


def checked(body, module):
    return body + module.calc_check_digit(body)


def persona_value(path):
    while True:
        value = zh.persona()
        for key in path:
            value = value[key]
        if value and value != "无":
            return value


# Two generators for the kinds that have two; the template decides nothing about the value.
GENERATORS = {
    "id18": lambda: random.choice([zh.ssn, lambda: persona_value(["ssn"])])(),
    "mobile": lambda: random.choice([zh.phone_number, lambda: persona_value(["primary_phone", "number"])])(),
    "card": lambda: persona_value(["bank_card"]),
    "uscc": uscc,
    "vin": en.vin,
    "imei": lambda: checked(random.choice(["86", "35", "01"]) + digits(12), std_luhn),
    "iban": lambda: random.choice([Faker("en_GB"), Faker("de_DE"), Faker("fr_FR")]).iban(),
    "twid": tw.ssn,
    "cnaps": lambda: checked(random.choice(["102", "103", "104", "105", "308"]) + digits(8), mod_11_10),
    "regno": lambda: checked(zh.ssn()[:6] + digits(8), mod_11_10),
    "plate": zh.license_plate,
    "email": zh.email,
    "ipv4": zh.ipv4_public,
    "ipv6": zh.ipv6,
    "mac": zh.mac_address,
    "landline": lambda: random.choice(["010-", "021-", "022-", "0755-"]) + random.choice("23456789") + digits(7),
    "address": zh.address,
    "company": zh.company,
    "person": zh.name,
}

# Every template names the kinds it holds in braces; others are fillers of other generators.
TEMPLATES = {
    "contract": "服务协议（编号HT-{n8}）\n甲方：{company}，统一社会信用代码：{uscc}\n乙方：{person}，身份证号：{id18}，联系电话：{mobile}\n住址：{address}\n乙方收款账户开户行：招商银行，卡号：{card}。\n{prose}",
    "settlement": "结算单 {date}\n收款人：{person}\t银行卡号\t{card}\t手机\t{mobile}\n开户行联行号：{cnaps}，金额 {money} 元，批次 {n16}",
    "json_worker": '{{"workerName":"{person}","idNo":"{id18}","mobile":"{mobile}","email":"{email}","plateNo":"{plate}","createdAt":"{date}","traceId":"{uuid}"}}',
    "json_device": '{{"imei":"{imei}","mac":"{mac}","clientIp":"{ipv4}","ts":{n13},"sign":"{hex32}"}}',
    "csv": "{n6},{person},{id18},{mobile},{card},{money},{date}",
    "invoice": "发票号码：{n20} 购买方：{company} 纳税人识别号：{uscc} 价税合计 {money}\n销售方注册号{regno}，电话{landline}",
    "vehicle": "车辆登记：车牌{plate}，车架号{vin}，车主{person}，身份证{id18}，登记于{date}。",
    "note": "今天{prose}请联系{mobile}，或发邮件到{email}，地址在{address}附近。",
    "kyc": "开户资料\n姓名：{person}\n证件号码 {id18}\n台湾身份证 {twid}\nIBAN: {iban}\n登录IP {ipv4} / {ipv6}",
    "transfer": "付款到 {card} 户名 {person}，附言：{prose}，流水号 {n18}",
    "xml": "<rider><name>{person}</name><idcard>{id18}</idcard><phone>{mobile}</phone><vin>{vin}</vin><uscc>{uscc}</uscc></rider>",
    "log": "{date} INFO order={uuid} user ip={ipv4} imei={imei} cost={money} hash={hex64}",
    "run_on": "{person}师傅身份证{id18}手机{mobile}卡号{card}车牌{plate}",
    "table": "| 单位 | 信用代码 | 工商注册号 | 联行号 |\n| {company} | {uscc} | 注册号{regno} | 行号{cnaps} |",
}
FILLERS = {
    "n6": lambda: digits(6), "n8": lambda: digits(8), "n13": lambda: "17" + digits(11), "n16": lambda: "20" + digits(14),
    "n18": lambda: "7" + digits(17), "n20": lambda: "24122" + digits(15), "uuid": lambda: str(uuid.UUID(int=random.getrandbits(128))),
    "hex32": lambda: hashlib.md5(digits(9).encode()).hexdigest(), "hex64": lambda: hashlib.sha256(digits(9).encode()).hexdigest(),
    "date": lambda: zh.date_time_this_decade().strftime("%Y-%m-%d %H:%M:%S"), "money": lambda: f"{random.randint(1, 999999) / 100:.2f}",
    "prose": lambda: zh.paragraph(nb_sentences=4),
}


def fill(template, generators=GENERATORS):
    text, spans = "", []
    for part in re.split(r"(\{\{|\}\}|\{\w+\})", template):
        if part in ("{{", "}}"):
            text += part[0]
        elif part.startswith("{") and part[1:-1] in generators:
            value = generators[part[1:-1]]()
            spans.append((part[1:-1], len(text), len(text) + len(value)))
            text += value
        elif part.startswith("{") and part[1:-1] in FILLERS:
            text += FILLERS[part[1:-1]]()
        else:
            text += part
    return text, spans


def write(name, documents):
    with open(folder / name, "w", encoding="utf8") as file:
        for template, (text, spans) in documents:
            file.write(json.dumps({"template": template, "text": text, "spans": spans}, ensure_ascii=False) + "\n")


names = sorted(TEMPLATES)
write("labelled.ndjson", ((name, fill(TEMPLATES[name])) for name in (names[i % len(names)] for i in range(count))))

# Ways in which people and programs hide or break numbers.
FULL = {ord(str(d)): 0xFF10 + d for d in range(10)}
CHINESE = {ord(str(d)): "零一二三四五六七八九"[d] for d in range(10)}
WAYS = {
    "full_width": lambda v: v.translate(FULL),
    "chinese": lambda v: v.translate(CHINESE),
    "spaced": " ".join,
    "zero_width": lambda v: "\u200b".join(v),
    "escaped": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "url": lambda v: "".join(f"%{ord(c):02X}" for c in v),
}
hidden = []
for index in range(count // 4):
    way = sorted(WAYS)[index % len(WAYS)]
    kind = random.choice(["mobile", "id18"] if way != "chinese" else ["mobile"])
    text, spans = fill("联系{x}，谢谢" if kind == "mobile" else "身份证{x}，谢谢", {"x": lambda: WAYS[way](GENERATORS[kind]())})
    hidden.append((way, (text, [(kind, start, end) for _, start, end in spans])))
write("adversarial.ndjson", hidden)

# Text without anything sensitive: what systems write all day.
NEGATIVE = [
    "订单号{n18} 运单 {n16} 批次{n20}", "{uuid} {hex64}", "{date} 金额 {money} 元，数量 {n6}，编号 {n8}", "{prose}", "sha256:{hex64} size={n8}",
    "0.{n16} {money} {n13}", '{{"traceId":"{uuid}","ts":{n13},"amount":{money},"sign":"{hex32}"}}', "{hex32}{n6} {n8}-{n6}-{n8}", "{code}",
]
FILLERS["n18"] = lambda: random.choice("123456789") + digits(random.choice([15, 16, 17, 18, 19, 21, 23]))
CODE = [line for path in sorted(pathlib.Path(json.__file__).parent.glob("*.py")) for line in path.read_text("utf8").splitlines() if line.strip()]
FILLERS["code"] = lambda: random.choice(CODE)
with open(folder / "negative.txt", "w", encoding="utf8") as file:
    size = 0
    while size < count * 1000:
        line = fill(random.choice(NEGATIVE), {})[0] + "\n"
        size += len(line.encode())
        file.write(line)

# Values for the checks, each with the verdict of a library that others wrote.
def verdict(function, *arguments):
    try:
        return bool(function(*arguments))
    except Exception:  # A library that refuses a value says no.
        return False


def mutated(value):
    place = random.randrange(len(value))
    return value[:place] + random.choice("0123456789X") + value[place + 1 :]


def ric_valid(value):
    return len(value) == 18 and std_ric.calc_check_digit(value) == value[-1] and bool(std_ric.get_birth_date(value))


ORACLES = [
    ("cnid18", zh.ssn, ric_valid),
    ("uscc", uscc, lambda v: std_uscc.calc_check_digit(v[:-1]) == v[-1]),
    ("luhn", GENERATORS["imei"], lambda v: v.isdigit() and len(set(v)) > 2 and std_luhn.is_valid(v)),
    ("mod11_10", GENERATORS["regno"], lambda v: v.isdigit() and mod_11_10.is_valid(v)),
    # Check digits are digits (ISO 13616), where the library lets letters pass.
    ("iban", GENERATORS["iban"], lambda v: v[2:4].isdigit() and std_iban.is_valid(v, check_country=False)),
]
with open(folder / "values.ndjson", "w", encoding="utf8") as file:
    for name, make, judge in ORACLES:
        for index in range(values):
            value = make()
            value = mutated(value) if index % 2 else value
            file.write(json.dumps([name, value, verdict(judge, value)]) + "\n")
